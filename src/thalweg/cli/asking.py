"""From what stands on the command line to what the library takes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from thalweg.terminal.console import did_you_mean

if TYPE_CHECKING:
    from thalweg.study.ask.spec import Study
    from thalweg.study.run.engines import Engine
    from thalweg.tasks.task import Choice

ENGINES = ("local", "serial", "ray")


def asked_for(task: str, given: dict[str, Any]) -> "Study":
    """The study that the command line asks for, from a file or from its options alone; None: an option not given."""
    from thalweg.study.ask.spec import study
    from thalweg.study.ask.study_file import is_study_file, read_study
    from thalweg.study.model.errors import StudyError

    given = {name: value for name, value in given.items() if value is not None}
    found = {name: value for name, value in given.items() if name not in ("rules", "vary", "hold")}
    for name in ("rules", "hold"):
        if name in given:
            found[name] = tuple(_words(given[name]))
    if "vary" in given:
        found["vary"] = varied_options(given["vary"])
    if is_study_file(task):
        return read_study(task, **found)
    if "rules" not in found:
        raise StudyError("name the rules to compare, --rules sgd,adamw (see thalweg rules), or give a study.toml")
    tasks = _words([task])
    return study(tasks[0] if len(tasks) == 1 else tasks, found.pop("rules"), **found)


def chosen_engine(
    name: str,
    workers: int | None,
    address: str | None,
    *,
    devices: str | None = None,
    per_device: int | None = None,
    run_timeout: float | None = None,
) -> "Engine":
    """Who runs the trainings, by name."""
    from thalweg.study.model.errors import StudyError
    from thalweg.study.run.devices import checked_per_device
    from thalweg.study.run.engines import LocalProcesses, Serial

    if per_device is not None and devices is None:
        raise StudyError("--per-device counts the trainings on each device: give --devices too, or --workers instead")
    if run_timeout is not None and name != "local":
        raise StudyError(f"--run-timeout ends a worker process of this machine: leave it out with --engine {name}")
    if name == "ray":
        from thalweg.study.run.ray_engine import RayCluster

        if devices not in (None, "cuda"):
            raise StudyError(f"Ray chooses the devices: with --engine ray write --devices cuda; got {devices!r}")
        return RayCluster(address, workers, num_gpus=1 / checked_per_device(per_device or 1) if devices else 0.0)
    if name not in ENGINES:
        raise StudyError(f"--engine is local, serial or ray; got {name!r}.{did_you_mean(name, ENGINES)}")
    if address is not None:
        raise StudyError("--address is that of a Ray cluster: add --engine ray, or leave it out")
    if name == "serial" and workers is not None:
        raise StudyError("--engine serial trains in this process, one after the other: leave --workers out")
    if name == "serial":
        if devices not in (None, "cpu", "cuda", "cuda:0") or per_device is not None:
            raise StudyError("--engine serial trains in this process: of --devices it takes cuda, its first one")
        return Serial(cuda=devices in ("cuda", "cuda:0"))
    return LocalProcesses(workers, devices=devices, per_device=per_device or 1, run_timeout=run_timeout)


def hyperparameters(assigned: Iterable[str], lr: float | None) -> dict[str, Any]:
    """``--set name=value`` and ``--lr``, read."""
    from thalweg.study.ask.method_references import assignments, read_value

    given = [] if lr is None else [f"lr={lr!r}"]
    found = assignments([*given, *assigned], "--set", "it as name=value")
    return {name: read_value(written) for name, written in found.items()}


def task_options(assigned: Iterable[str]) -> "dict[str, Choice]":
    """``--option name=value``, read."""
    from thalweg.study.ask.method_references import assignments
    from thalweg.study.ask.task_references import read_option

    found = assignments(assigned, "--option", "it as name=value")
    return {name: read_option(written) for name, written in found.items()}


def varied_options(assigned: Iterable[str]) -> "dict[str, list[Choice]]":
    """``--vary name=value,value``, read."""
    from thalweg.study.ask.method_references import assignments
    from thalweg.study.ask.task_references import read_option
    from thalweg.study.model.errors import StudyError

    form, twice = "it as name=value,value", "write all of its values in one"
    found = {
        name: [value.strip() for value in written.split(",")]
        for name, written in assignments(assigned, "--vary", form, twice).items()
    }
    if empty := next((name for name, values in found.items() if "" in values), None):
        raise StudyError(f"--vary: {empty} has an empty value between its commas; write {form}")
    return {name: [read_option(value) for value in values] for name, values in found.items()}


def _words(given: Iterable[str]) -> list[str]:
    """What stands between commas."""
    return [name.strip() for each in given for name in each.split(",") if name.strip()]
