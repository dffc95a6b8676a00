import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "site"
# What makes the site are scripts beside each other.
sys.path.append(str(SITE))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it, where every warning is an error: broken links and anchors too."""
    folder = tmp_path_factory.mktemp("site") / "html"
    command = [sys.executable, str(SITE / "make.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder
