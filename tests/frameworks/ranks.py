"""Two processes that train together over gloo, on this machine alone."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

LIMIT = 120
"""Seconds after which two processes that wait for each other are stopped."""

# What each of two ranks did, by what it was: what `work` of each test module returned.
Ranks = list[dict[str, Any]]


def together(folder: Path) -> Ranks:
    """All that the tests want of two processes, from one pair of them."""
    context = mp.get_context("spawn")
    processes = [context.Process(target=_rank, args=(rank, folder)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT)
    alive = [process for process in processes if process.is_alive()]
    for process in alive:
        process.kill()
        process.join()
    assert not alive, f"{len(alive)} of 2 processes still waited after {LIMIT} s"
    assert [process.exitcode for process in processes] == [0, 0]
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(2)]


def _rank(rank: int, folder: Path) -> None:
    import test_ddp
    import test_fsdp

    os.environ.update(GLOO_SOCKET_IFNAME="lo")
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", f"file://{folder}/meeting", rank=rank, world_size=2, timeout=timedelta(seconds=LIMIT / 2)
    )
    torch.save({"ddp": test_ddp.work(rank), "fsdp": test_fsdp.work(rank)}, folder / f"rank{rank}.pt")
    dist.destroy_process_group()
