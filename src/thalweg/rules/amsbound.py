"""AMSBound."""

from thalweg.formula import Switch

from .adabound import AdaBound


class AMSBound(AdaBound):
    """AdaBound by the largest mean square so far, as AMSGrad is to Adam.

    Source:  Luo, Xiong, Liu & Sun 2019, arXiv:1902.09843, Algorithm 3.
    Departs: as AdaBound does.
    """

    amsbound = Switch(True)
