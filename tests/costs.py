"""What the suite costs: CPU seconds by directory and the dearest tests, processes they start included.

A pytest plugin, for `make test-profile`. A shared fixture is paid by the first test that asks for it.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

DEAREST = 40
_TICK = os.sysconf("SC_CLK_TCK")
_HERE = Path(__file__).parent


def _spent(process: int) -> tuple[int, float]:
    """The parent of a process, and its CPU seconds with those of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15])) / _TICK


def _alive() -> float:
    """CPU seconds of the processes that this one has started, and theirs, that still run."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return 0.0
    processes = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            processes[int(name)] = _spent(int(name))
        except (OSError, ValueError, IndexError):  # it has just ended, maybe while it was read
            continue
    ours, before = {os.getpid()}, 0
    while len(ours) > before:
        before = len(ours)
        ours |= {process for process, (parent, _) in processes.items() if parent in ours}
    return sum(processes[process][1] for process in ours - {os.getpid()})


def cpu() -> float:
    """CPU seconds of this process and of all it has started."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system + _alive()


class Costs:
    """Adds to each report what its phase cost; sums up at the end."""

    def __init__(self) -> None:
        self.last = cpu()
        self.workers = 0.0
        self.tests: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.last = cpu()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        report = yield
        before, self.last = self.last, cpu()
        # Less than before: a process has ended for which its parent never waited, and took its account along.
        report.user_properties = [*report.user_properties, ("cpu", max(0.0, self.last - before))]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        spent = dict(report.user_properties).get("cpu", 0.0)
        known = self.tests[report.nodeid]
        known["cpu"] += spent
        known["wall"] += report.duration
        known["set-up"] += spent if report.when == "setup" else 0.0

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["cpu"] = cpu()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        self.workers += getattr(node, "workeroutput", {}).get("cpu", 0.0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        rooms: dict[str, list[dict[str, float]]] = defaultdict(list)
        for name, known in self.tests.items():
            folder, _, rest = name.partition("::")[0].removeprefix(f"{_HERE.name}/").rpartition("/")
            rooms[folder or rest].append(known)
        write = terminalreporter.write_line
        terminalreporter.section("CPU seconds by directory")
        write(f"{'cpu':>8} {'wall':>8} {'items':>6}  of")
        for folder, known in sorted(rooms.items(), key=lambda room: -sum(each["cpu"] for each in room[1])):
            write(f"{_sum(known, 'cpu'):8.1f} {_sum(known, 'wall'):8.1f} {len(known):6}  {folder}")
        every = list(self.tests.values())
        write(f"{_sum(every, 'cpu'):8.1f} {_sum(every, 'wall'):8.1f} {len(every):6}  all tests")
        write(f"{self.workers or cpu():8.1f} {'':8} {'':6}  with imports and collection")
        terminalreporter.section(f"the {DEAREST} dearest tests")
        write(f"{'cpu':>8} {'set-up':>8} {'wall':>8}  test")
        for name, known in sorted(self.tests.items(), key=lambda test: -test[1]["cpu"])[:DEAREST]:
            write(f"{known['cpu']:8.1f} {known['set-up']:8.1f} {known['wall']:8.1f}  {name}")


def _sum(known: list[dict[str, float]], what: str) -> float:
    return sum(each[what] for each in known)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Costs())
