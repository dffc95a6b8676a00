"""The primers are true: every number in their text is computed again, and their figures are what the script draws.

tests/primers/ has a file for each. Its `said` computes the page's numbers without this library, from formulas written
out, torch, scipy and published measurements, and returns pieces of the page with these numbers in them. Each piece has
to stand there, and beside them the text may have no digit: a number that nobody computes fails as a wrong one does.
What blocks print is looked at by test_documents.py; sources, names and addresses are left out.
"""

import importlib
import importlib.util
import inspect
import re
import sys
from functools import lru_cache
from types import ModuleType

import numpy as np
import pytest

from primers import clip, eps, l2_under_adam, noise
from primers.reading import ROOT

FOLDER = ROOT / "docs" / "primers"
PRIMERS = {"eps": eps, "l2-under-adam": l2_under_adam, "clip": clip, "noise": noise}
# Names that have a digit in them.
NAMES = r"float16|float32|bfloat16|TensorFlow 1|Algorithm 1|section 2|tf1|L2|l2"


def prose_of(name: str) -> str:
    """A page in one line, without blocks, sources, addresses, the numbers of lists, and files' names."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8").partition("\n## Sources\n")[0]
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^\d+\. ", "", re.sub(r"\]\([^)]*\)", "]", text), flags=re.MULTILINE)
    return " ".join(text.split())


def left_over(text: str, pieces: list[str]) -> list[str]:
    """What has a digit in it and lies in none of the pieces, with what stands around; each piece has to be there."""
    covered = np.zeros(len(text), dtype=bool)
    for piece in pieces:
        places = [*re.finditer(rf"(?<!\d)(?<!\d\.){re.escape(piece)}(?!\d)", text)]
        assert places, f"this is not what the page says: {piece}"
        for place in places:
            covered[slice(*place.span())] = True
    for place in re.finditer(rf"\b(?:{NAMES})\b", text):
        covered[slice(*place.span())] = True
    return [text[max(0, at - 30) : at + 30] for at, each in enumerate(text) if each.isdecimal() and not covered[at]]


@pytest.mark.parametrize("name", PRIMERS)
def test_every_number_is_computed(name: str) -> None:
    assert not left_over(prose_of(name), PRIMERS[name].said())


def test_the_overview_says_what_the_primers_say() -> None:
    """Each number of docs/primers/index.md with the words that it has in the primer's own first piece."""
    text = prose_of("index")
    g, (large, small, _) = 1e-6, l2_under_adam.taken((1.0, 0.01, 0.0), l2=l2_under_adam.DECAY)
    pieces = [
        f"a first step of {eps.beside_uncorrected(g, eps.KERAS):.2f} lr where torch's takes "
        f"{eps.beside(g, eps.TORCH):.2f}, at their defaults and a gradient of 1e-6.",
        f"`weight_decay={l2_under_adam.DECAY}` of `torch.optim.Adam` takes {small / large:.0f} times",
        f"a gradient of 100 leaves every other one {1 / np.linalg.norm(clip.GRADIENT):.2f} of its step",
        f"The best of 10 equal rules looks better than their mean by {noise.best_of(10):.2f} standard deviations",
    ]
    assert not left_over(text, pieces)
    assert {*re.findall(r"\]\((\S+)\.md\)", (FOLDER / "index.md").read_text())} >= {*PRIMERS}


def test_a_number_that_nobody_computes_is_found() -> None:
    assert left_over("it is 0.24 lr, or 3 times", ["is 0.24 lr"]) == ["it is 0.24 lr, or 3 times"]
    assert left_over("L2 takes 99 in float16", ["takes 99 in"]) == []
    with pytest.raises(AssertionError, match="not what the page says: 24 lr"):
        left_over("it is 0.24 lr", ["24 lr"])


@lru_cache(1)
def pictures() -> ModuleType:
    """The script beside the primers."""
    spec = importlib.util.spec_from_file_location("primers_pictures", FOLDER / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parts_of(svg: str) -> tuple[str, list[float]]:
    """A picture's text without its numbers, and its numbers."""
    number = r"-?\d+\.\d+"
    return re.sub(number, "", svg), [float(each) for each in re.findall(number, svg)]


def test_figures_are_what_the_script_draws() -> None:
    """To a fifth of a pixel: another processor may round the last digit otherwise."""
    drawn = pictures().PICTURES
    assert {*drawn} == {*PRIMERS}
    for name, draw in drawn.items():
        kept, today = parts_of((FOLDER / f"{name}.svg").read_text(encoding="utf-8")), parts_of(draw())
        assert kept[0] == today[0], f"{name}: python docs/primers/pictures.py"
        assert np.allclose(kept[1], today[1], rtol=0, atol=0.2), f"{name}: python docs/primers/pictures.py"
        assert f"]({name}.svg)" in (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def test_curves_go_through_the_numbers_of_the_text() -> None:
    """Of each figure one point, by the same formulas as the text."""
    found: dict[str, list[object]] = {}
    module = pictures()
    kept = module.picture
    try:
        module.picture = lambda title, x, y, curves: found.setdefault(title, curves) and ""
        for draw in module.PICTURES.values():
            draw()
    finally:
        module.picture = kept
    first, decay, clipped, best = found.values()

    def at(curve: object, x: float) -> float:
        return float(np.interp(x, curve.x, curve.y))

    expected = (eps.beside, eps.TORCH), (eps.beside_uncorrected, eps.TF1), (eps.beside_uncorrected, eps.KERAS)
    for curve, (step, number) in zip(first, (*expected, (eps.under, 1e-8)), strict=True):
        assert at(curve, 1e-6) == pytest.approx(step(1e-6, number), rel=1e-6)
    assert [at(curve, 0.1) for curve in decay] == pytest.approx([0.1, 0.01, 0.001, 0.0001], rel=0.05)
    assert [at(curve, 0.5) for curve in clipped] == pytest.approx(clip.left(0.5), rel=0.01)
    for curve, seeds in zip(best, (1, 5, 20), strict=True):
        assert at(curve, 10) == pytest.approx(noise.best_of(10) / seeds**0.5, rel=1e-4)


@pytest.mark.slow
def test_keras_and_optax_are_as_the_primers_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their defaults, the first steps, what float16 does to optax, and what Keras's Adam means by decay."""
    oracles = importlib.import_module("rules.oracles")
    jax, optax, keras = importlib.import_module("jax"), importlib.import_module("optax"), oracles._keras()
    optimizers = keras.optimizers

    def default(of: object, name: str) -> object:
        return inspect.signature(of).parameters[name].default

    assert (default(optimizers.Adam, "epsilon"), default(optax.adam, "eps")) == (eps.KERAS, eps.OPTAX)
    assert (default(optimizers.RMSprop, "epsilon"), default(optax.rmsprop, "eps")) == (
        eps.KERAS_RMSPROP,
        eps.OPTAX_RMSPROP,
    )
    assert (default(optimizers.AdamW, "weight_decay"), default(optax.adamw, "weight_decay")) == (
        l2_under_adam.KERAS,
        l2_under_adam.OPTAX,
    )
    torch = importlib.import_module("torch")
    weight = [torch.ones(1, dtype=torch.float64)]

    def lost(make: object, g: float, **arguments: float) -> float:
        """In a first step, over lr."""
        step = make(weight, {"learning_rate": 1e-3, **arguments})
        return float(1 - step([torch.tensor([g], dtype=torch.float64)], 1.0)[0]) / 1e-3

    g = 1e-6
    assert lost(oracles.keras("Adam"), g) == pytest.approx(eps.beside_uncorrected(g, eps.KERAS), rel=1e-6)
    assert lost(oracles.optax("adam"), g) == pytest.approx(eps.beside(g, eps.OPTAX), rel=1e-6)
    assert lost(oracles.optax("adam"), g, eps=0.0, eps_root=1e-8) == pytest.approx(eps.under(g, 1e-8), rel=1e-6)
    g = 1e-4
    assert lost(oracles.keras("RMSprop"), g) == pytest.approx(eps.rmsprop(g, eps.KERAS_RMSPROP, True), rel=1e-6)
    assert lost(oracles.optax("rmsprop"), g) == pytest.approx(eps.rmsprop(g, eps.OPTAX_RMSPROP, True), rel=1e-6)
    for name in ("Adam", "RMSprop", "SGD"):
        assert lost(oracles.keras(name), 0.0, weight_decay=0.01) == pytest.approx(0.01, rel=1e-6)
    small = optax.adam(1e-3)
    at = jax.numpy.zeros(2, "float16")
    moved, _ = small.update(jax.numpy.array([0.0, 1e-3], "float16"), small.init(at), at)
    assert np.isnan(moved[0])
    assert np.isinf(moved[1])
