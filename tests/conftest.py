import os
import shutil
import tempfile

import pytest
from hypothesis import settings

settings.register_profile("thalweg", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("thalweg")

# Kernels are compiled into a cache of this test run's own, shared by the processes it starts.
os.environ.setdefault("THALWEG_CACHE", tempfile.mkdtemp(prefix="thalweg-test-"))

# Several test processes share the cores: threads that wait must not spin. Set before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, headless: one for all tests of a process, since playwright allows one at a time."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Debian's chromium")
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--no-first-run", *quiet])
        yield opened
        opened.close()
