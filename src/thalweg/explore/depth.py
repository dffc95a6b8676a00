"""The size of the gradient by depth, for each place of the norm in a transformer: measured, at initialisation.

    python -m thalweg.explore.depth

measures again what the page shows, and writes it to data/depth.json.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

DEPTHS = (6, 12, 24)
SEEDS = 8
# What is measured; the page says so too.
WIDTH, HEADS, LENGTH, EXAMPLES, WORDS = 64, 4, 32, 16, 32
STORED = Path(__file__).parent / "data" / "depth.json"


def gradient_norms(norm: str, layers: int, seed: int = 0) -> NDArray[np.float64]:
    """The norm of the gradient of each block's parameters, at initialisation, shape (layers,).

    ``norm``    where the norms stand: see `thalweg.nn.TransformerBlock`.
    ``layers``  how many blocks.
    ``seed``    of weights and data.

    The model is an embedding, a `TransformerStack` with LayerNorm and a linear map to scores; the loss is the
    cross-entropy of random words, in float64. As in Xiong et al. 2020 (arXiv:2002.04745, section 3.2), matrices begin
    as Glorot & Bengio 2010 have it and biases at 0.
    """
    import torch

    from thalweg.nn.layers import LayerNorm
    from thalweg.nn.transformer import TransformerStack

    chance = torch.Generator().manual_seed(seed)
    stack = TransformerStack(WIDTH, HEADS, layers, norm=norm, layer=LayerNorm).double()
    inputs = torch.randn(WORDS, WIDTH, generator=chance, dtype=torch.float64)
    outputs = torch.empty(WORDS, WIDTH, dtype=torch.float64)
    torch.nn.init.xavier_normal_(outputs, generator=chance)
    for parameter in stack.parameters():
        if parameter.ndim == 2:
            torch.nn.init.xavier_normal_(parameter, generator=chance)
    for module in stack.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.zeros_(module.bias)
    seen, wanted = torch.randint(WORDS, (2, EXAMPLES, LENGTH), generator=chance)
    scores = stack(inputs[seen]) @ outputs.T
    loss = torch.nn.functional.cross_entropy(scores.flatten(0, 1), wanted.flatten())
    loss.backward()  # type: ignore[no-untyped-call]
    return np.array([_norm(block) for block in list(stack)[:layers]])


def measured(norm: str, layers: int, seeds: int = SEEDS) -> NDArray[np.float64]:
    """`gradient_norms`, the root of the mean square over so many seeds, shape (layers,)."""
    squares = np.array([gradient_norms(norm, layers, seed) ** 2 for seed in range(seeds)])
    return np.asarray(np.sqrt(np.mean(squares, axis=0)))


def stored() -> dict[str, dict[str, list[float]]]:
    """What was measured: by placement, and by depth as a word, the norms from the first block to the last."""
    found: dict[str, dict[str, list[float]]] = json.loads(STORED.read_text(encoding="utf-8"))
    return found


def _norm(block: "torch.nn.Module") -> float:
    gradients = [parameter.grad.norm() for parameter in block.parameters() if parameter.grad is not None]
    return float(np.linalg.norm([float(each) for each in gradients]))


def _main() -> None:
    from thalweg.nn.transformer import PLACES

    # Five digits are more than a figure shows, and hold on every processor.
    found = {
        norm: {str(layers): [float(f"{value:.5g}") for value in measured(norm, layers)] for layers in DEPTHS}
        for norm in PLACES
    }
    STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    _main()
