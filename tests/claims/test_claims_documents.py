"""The documents about claims say what the library brings along."""

from claims_documents import documents


def test_claims_and_errata_are_those_of_the_code():
    """After a change: python tests/claims_documents.py."""
    for path, text in documents().items():
        assert path.read_text(encoding="utf-8") == text, path.name
