"""The process that talks to Ray, for `thalweg.study.run.ray_engine`: work in on its input, answers out on its output.

A process of its own, because Ray prints into the process that uses it, replaces its SIGTERM handler, and ends it when
the cluster's head is lost. It imports nothing of thalweg: it passes pickles on without opening them.

Input:   pickled (work, versions, paths, workers, needs), one for each map: a pickled (function, item) for each, the
         versions and module search path of the caller, the most to run at once (None: as the cluster has CPUs), and
         what each asks for beside a CPU, by Ray's names: {"GPU": 0.5}.
Output:  pickled (kind, index, pickled content): ("ready" | "refused", -1, text) once, then for each item one of
         ("result", index, result), ("raised", index, exception), ("refused", index, text), ("died", index, text).
"""

import logging
import os
import pickle
import platform
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from queue import SimpleQueue
from typing import Any, BinaryIO

Answer = tuple[str, int, bytes]
Request = tuple[Sequence[bytes], Mapping[str, str], Sequence[str], int | None, Mapping[str, float]]

# A training whose process died is tried once more. One whose node died was most likely not the cause, and on nodes
# that may be taken away at any time it happens often; yet a training can bring down its node, so there is an end to it.
PROCESS_DEATHS = 2
NODE_DEATHS = 5
# More than the CPUs: what waits at a node starts there without a round trip, and shows a cluster that it may grow.
SPARE = 2
GPU = "GPU"  # Ray's name
THREADS = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}


def work(packed: bytes, versions: Mapping[str, str], paths: Sequence[str]) -> tuple[str, bytes]:
    """One item, in a worker: what came of it, and the pickled content.

    Sent whole, since functions of a main module are: a node without thalweg must be able to say that it has none.
    """
    sys.path.extend(path for path in paths if path not in sys.path)
    host = platform.node()
    there = {name: installed(name) for name in versions}
    if different := [name for name in versions if there[name] != versions[name]]:
        has = " and ".join(f"{name} {there[name]}" for name in different)
        wants = " and ".join(f"{name} {versions[name]}" for name in different)
        text = f"has {has}, but the comparison was started with {wants}, and results depend on it: install that there"
        return "refused", pickle.dumps(f"the Ray node {host} {text}, or take the node out of the cluster")
    try:
        function, item = pickle.loads(packed)
    except (ImportError, AttributeError) as problem:
        text = f"cannot load what it should run ({problem}): install there what is installed here"
        return "refused", pickle.dumps(f"the Ray node {host} {text}, or take the node out of the cluster")
    try:
        return "result", pickle.dumps(function(item))
    except FileNotFoundError as problem:
        text = f"has no file {problem.filename}: scripts and rules must lie in a folder that all nodes share"
        return "refused", pickle.dumps(f"the Ray node {host} {text}, under the same path on each")
    except BaseException as problem:
        return "raised", packed_exception(problem)


def installed(package: str) -> str:
    """As `thalweg.study.ask.spec.installed`, for a node that may have no thalweg."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def packed_exception(problem: BaseException) -> bytes:
    """An exception that comes back whole; its kind and text where it cannot."""
    try:
        packed = pickle.dumps(problem)
        pickle.loads(packed)
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(problem).__name__}: {problem}"))
    return packed


def connect(address: str | None) -> None:
    """Connect to the cluster, or by Ray's own rule: ``RAY_ADDRESS``, a cluster on this machine, a new one here."""
    import ray

    ray.init(
        address=address,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        runtime_env={"env_vars": THREADS},
    )


def run(request: Request) -> Iterator[Answer]:
    """What comes of each item, in the order in which they end."""
    import ray
    from ray.exceptions import OutOfMemoryError, RayError, WorkerCrashedError

    packed, versions, paths, workers, needs = request
    if needs and (lacking := _lacking(needs)):
        yield "refused", 0, pickle.dumps(lacking)
        return
    # Ray's own retries do not tell the death of a process from that of its node, and count both alike.
    own = {name: amount for name, amount in needs.items() if name != GPU}
    remote = ray.remote(max_retries=0, num_cpus=1, num_gpus=needs.get(GPU, 0), resources=own)(work)
    waiting = deque(range(len(packed)))
    running: dict[Any, int] = {}
    process_deaths: Counter[int] = Counter()
    node_deaths: Counter[int] = Counter()
    while waiting or running:
        room = workers or _cpus() + SPARE
        while waiting and len(running) < room:
            index = waiting.popleft()
            running[remote.remote(packed[index], versions, paths)] = index
        (ended, *_), _ = ray.wait(list(running), num_returns=1)
        index = running.pop(ended)
        try:
            kind, content = ray.get(ended)
            yield kind, index, content
            continue
        except (WorkerCrashedError, OutOfMemoryError) as problem:
            process_deaths[index] += 1
            how = " (Ray ended it: its node ran out of memory)" if isinstance(problem, OutOfMemoryError) else ""
            death = f"its process died, twice{how}: no memory left, or a crash in native code"
        except RayError as problem:
            node_deaths[index] += 1
            death = f"the node that ran it was lost, {NODE_DEATHS} times ({type(problem).__name__})"
        if process_deaths[index] < PROCESS_DEATHS and node_deaths[index] < NODE_DEATHS:
            waiting.appendleft(index)
        else:
            yield "died", index, pickle.dumps(death)


def _lacking(needs: Mapping[str, float]) -> str:
    """That no node has what each training asks for, in words; "" if one has. Ray would wait for one for ever."""
    import ray

    has = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    if any(node.get("CPU", 0) >= 1 and all(node.get(n, 0) >= wanted for n, wanted in needs.items()) for node in has):
        return ""
    asked = ", ".join(f"{amount:g} of {name}" for name, amount in needs.items())
    most = ", ".join(f"{max((node.get(name, 0) for node in has), default=0):g} of {name}" for name in needs)
    return f"each training asks for {asked}, and no node of the Ray cluster has that: the most on one is {most}"


def _cpus() -> int:
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(resources.get("CPU", 0))


def main() -> None:
    """Serve until the input ends, which it does with the process that started this one."""
    # Whatever Ray prints must not get in between.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    requests: SimpleQueue[Request] = SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    try:
        connect(sys.argv[1] or None)
    except Exception as problem:
        return _send(output, ("refused", -1, pickle.dumps(f"{problem or type(problem).__name__}")))
    _send(output, ("ready", -1, pickle.dumps("")))
    while True:
        for answer in run(requests.get()):
            _send(output, answer)


def _listen(stream: BinaryIO, requests: "SimpleQueue[Request]") -> None:
    try:
        while True:
            requests.put(pickle.load(stream))
    except (EOFError, pickle.UnpicklingError):
        # Ray has made of this signal an orderly exit, which ends all that runs for us.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _send(output: BinaryIO, answer: Answer) -> None:
    pickle.dump(answer, output)
    output.flush()


if __name__ == "__main__":
    main()
