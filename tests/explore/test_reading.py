"""What figures read off the rules: by hand."""

from thalweg.explore.reading import corrected, rate_of
from thalweg.rules import Adagrad, Adam, RMSprop


def test_the_rate_of_a_gradient() -> None:
    assert rate_of(Adagrad, "total", lr_decay=0.0) == "(total, lr, eps) => [lr / (Math.sqrt(total) + eps)]"
    assert rate_of(RMSprop, "v") == "(v, lr, eps) => [lr * (1 / (Math.sqrt(v) + eps))]"


def test_averages_corrected() -> None:
    assert corrected(Adam) == "(m, v, t, beta1, beta2) => [m / (1 - beta1 ** t), v / (1 - beta2 ** t)]"
