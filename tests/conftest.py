import os
import shutil
import signal
import tempfile
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("thalweg", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("thalweg")

# Kernels are compiled into a cache of this test run's own, shared by the processes it starts.
os.environ.setdefault("THALWEG_CACHE", tempfile.mkdtemp(prefix="thalweg-test-"))

# Several test processes share the cores: threads that wait must not spin. Set before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Kernels for GPUs run in Triton's interpreter, which it has to know when it is loaded: tests/gpu/interpreted.py.
os.environ.setdefault("TRITON_INTERPRET", "1")

# A shell's background job ignores Ctrl-C, and so would every process that a test starts to interrupt it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What takes long to make, each for all tests of these files: they are run by the same of pytest-xdist's processes.
# (Its own --dist loadgroup groups nothing under pytest 9.2.)
TOGETHER = (
    ("explore/", "formula/test_javascript.py", "formula/test_typeset.py", "report/test_browser.py"),  # the browser
    ("site/test_site_pages.py",),  # the site
    ("frameworks/test_ddp.py", "frameworks/test_fsdp.py"),  # a pair of ranks
    (
        "study/test_twenty_scripts.py",
        "study/test_script_processes.py",
        "study/test_compare.py",
        "study/test_arguments.py",
        "study/test_data_files.py",
        "study/test_logs.py",
        "study/test_lr_find.py",
    ),  # worker processes
    ("study/test_engines.py",),  # likewise
    ("study/test_ray.py",),  # a cluster
    ("stats/test_calibration.py",),  # simulated studies
    (
        "optim/test_attacks_apart.py",
        "nn/test_served.py",
        "test_package.py",
        "test_examples.py",
        "study/test_functions.py",
        "study/test_script_rules.py",
    ),  # forked.py's server
    ("report/test_page.py",),
    ("study/test_export.py",),
    ("test_doctor.py",),
)


class Together(LoadScopeScheduling):
    """Each test goes to whichever process is free, but for those that stay together."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0].removeprefix("tests/")
        return next((files[0] for files in TOGETHER if path.startswith(files)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    return Together(config, log)


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
