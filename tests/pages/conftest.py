from pathlib import Path

import pytest

import rule_pages


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of the rules, written."""
    found = tmp_path_factory.mktemp("docs") / "rules"
    rule_pages.write_pages(found)
    return found


@pytest.fixture(scope="session")
def pages(folder: Path) -> dict[str, str]:
    """The text of each, by its name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
