"""Every rule of the catalogue on one tensor of 25 million weights, against the best that torch has for it.

python benchmarks/catalogue.py            # make bench runs it after `thalweg speed`
"""

from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from thalweg.cpu import cpu_name
from thalweg.optim import OPTIMIZERS
from thalweg.speed.cases import EagerLion, parameters
from thalweg.speed.measure import measure

SHAPES = [(25_000_000,)]
ROUNDS = 9

# torch's fastest form of each rule on the CPU; SGD and Adagrad have fused kernels, the averages have not.
PEERS: dict[str, tuple[str, Callable[[list[torch.nn.Parameter]], Callable[[], object]]]] = {
    "sgd": ("fused", lambda p: torch.optim.SGD(p, lr=1e-3, fused=True).step),
    "momentum": ("SGD(momentum), fused", lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, fused=True).step),
    "adagrad": ("fused", lambda p: torch.optim.Adagrad(p, fused=True).step),
    "rmsprop": ("foreach", lambda p: torch.optim.RMSprop(p, foreach=True).step),
    "adam": ("fused", lambda p: torch.optim.Adam(p, fused=True).step),
    "adamw": ("fused", lambda p: torch.optim.AdamW(p, fused=True).step),
    "lion": ("eager foreach", lambda p: EagerLion(p).step),
}


def main() -> None:
    torch.set_num_threads(2)
    table = Table(title="one step, one tensor of 25M", caption=f"{cpu_name()}, 2 threads, torch {torch.__version__}")
    for name in ("rule", "against torch's", "thalweg", "torch", "times faster", "quartiles"):
        table.add_column(name, justify="left" if name in ("rule", "against torch's") else "right")
    for name, (label, peer) in PEERS.items():
        calls = {"thalweg": OPTIMIZERS[name](parameters(SHAPES)).step, "torch": peer(parameters(SHAPES))}
        timing = measure(calls, ROUNDS)
        low, middle, high = timing.ratio("torch", "thalweg")
        ours, theirs = (f"{timing.median(side) * 1e3:.2f} ms" for side in ("thalweg", "torch"))
        ratio = "void" if timing.disturbed else f"{middle:.2f}"
        table.add_row(name, label, ours, theirs, ratio, f"{low:.2f} to {high:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
