"""Parameters of which every rank holds a part (DTensor): a matrix is gathered, and what is made of it is divided again.

Every rank multiplies whole matrices, all of them the same: one gathering of each, where products of parts would send
something for every product.
"""

import torch


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor, on every rank; an ordinary one is that already."""
    found: torch.Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return found


def sharded_as(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A tensor that every rank has all of, as another one is divided; nothing is sent. One that is, stays as it is."""
    if not hasattr(like, "full_tensor") or hasattr(tensor, "full_tensor"):
        return tensor
    from torch.distributed.tensor import DTensor, Replicate

    assert isinstance(like, DTensor)
    mesh = like.device_mesh
    everywhere = DTensor.from_local(tensor, mesh, [Replicate()] * mesh.ndim, run_check=False)
    found: torch.Tensor = everywhere.redistribute(placements=like.placements)
    return found
