"""A rule's first moves: the numbers that tests/rules/test_golden.py holds it to."""

import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from page_text import document, plain, table

FILE = "tests/rules/golden.toml"


@cache
def _golden() -> dict[str, Any]:
    return tomllib.loads(document(FILE))


def of(key: str) -> list[dict[str, Any]]:
    """The entries of a rule or a wrapper, each with the gradients it is for."""
    every = _golden()
    return [
        {"gradients": every["gradients"], **each}
        for each in every["golden"]
        if key == each["rule"] or key in each["rule"].split("+")[1:]
    ]


def golden(key: str) -> Iterator[str]:
    """Single weights in a table, tensors in one each."""
    found = of(key)
    numbers = [each for each in found if "start" not in each]
    if numbers:
        gradients = numbers[0]["gradients"]
        yield (
            f"One float64 weight starts at 0 and sees the gradients {_listed(gradients)}, with lr = 1 unless "
            "said. By how much it moves, and where it ends:"
        )
        heads = ("arguments", "move 1", "2", "3", "4", f"weight after {len(gradients)}")
        rows = [(_arguments(each), *map(_number, each["moves"]), _number(each["weight"])) for each in numbers]
        yield table(heads, rows, right=heads[1:])
    for each in found:
        if "start" in each:
            yield from _tensor(each)
    for each in found:
        if "worked" in each:
            yield f"By hand, {_arguments(each)}: {_words(each['worked'])}"


def _tensor(each: dict[str, Any]) -> Iterator[str]:
    yield f"A float64 {'matrix' if isinstance(each['start'][0], list) else 'vector'}, {_arguments(each)}:"
    rows = [("", "start", _array(each["start"]))]
    moves = [*map(_array, each["moves"])] + [""] * (len(each["gradients"]) - len(each["moves"]))
    rows += [
        (str(t), _array(gradient), move)
        for t, (gradient, move) in enumerate(zip(each["gradients"], moves, strict=True), start=1)
    ]
    rows.append(("", "end", _array(each["weight"])))
    yield table(("step", "gradient", "move"), rows)


def _words(worked: str) -> str:
    return plain(" ".join(worked.split()).replace(" * ", " × "))


def _arguments(each: dict[str, Any]) -> str:
    said = [f"`{name}={value!r}`" for name, value in each.get("arguments", {}).items()]
    said += ["the average"] if "compared" in each else []
    wrapped = f"around {each['rule'].partition('+')[0].upper()}" if "+" in each["rule"] else ""
    return ", ".join([*([wrapped] if wrapped else []), *said]) or "defaults"


def _number(value: float) -> str:
    return f"{value:.12g}"


def _listed(values: Sequence[float]) -> str:
    return ", ".join(map(_number, values))


def _array(values: Any) -> str:
    if isinstance(values, list):
        return f"[{', '.join(map(_array, values))}]"
    return _number(values)
