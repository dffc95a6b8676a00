"""Every property of a drop-in optimizer, tested on the rules of own_rule.py, tiger.py and amos.py.

pytest examples/test_own_rule.py
"""

from amos import Amos
from own_rule import SignMomentum
from tiger import Tiger

from thalweg.testing import Conformance


class TestSignMomentum(Conformance):
    optimizer = SignMomentum
    settings = ({"lr": 0.1}, {"lr": 0.01, "mu": 0.5})


class TestTiger(Conformance):
    optimizer = Tiger
    settings = ({"lr": 0.01},)


class TestAmos(Conformance):
    optimizer = Amos
    settings = ({"lr": 0.1, "beta": 0.9},)
