import os
import tempfile

from hypothesis import settings

settings.register_profile("thalweg", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("thalweg")

# Kernels are compiled into a cache of this test run's own, shared by the processes it starts.
os.environ.setdefault("THALWEG_CACHE", tempfile.mkdtemp(prefix="thalweg-test-"))

# Several test processes share the cores: threads that wait must not spin. Set before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
