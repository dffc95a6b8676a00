"""AdamH as its paper has it: matrices inside turn at a fixed norm, all else is Adam's, at a rate of its own.

thalweg compare char-transformer -r adamw,examples/adamh.py:adamh:lr=1e-3..1:others_lr=1e-4..1e-1
"""

from torch import nn

import thalweg

AdamH = thalweg.wrap(thalweg.Adam, thalweg.Hyperball)


def adamh(model, lr=0.02, others_lr=0.002):
    """``lr``  the angle of a step, nearly, of each matrix; ``others_lr``  of biases, norms, embeddings and the output.

    The output's matrix has to grow, or no class could ever be certain.
    """
    *_, output = (name for name, module in model.named_modules() if isinstance(module, nn.Linear))
    groups = thalweg.param_groups(
        model,
        no_decay=(*thalweg.NO_DECAY, f"{output}.weight"),
        exempt={"hold_norm": False, "lr": others_lr},
    )
    return AdamH(groups, lr=lr)
