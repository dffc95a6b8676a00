"""What the scripts that measure line by line are asked on the command line."""

import argparse
from collections.abc import Callable


def line_parser(
    about: str | None, rounds: int, only: str = "lines with this in their name", sides: str = "both sides"
) -> argparse.ArgumentParser:
    """``--only``, ``--rounds`` and ``--threads``; ``about``: the script's docstring, ``rounds``: the default."""
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("--only", action="append", default=[], metavar="PART", help=only)
    words = f"rounds for each line, 2 or more (default {rounds})"
    parser.add_argument("--rounds", type=at_least(2), default=rounds, help=words)
    parser.add_argument("--threads", type=at_least(1), default=2, help=f"threads for {sides} (default 2)")
    return parser


def at_least(least: int) -> Callable[[str], int]:
    """What argparse reads such a number with."""

    def whole(written: str) -> int:
        if not written.isdecimal() or int(written) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, not {written}")
        return int(written)

    return whole
