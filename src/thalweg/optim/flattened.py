"""Models whose matrices have lost their shape: a matrix rule would silently find nothing to do in them."""

from collections.abc import Sequence

from torch import nn

from .fused import CONVOLUTIONS
from .kinds import ModelParameter


def refuse_flattened(model: nn.Module, parameters: Sequence[ModelParameter]) -> None:
    """Refuse a model whose linear layers or convolutions have flat weights, or none while it has flat parameters alone.

    Raises ValueError. FullyShardedDataParallel is refused before, in kinds.py.
    """
    some = any(p.param.ndim > 1 for p in parameters)
    for path, module in model.named_modules():
        if not isinstance(module, nn.Linear | CONVOLUTIONS):
            continue
        weight = module._parameters.get("weight")
        gone = weight is None and not some and "weight" not in module._buffers
        if gone or (weight is not None and weight.ndim < 2):
            name = f"{path}.weight" if path else "weight"
            raise ValueError(
                f"{name} should be the matrix of a {type(module).__name__}, but has no rows and columns: something has "
                "flattened the model's parameters (DeepSpeed's ZeRO, or a flat copy by hand), and a flat matrix cannot "
                "be told from a bias. Route the model before it is flattened, or write the groups by hand"
            )
