"""Texts for people, in the languages of the pages."""

from typing import NamedTuple


class Words(NamedTuple):
    """A text in the pages' languages."""

    en: str
    fr: str
