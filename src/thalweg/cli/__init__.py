"""The thalweg command: verbs only. What they do lives in the library; what they print, in `thalweg.terminal`."""

import errno
import os
import sys
from collections.abc import Sequence

from cyclopts import CycloptsError, UnknownCommandError, UnknownOptionError

from thalweg.terminal.console import Refused, complain, did_you_mean

from . import catalogue, claiming, explorer, machine, planning, studies
from .app import app, words_after_dashes

__all__ = ["app", "catalogue", "claiming", "explorer", "machine", "main", "planning", "studies"]

# What `pip install thalweg` leaves out and comparisons need.
COMPARE_PACKAGES = {"scipy", "joblib", "sklearn", "msgspec", "plotly"}

# The verbs that train a script, which may have arguments of its own.
TRAINING = ("compare", "plan", "train", "lr-find")

# What becomes of the work when Ctrl-C ends a verb.
STOPPED = {
    "compare": " Nothing that had finished is lost, and the same command goes on where it stopped.",
    "train": " A training is not stored: the same command starts it anew, with the same result.",
    "plan": " Nothing is stored: the same command starts anew.",
    "lr-find": " Nothing is stored: the same command starts anew, with the same result.",
    "rerun": " Nothing was changed: the same command starts it anew.",
    "merge": " Nothing was written, or everything: the same command does what is left.",
    "claims": " Nothing that was measured is lost, and the same command goes on where it stopped.",
    "verify": " Nothing was judged: the same command starts anew.",
}


def main(tokens: Sequence[str] | None = None) -> int:
    """The entry point: runs a verb, and turns what a person can put right into a sentence. Returns the exit code."""
    given = sys.argv[1:] if tokens is None else list(tokens)
    try:
        marked = words_after_dashes(given) if given and given[0] in TRAINING else given
        code: int | None = app(marked, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        complain(_parse_sentence(error))
        return 2
    except Refused as error:
        complain(str(error))
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in COMPARE_PACKAGES:
            raise
        complain(f"comparisons need the package {error.name}. Install what they need: pip install 'thalweg[compare]'")
        return 2
    except KeyboardInterrupt:
        complain("stopped." + STOPPED.get(given[0] if given else "", ""))
        return 130
    except OSError as error:
        return _output_failed(error)
    return code or 0


def _parse_sentence(error: CycloptsError) -> str:
    if isinstance(error, UnknownCommandError):
        verbs = [name for name in app if not name.startswith("-")]
        word = str((error.unused_tokens or ["?"])[0])
        kind = "option" if word.startswith("-") else "verb"
        return f'there is no {kind} "{word}".{did_you_mean(word, verbs)} Verbs: {", ".join(verbs)}.'
    verb = " ".join(("thalweg", *(error.command_chain or ())))
    sentence = str(error).strip()
    tokens = " ".join(map(str, getattr(error, "unused_tokens", None) or ()))
    if verb.removeprefix("thalweg ") in TRAINING:
        if isinstance(error, UnknownOptionError):
            sentence = f"{sentence.rstrip('.')} Your script's own arguments stand after --, as in: -- --epochs 5"
        elif tokens:
            sentence = f"{tokens} stands alone: a list has no space after its commas, or quotes around it"
    stop = "" if sentence.endswith((".", "?", "!")) else "."
    return f"{sentence}{stop} {verb} --help shows how to write it."


def _output_failed(error: OSError) -> int:
    """Standard output is gone or full; anything else is unexpected, and raised."""
    if isinstance(error, BrokenPipeError):
        code = 128 + 13  # as if SIGPIPE had ended it, which is how the shell knows this case
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        complain(f"cannot write the output: {error.strerror}.")
        code = 2
    else:
        raise error
    # Python flushes standard output once more when it exits, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
