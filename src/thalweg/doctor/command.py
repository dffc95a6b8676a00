"""`thalweg doctor`: the findings, in words or as JSON."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

from .facts import facts

Findings = Mapping[str, Any]

# Seconds that the checks may take; 3 are usual.
LIMIT = 120
# Roundings by which a step may differ from the truth: half of one when the weight is stored, the others on the way.
RIGHT = 2
_CHECKS = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from thalweg.doctor.checks import main; main()"
_LABEL = 13


def doctor(*, reference: str | None, as_json: bool) -> int:
    """Examine this installation and print what is found; with a ``reference``, explain the optimizer made there too.

    Returns 0 if all is well, 1 if a check fails. Raises `StudyError` if the reference leads to no optimizer.
    """
    explanation = None if reference is None else explained(reference)
    found = {**facts(), "checks": examined()}
    wrong = problems(found["checks"])
    if as_json:
        print(json.dumps({**found, "problems": wrong, "explanation": explanation}, indent=2))
    else:
        print("\n".join(said(found)))
        print("\n".join(["", *(f"PROBLEM: {sentence}" for sentence in wrong)] if wrong else ["\nAll checks passed."]))
        if explanation is not None:
            print(f"\n{explanation}")
    return 1 if wrong else 0


def cleared(*, as_json: bool) -> None:
    """Empty the cache of kernels and say how much it held. Raises OSError if a file cannot be removed."""
    from thalweg.formula.machine import cache_folder, cached

    files = cached()
    size = sum(file.stat().st_size for file in files)
    for file in files:
        file.unlink(missing_ok=True)
    if as_json:
        print(json.dumps({"folder": str(cache_folder() or "none"), "removed": len(files), "bytes": size}))
    else:
        print(f"Removed {_kernels(len(files), size)} from {cache_folder() or 'nowhere: there is no cache'}.")


def examined() -> Findings:
    """What the checks find, in a process of their own; ``{"ended": how}`` if it comes to a bad end."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHECKS, json.dumps(sys.path)], capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return {"ended": f"they had not finished after {LIMIT} seconds"}
    if done.returncode < 0:
        return {"ended": f"the process crashed with {signal.Signals(-done.returncode).name}"}
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return {"ended": last[0]}
    found: Findings = json.loads(done.stdout.splitlines()[-1])
    return found


def problems(checks: Findings) -> list[str]:
    """What is wrong, a sentence each."""
    if "ended" in checks:
        return [f"the checks were not completed: {checks['ended']}"]
    found = [f"{name} could not be checked: {c['error']}" for name, c in checks.items() if "error" in c]
    served = checks["readers"] if isinstance(checks.get("readers"), list) else []
    if served and not any(row["reader"] == "compiled" for row in served):
        found.append(
            f"nothing is compiled: {served[0]['parameter']} is served by plain torch operations, many times slower, "
            f"since {served[0]['why']}. Try: pip install --upgrade --force-reinstall llvmlite 'torch>=2.8'"
        )
    for dtype, error in checks["steps"].items() if "error" not in checks["steps"] else ():
        if error is None or error > RIGHT:
            size = "not a number" if error is None else f"{error:.3g} roundings"
            found.append(f"a step of AdamW in {dtype} is wrong: its largest error is {size}, at most {RIGHT} is right")
    return found


def said(found: Findings) -> Iterator[str]:
    """The findings, line by line."""
    for name in ("thalweg", "python", "torch", "numpy", "llvmlite", "system"):
        yield _line(name, found[name] or "not installed")
    yield _line("triton", found["triton"] or "not installed; what compiles a GPU's kernels, and nothing else needs it")
    cores = f"{found['cores']} cores"
    if found["cores_usable"] != found["cores"]:
        cores += f", {found['cores_usable']} of them for this process"
    yield _line("processor", f"{found['cpu']}, {cores}")
    for name, value in found["environment"].items():
        yield _line("environment", f"{name}={value}")
    for name, check in found["checks"].items():
        if name in _SAID and "error" not in check:
            yield from (_line(label, line) for label, line in _SAID[name](check))


def _processor(check: Findings) -> Iterator[tuple[str, str]]:
    yield "vectors", f"to LLVM {check['llvm']}; of what matters it has {', '.join(check['features']) or 'nothing'}"


def _threads(check: Findings) -> Iterator[tuple[str, str]]:
    team = f"kernels share its OpenMP team ({check['openmp']})" if check["openmp"] else (
        "kernels run on one, since no OpenMP library that is known here is loaded")  # fmt: skip
    yield "threads", f"torch uses {check['torch']}; {team}"
    known = "in machine code"
    if check["checked"]:
        known += "; checked just now, since torch {} with Python {} is not among the tested pairs".format(
            *check["checked"]
        )
    slower = f"in Python, which is slower on many small ones: {check['asked_in_python']}"
    yield "tensors", f"asked where they are {slower if check['asked_in_python'] else known}"


def _kernel(check: Findings) -> Iterator[tuple[str, str]]:
    written, compiled, loaded = (f"{check[name] * 1e3:.0f} ms" for name in ("written", "compiled", "loaded"))
    yield "one kernel", f"written in {written}, compiled in {compiled}, loaded again in {loaded}"


def _steps(check: Findings) -> Iterator[tuple[str, str]]:
    errors = ", ".join(f"{dtype} {'nan' if e is None else f'{e:.2f}'}" for dtype, e in check.items())
    yield "one step", f"largest error against float64, in roundings: {errors}"


def _readers(check: list[Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    compiled = [row["parameter"] for row in check if row["reader"] == "compiled"]
    if compiled:
        yield "compiled", f"serves {', '.join(compiled)}"
    for row in check:
        if row["reader"] != "compiled":
            yield row["reader"], f"serves {row['parameter']}: {row['why']}"


def _gpus(check: Findings) -> Iterator[tuple[str, str]]:
    if not check["cards"]:
        yield "GPUs", "none that torch finds" + ("" if check["driver"] else "; CUDA's driver is there")
    for i, card in enumerate(check["cards"]):
        serves = f"no kernels, since {card['problem']}" if card["problem"] else "kernels serve it"
        yield f"cuda:{i}", f"{card['name']}, compute capability {card['capability']}: {serves}"
    if check["cards"] and check["triton"]:
        yield "", f"this torch asks for Triton {check['triton']}"


def _cache(check: Findings) -> Iterator[tuple[str, str]]:
    yield "cache", f"{check['folder']}: {_kernels(check['kernels'], check['bytes'])}"
    if check["problem"]:
        yield "", f"kernels are compiled anew in every process, since {check['problem']}"


_SAID: Mapping[str, Any] = {
    "processor": _processor, "threads": _threads, "kernel": _kernel, "steps": _steps, "readers": _readers,
    "gpus": _gpus, "cache": _cache,
}  # fmt: skip


def _line(label: str, text: str) -> str:
    return f"{label:{_LABEL}}{text}"


def _kernels(count: int, size: int) -> str:
    return f"{count} kernel{'' if count == 1 else 's'}, {size / 1000:.0f} kB"


def explained(reference: str) -> str:
    """What the optimizer computes that a function in a user's file returns.

    Raises `StudyError` if there is no such function, or it fails, or it returns something else.
    """
    from thalweg.optim import Optimizer
    from thalweg.study.ask.loading import existing_file, load_file, where
    from thalweg.study.model.errors import StudyError

    place, _, name = reference.rpartition(":")
    if not place.endswith(".py") or not name.isidentifier():
        raise StudyError(f"{reference}: write the file and a function that returns an optimizer: my_script.py:make")
    path = existing_file(place, reference)
    with redirect_stdout(sys.stderr):  # what it prints is not the answer
        try:
            function = getattr(load_file(path), name, None)
        except (Exception, SystemExit) as problem:
            raise StudyError(f"importing {path.name} failed: {where(problem, path)}") from problem
        if not callable(function):
            raise StudyError(f"{path.name} has no function {name!r}: write `def {name}():` that returns an optimizer")
        try:
            made = function()
        except (Exception, SystemExit) as problem:
            raise StudyError(f"{name}() in {path.name} failed: {where(problem, path)}") from problem
    if not isinstance(made, Optimizer):
        raise StudyError(f"{name}() in {path.name} returned a {type(made).__name__}, not an optimizer of thalweg")
    return made.explain()
