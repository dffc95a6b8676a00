import os
import tempfile

from hypothesis import settings

settings.register_profile("thalweg", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("thalweg")

# Kernels are compiled into a cache of this test run's own, shared by the processes it starts.
os.environ.setdefault("THALWEG_CACHE", tempfile.mkdtemp(prefix="thalweg-test-"))
