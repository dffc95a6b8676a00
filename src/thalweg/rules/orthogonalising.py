"""Lists of coefficients (a, b, c): a step takes a singular value s to a s + b s^3 + c s^5, on its way to 1.

A step is right for the values that those before it leave, so a list is taken whole. Where they are from:

``keller``              Jordan's five equal steps (KellerJordan/Muon, torch.optim.Muon): to between 0.68 and 1.13.
``you``                 You Jiacheng's five (KellerJordan/modded-nanogpt; "quintic" in NVIDIA-NeMo/Emerging-Optimizers).
``polar-express``       Amsel et al. 2025, arXiv:2505.16932, five steps with a safety of 1.02 and cushion 2, as
                        microsoft/dion, modded-nanogpt and karpathy/nanochat have them.
``polar-express-1.05``  the paper's own, each divided by powers of a safety of 1.05 (Dao-AILab/gram-newton-schulz).
``polar-express-1.01``  the same with 1.01, rounded (NVIDIA-NeMo/Emerging-Optimizers).
``cans``                Grishina, Smirnov & Rakhuba 2025, arXiv:2506.10935, as NVIDIA/TransformerEngine has them.
``turbo``               Boissin et al. 2025, arXiv:2512.04632 (thib-s/flash-newton-schulz), four steps.
``simple12``            twelve of (2, -1.5, 0.5), which converge to 1 exactly (modded-nanogpt, its optimization track).
``deepseek``            eight of Jordan's and two of those: what NVIDIA-NeMo/Emerging-Optimizers cites DeepSeek-V4 for.
"""

from collections.abc import Sequence
from math import isfinite

Entries = Sequence[Sequence[float]]

_KELLER = (3.4445, -4.7750, 2.0315)
_SIMPLE = (2.0, -1.5, 0.5)
_POLAR_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
)


def _safer(entries: Entries, by: float) -> Entries:
    """What takes s where the entries take s / by: right also where a value is a little above 1."""
    return tuple((a / by, b / by**3, c / by**5) for a, b, c in entries)


LISTS: dict[str, Entries] = {
    "keller": (_KELLER,) * 5,
    "you": (
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ),
    "polar-express": (
        (8.156554524902461, -22.48329292557795, 15.878769915207462),
        (4.042929935166739, -2.808917465908714, 0.5000178451051316),
        (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
        (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
        (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
    ),
    "polar-express-1.05": _safer(_POLAR_EXPRESS, 1.05),
    "polar-express-1.01": (
        (8.2051, -22.9019, 16.4607),
        (4.0664, -2.8612, 0.5184),
        (3.9096, -2.8234, 0.5250),
        (3.2856, -2.4153, 0.4853),
        (2.2779, -1.6198, 0.3985),
    ),
    "cans": (
        (8.4703, -25.1081, 18.6293),
        (4.1828, -3.1087, 0.5806),
        (3.9619, -2.9541, 0.5630),
        (3.2866, -2.4647, 0.5074),
        (2.2737, -1.6447, 0.4162),
    ),
    "turbo": (
        (4.6051, -9.6552, 5.6769),
        (4.7505, -6.0861, 2.1790),
        (2.7763, -2.3190, 0.5523),
        (2.4231, -2.2861, 0.8193),
    ),
    "simple12": (_SIMPLE,) * 12,
    "deepseek": (*(_KELLER,) * 8, *(_SIMPLE,) * 2),
}


def uphill(entries: Entries) -> str | None:
    """What is wrong with a list: no steps, no triples, or a singular value in (0, 1] that does not end above 0.

    The step goes up the gradient along such a direction. (NVIDIA's older "aol" took 1 to -0.99.)
    """
    if not entries or not all(len(each) == 3 for each in entries):
        return "must be a list of triples (a, b, c), one for each step"
    if not all(isfinite(number) for each in entries for number in each):
        return "must hold finite numbers"
    # Dense towards 0, and at 1 itself.
    for s in [*(10.0**-k for k in range(6, 3, -1)), *(k / 2000 for k in range(1, 2001))]:
        value = s
        for a, b, c in entries:
            square = value * value
            value *= a + square * (b + square * c)
            if not abs(value) < 1e6:
                return f"grows without bound from the singular value {s:g}"
        if value <= 0:
            return (
                f"takes the singular value {s:g} to {value:.4g}: along that direction the step would go up the gradient"
            )
    return None
