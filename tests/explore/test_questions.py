"""What figures ask, and their answers: each number is computed here once more."""

import re
from itertools import islice, pairwise

import numpy as np
import pytest
import torch

from thalweg.explore.chance import normal
from thalweg.explore.clipping import by_value, turned
from thalweg.explore.depth import stored as measured_by_depth
from thalweg.explore.derivations import ADAM
from thalweg.explore.descent import descend
from thalweg.explore.figures import NAMES, figures
from thalweg.explore.figures.norms import TABLE
from thalweg.explore.rates import RATES
from thalweg.explore.regression import COUNT, points
from thalweg.explore.regression import batches as orders
from thalweg.explore.valley import stored as study
from thalweg.explore.valley import virtual_studies, wins
from thalweg.rules import SGD, Adagrad, Adam, Lion, Momentum, RMSprop
from thalweg.rules.orthogonalising import LISTS

FIGURES = {figure.name: figure for figure in figures()}


def descent():
    assert np.ptp(descend(SGD, "parabola", (2.5,), 20, lr=1.0).losses) == 0
    assert descend(SGD, "parabola", (2.5,), 1, lr=0.5).losses[-1] == 0
    return "1", "0.5"


def batches():
    x, y = points(0.6)
    inputs = np.stack([np.ones(COUNT), x], 1)

    def above(w):
        return ((inputs @ w - y) ** 2).mean()

    lowest = above(np.linalg.lstsq(inputs, y, rcond=None)[0])

    def read(size):
        w, examples = np.array([-1.5, -1.0]), 0
        for batch in islice(orders(size, seed=0), 60):
            if above(w) - lowest < 0.1:
                break
            some = inputs[batch]
            w = w - 0.1 * 2 * some.T @ (some @ w - y[batch]) / len(batch)
            examples += len(batch)
        return examples

    needed = {size: read(size) for size in range(1, COUNT + 1)}
    assert min(needed, key=needed.get) == 1
    assert (needed[1], needed[6] / 6, needed[COUNT] / COUNT) == (14, 14, 14)
    return str(needed[1]), str(needed[6]), str(needed[COUNT])


def momentum():
    passes = [
        (descend(Momentum, "valley", None, 150, lr=0.2, momentum=mu).weights[:, 0] > 0).any() for mu in (0.44, 0.45)
    ]
    assert passes == [False, True]
    return (f"{((1 - 0.2) / (1 + 0.2)) ** 2:.3f}",)


def adagrad():
    for start in ((-2.0, 2.0), (2.8, 1.4)):
        first, second = descend(Adagrad, "ellipse", start, 1, lr=0.8).weights
        np.testing.assert_allclose(abs(second - first), 0.8, rtol=1e-8)
    return ("0.8",)


def accumulator():
    draws, rates, total = normal(0), [], 0.0
    path = descend(Adagrad, "noisy", (-3.0, 1.8), 300, lr=0.05)
    for x, _ in path.weights[:-1]:  # of ½(x² + 20y²), with noise of 6 on either coordinate
        g, _ = x + 6 * next(draws), next(draws)
        total += g * g
        rates.append(0.05 / np.sqrt(total))
    step = 1 + int(np.argmax(np.array(rates) < 0.1 * rates[0]))
    return f"step {step}", f"{100 * rates[-1] / rates[0]:.1f}"


def bias():
    t = np.arange(1, 1501)
    longest = (1 - 0.9**t) / np.sqrt(1 - 0.999**t)
    return f"{longest.max():.2f}", f"step {t[longest.argmax()]}"


def sign():
    near = np.hypot(*descend(Lion, "ellipse", (-2.57, 1.84), 300, lr=0.05).weights.T)[-30:]
    return f"{near.min():.3f}", f"{near.max():.3f}", f"{0.05 * 2**0.5:.3f}"


def singular():
    def mapped(name, values):
        s = np.array(values) / (1.02 * np.linalg.norm(values) + 1e-6)
        for a, b, c in LISTS[name]:
            s = a * s + b * s**3 + c * s**5
        return s

    five = [name for name, entries in LISTS.items() if len(entries) == 5]
    ends = {name: mapped(name, [1.0, 0.3, 0.1, 0.03, 0.01]) for name in five}
    best = min(five, key=lambda name: abs(ends[name] - 1).max())
    least = {name: mapped(name, [1.0, 0.3, 0.1, 0.03, 0.001])[-1] for name in five}
    highest = max(five, key=least.get)
    return (
        *(f"“{best}”", f"{ends[best].min():.3f}", f"{ends[best].max():.3f}", f"{least[best]:.3f}"),
        *(f"“{highest}”", f"{least[highest]:.3f}"),
    )


def race():
    def below(rule, label, share):
        losses = descend(rule, "valley", None, 300, lr=share * RATES["valley"][label]).losses
        return str(np.argmax(losses < 0.01))

    of_rmsprop, of_adam = (
        [below(rule, rule.__name__.lower(), share) for share in (0.1, 1)] for rule in (RMSprop, Adam)
    )
    return "RMSProp after {} steps instead of {}".format(*of_rmsprop), "Adam after {} instead of {}".format(*of_adam)


def decay():
    x, y = descend(SGD, "apart", (-1.0, -0.5), 400, decay="l2", lr=0.02, weight_decay=1.0).weights[-1]
    assert x == pytest.approx(1, abs=1e-6)
    return ("= 1 ", f"{y:.3f}")


def clipping():
    gradient = np.array([5.0, 0.1])
    return "45°", f"{turned(gradient, by_value(gradient, 0.1)):.1f}°"


def explosion():
    near = abs(descend(SGD, "shifted", (2.4,), 60, lr=1.05, clip_norm=0.5).weights[-20:, 0] - 1)
    assert 0.25 < near.min() < near.max() < (1.05 - 0.5) * 0.5
    return (f"{(1.05 - 0.5) * 0.5:.3f}",)


def norms():
    table = torch.tensor(TABLE, dtype=torch.float64)

    def moved(norm):
        other = table.clone()
        other[1, 2] += 0.5
        return str(int((abs(norm(other) - norm(table)) > 1e-9).sum()))

    batch = moved(lambda x: torch.nn.functional.batch_norm(x, None, None, training=True))
    layer = moved(lambda x: torch.nn.functional.layer_norm(x, (4,)))
    assert layer == moved(lambda x: torch.nn.functional.rms_norm(x, (4,)))
    return f"BatchNorm: {batch}", f"RMSNorm: {layer}"


def sigmoid():
    draws = np.array([*islice(normal(1), 40)])
    largest = abs((draws - draws.mean()) / draws.std()).max()
    return f"{1 / largest:.3f}"[:-1], f"{largest:.2f}"


def batchsize():
    return f"n = {round(1 / 0.2**2)}", f"{1 / 4**0.5:.1f}"


def depth():
    found = measured_by_depth()
    ratios = [found[norm][blocks][-1] / found[norm][blocks][0] for norm in ("post", "pre") for blocks in ("6", "24")]
    return f"post {ratios[0]:.1f} and {ratios[1]:.1f}", f"pre {ratios[2]:.2f} and {ratios[3]:.2f}"


def valley():
    (task,) = (each for each in study()["tasks"] if each["task"] == "tabular")
    shares = [wins(virtual_studies(task, n, seed=1, count=500)[1], task["higher"]) for n in (1, 5)]
    assert all(task["rules"][int(np.argmax(each))]["name"] == "RMSprop" for each in shares)
    return tuple(f"{100 * max(each):.0f}" for each in shares)


FACTS = (
    descent, batches, momentum, adagrad, accumulator, bias, sign, singular, race, decay, clipping, explosion, norms,
    sigmoid, batchsize, depth, valley,
)  # fmt: skip


@pytest.mark.parametrize("facts", FACTS, ids=NAMES)
def test_an_answer_is_true(facts):
    figure = FIGURES[facts.__name__]
    found = facts()
    for fact in found:
        assert fact in figure.answer.en
        numbers = "".join(c if c.isdigit() or c == "." else " " for c in fact).split()
        assert all(number.replace(".", ",") in figure.answer.fr for number in numbers)


def test_one_thread_leads_through_all_figures():
    assert [each.__name__ for each in FACTS] == [*NAMES]
    assert FIGURES[NAMES[0]].thread is None
    for _, name in pairwise(NAMES):
        texts = FIGURES[name].thread
        assert all(text[0].isupper() and text.endswith((".", "!")) for text in texts)
    assert len({figure.question for figure in FIGURES.values()}) == len(NAMES)


def test_questions_answers_and_threads_are_said_in_both_languages():
    texts = [words for each in FIGURES.values() for words in (each.question, each.answer, each.thread) if words]
    texts += [ADAM.title, *(words for words, _ in ADAM.steps)]
    assert all(words.en != words.fr for words in texts)
    # French: a space before what takes one; and no English quotes.
    assert not [words.fr for words in texts if re.search(r"[^\s][:;?!»]|«[^\s]|[“”]", words.fr)]


def test_the_bounds_that_are_derived_are_reached_by_gradients():
    beta1, beta2 = 0.9, 0.999

    def step(gradients):
        t = len(gradients)
        past = np.arange(t)[::-1]
        m = (1 - beta1) * (beta1**past * gradients).sum() / (1 - beta1**t)
        v = (1 - beta2) * (beta2**past * gradients**2).sum() / (1 - beta2**t)
        return abs(m) / np.sqrt(v)

    lone = step(np.eye(1, 20_000, 19_999)[0])
    # Where Cauchy and Schwarz's inequality is an equality.
    growing = step((beta1 / beta2) ** np.arange(20_000.0)[::-1])
    assert lone == pytest.approx((1 - beta1) / np.sqrt(1 - beta2), rel=1e-6)
    bound = (1 - beta1) / np.sqrt((1 - beta2) * (1 - beta1**2 / beta2))
    assert growing == pytest.approx(bound, rel=1e-6)
    said = " ".join(words.en for words, _ in ADAM.steps)
    assert f"{lone:.2f} η" in said
    assert f"{bound:.2f} η" in said
    rng = np.random.default_rng(0)
    assert all(step(rng.normal(size=t) * np.exp(rng.normal(size=t))) <= bound for t in range(1, 200))
