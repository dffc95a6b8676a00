"""What stands around every rule, in the language of rules.

    unscale -> clip by value -> clip by norm -> L2 -> RULE (wrappers) -> decoupled decay -> w - d -> clear the gradient

An example: AdamW with lr=0.1, weight_decay=0.1, maximize=True, clip_value=1 and clip_norm=2, whose weights w = (5, 5)
have gradients g = (3, -4). Unscaled they are (-3, 4); by value (-1, 1); by norm the same, since sqrt(2) is below 2.
AdamW says d = (-0.1, 0.1) in its first step, decoupled decay takes off another 0.1 * 0.1 of w: w is then (5.05, 4.85).

Values are numbers, arrays of a parameter's shape (g, w, d, states), or symbols. Options that are numbers stay numbers
(no clipping is clip_value = infinity and clip_scale = 1): they cost no memory traffic, so one kernel serves them all.
"""

from typing import Any

from .vocabulary import clip, minimum, share, sqrt, where

# The numbers the chain reads, with the values that leave the rule alone.
NUMBERS = {
    "unscale": 1.0, "clip_value": float("inf"), "clip_scale": 1.0,
    "l2": 0.0, "shrink": 0.0, "shrink_cautious": 0.0, "shrink_strict": 0.0,
}  # fmt: skip
# The parts of the weight that may be taken off beside the rule, see `move`; of one parameter, at most one of them.
BESIDE = ("shrink", "shrink_cautious", "shrink_strict")
_DECOUPLED = {"decoupled": "shrink", "cautious": "shrink_cautious", "strictly-cautious": "shrink_strict"}
# The switch of a decay that has a share in no weight. A decay of 0 is left out, not multiplied: 0 times an infinite
# weight is nan, a pass that only adds up need not read the weights, and steps in the cache are bound by arithmetic.
WITHOUT = {name: f"without_{name}" for name in ("l2", *BESIDE)}
NO_DECAY = dict.fromkeys(WITHOUT.values(), True)
# The choices that change what is read or written: the gradient is set to 0; norms are added up on the way; decays are
# left out.
SWITCHES = {"clear": False, "measured": False, **dict.fromkeys(WITHOUT.values(), False)}


def limited(g: Any, unscale: Any, clip_value: Any) -> Any:
    """The gradient in its own units (``unscale`` is -1 to maximize), each coordinate within +-clip_value."""
    return clip(unscale * g, -clip_value, clip_value)


def regularised(g: Any, w: Any, clip_scale: Any, l2: Any, without_l2: bool, rounded: bool) -> Any:
    """The gradient the rule sees: scaled to the norm's limit, with L2's share, l2 * w.

    ``rounded``: as a number of its own also where nothing is added, so that a rule's first product rounds the same with
    decay and without; else the scale becomes one with the rule's own factors.
    """
    if without_l2:
        return clip_scale * g + 0.0 if rounded else clip_scale * g
    return clip_scale * g + l2 * w


def first_or_kept(state: Any, g: Any, t: Any) -> Any:
    """A state that starts at the first gradient the rule sees."""
    return where(t <= 1, g, state)


def decay(kind: str, lr: Any, first_lr: Any, weight_decay: Any) -> dict[str, Any]:
    """What a kind of weight decay sets of the chain's l2 and the parts in `BESIDE`; the kinds are those of `Decay`.

    ``first_lr``: the learning rate before any schedule. Nothing, if the rule does it itself, or nobody.
    """
    if kind in _DECOUPLED:
        return {_DECOUPLED[kind]: lr * weight_decay}
    if kind == "l2":
        return {"l2": weight_decay}
    if kind == "palm":
        return {"shrink": lr * lr * weight_decay}
    if kind == "independent":
        return {"shrink": lr / first_lr * weight_decay}
    if kind == "corrected":
        return {"shrink": lr * (lr / first_lr * weight_decay)}
    return {}


def move(w: Any, d: Any, shrink: Any = None, shrink_cautious: Any = None, shrink_strict: Any = None) -> Any:
    """The whole step: the rule's, and decay's share, if that is not the gradient's; see `decay`.

    Cautious decay takes a weight's share only where the step takes the weight towards 0 too, or does nothing; the
    strict one only where it does so. None: the decay that is left out.
    """
    if shrink is not None:
        return d + share(shrink, w)
    if shrink_cautious is not None:
        return d + where(d * w >= 0, share(shrink_cautious, w), 0.0)
    if shrink_strict is not None:
        return d + where(d * w > 0, share(shrink_strict, w), 0.0)
    return d


def norm_scale(squares: Any, clip_norm: Any, clip_eps: Any) -> Any:
    """What the gradient is multiplied by so that its norm stays within clip_norm.

    ``squares`` is the sum of its squares over all weights that are clipped together. ``clip_eps`` is added to the
    norm: 1e-6 as in torch.nn.utils.clip_grad_norm_, 0 for the exact limit.
    """
    return minimum(1.0, clip_norm / (sqrt(squares) + clip_eps))
