"""Whether two runs of one cell are the same, to the last bit; where not, in words."""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import fields

from thalweg.cpu import cpu_name
from thalweg.stats.wording import counted

from .cells import MEASURED, Curve, Run
from .plan import Plan


def differences(first: Run, second: Run, told: tuple[str, str] = ("stored", "now")) -> tuple[str, ...]:
    """What is not the same of all that a cell determines, one sentence each; () where all is, bit for bit.

    Of a curve, the first epoch that differs. ``told``: what the two runs are called.
    """
    found: list[str] = []
    for name in (each.name for each in fields(Run) if each.name not in MEASURED):
        one, two = getattr(first, name), getattr(second, name)
        if name == "curves":
            found += _curves(one, two, told)
        elif one != two:
            found.append(f"{name}: {one!r} {told[0]}, {two!r} {told[1]}")
    return tuple(found)


def processor_of(run: Run, studies: Iterable[tuple[Plan, Mapping[str, object]]]) -> str:
    """The processor that computed a run; "" where no study of its store was started on its machine."""
    known = {provenance.get("host"): provenance.get("cpu") for _, provenance in studies}
    return str(known.get(run.host) or "")


def elsewhere(run: Run, studies: Iterable[tuple[Plan, Mapping[str, object]]]) -> str:
    """That a run was not computed by a processor such as this one, and what that means; "" where it was."""
    found, here = processor_of(run, studies), cpu_name()
    if found == here or (not found and run.host in ("", platform.node())):
        return ""
    where = f"on {found}, and this is {here}" if found else f"on {run.host}, whose processor is not known"
    return f"The stored run was computed {where}: bits may differ between processors."


def _curves(first: Mapping[str, Curve], second: Mapping[str, Curve], told: tuple[str, str]) -> list[str]:
    found = []
    for metric in sorted({*first, *second}):
        one, two = (_by_epoch(curves.get(metric)) for curves in (first, second))
        # Texts, since 0.0 and -0.0 are equal numbers; repr tells any two floats apart.
        differing = [e for e in sorted({*one, *two}) if _text(one.get(e)) != _text(two.get(e))]
        if differing:
            epoch, *later = differing
            more = f", and {counted(len(later), 'later epoch')} differ{'s' * (len(later) == 1)}" if later else ""
            found.append(
                f"{metric}, epoch {epoch}: {_text(one.get(epoch))} {told[0]}, {_text(two.get(epoch))} {told[1]}{more}"
            )
    return found


def _by_epoch(curve: Curve | None) -> dict[int, float]:
    return dict(zip(curve.epochs, curve.values, strict=True)) if curve else {}


def _text(value: float | None) -> str:
    return "no value" if value is None else repr(value)
