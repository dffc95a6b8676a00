"""Every property of a drop-in optimizer, tested on the rule of own_rule.py.

pytest examples/test_own_rule.py
"""

from own_rule import SignMomentum

from thalweg.testing import Conformance


class TestSignMomentum(Conformance):
    optimizer = SignMomentum
    settings = ({"lr": 0.1}, {"lr": 0.01, "mu": 0.5})
