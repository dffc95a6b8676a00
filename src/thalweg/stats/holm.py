"""Holm's correction for several comparisons."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values, in the order given: reject where the adjusted one is at most the level.

    With p_(1) <= ... <= p_(m), the i-th becomes max over j <= i of min(1, (m - j + 1) p_(j)). The chance of any false
    rejection is at most the level, however the tests depend on each other, and nothing is lost against Bonferroni.
    Source: Holm 1979, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 65.

    Beware: all comparisons that were looked at belong in the list, not only those shown.
    ``p_values`` shape (m,), m may be 0. ValueError if one is not in 0 ... 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1:
        raise ValueError(f"holm needs a flat list of p-values, got shape {p.shape}")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"holm needs p-values from 0 to 1, got {next(float(v) for v in p if not 0 <= v <= 1)}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return tuple(float(v) for v in adjusted)


def holm_together(p_values: Sequence[float], level: float = 0.05) -> tuple[int, ...]:
    """Each comparison's ``together`` for `difference`, so that its interval excludes 0 exactly where Holm rejects.

    The i-th smallest p-value is rejected when p_(i) <= level / (m - i + 1) and all before it were; the interval
    with which it is shown misses with probability level / (m - i + 1). Those not rejected share the step that failed.

    ``level`` the chance of any false rejection, so the confidence is 1 - level.
    Beware: the decisions hold jointly, these intervals do not (intervals that do are Bonferroni's, together = m).
    """
    if not 0 < level < 0.5:
        raise ValueError(f"level is the chance of a false rejection, such as 0.05; got {level}")
    adjusted = np.array(holm(p_values))
    rejected = int((adjusted <= level).sum())
    together = np.empty(len(adjusted), dtype=int)
    steps = np.minimum(np.arange(len(adjusted)), rejected)
    together[np.argsort(p_values, kind="stable")] = len(adjusted) - steps
    return tuple(int(v) for v in together)
