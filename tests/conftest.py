import os
import shutil
import signal
import tempfile

import pytest
from hypothesis import settings

settings.register_profile("thalweg", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("thalweg")

# Kernels are compiled into a cache of this test run's own, shared by the processes it starts.
os.environ.setdefault("THALWEG_CACHE", tempfile.mkdtemp(prefix="thalweg-test-"))

# Several test processes share the cores: threads that wait must not spin. Set before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A shell's background job ignores Ctrl-C, and so would every process that a test starts to interrupt it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What takes long to start: all tests that ask for one of these are run by the same of pytest-xdist's processes.
STARTED_ONCE = ("browser", "cluster", "ranks")


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is shared is made once: by the tests of a module that share a fixture, or by all that need what starts."""
    for item in items:
        shared = [name for name in STARTED_ONCE if name in item.fixturenames]
        shared += [
            found[-1].baseid
            for found in item._fixtureinfo.name2fixturedefs.values()
            if found[-1].scope == "module" and found[-1].baseid == item.parent.nodeid.partition("::")[0]
        ]
        shared += ["forked"] if hasattr(item.module, "forked") else []
        if shared:
            item.add_marker(pytest.mark.xdist_group(shared[0]))


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
