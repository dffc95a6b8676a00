"""A model's layers become ours and torch's again, and nothing else about it changes."""

import copy
from typing import Any

import pytest
import torch
from norm_cases import apart, drawn
from torch import nn

import thalweg.nn
from thalweg.nn import Change, Conversion, convert

PAIRS: list[tuple[str, tuple[Any, ...], tuple[int, ...]]] = [
    ("BatchNorm1d", (4,), (3, 4)),
    ("BatchNorm2d", (4,), (3, 4, 5, 5)),
    ("BatchNorm3d", (4,), (3, 4, 2, 3, 3)),
    ("LayerNorm", (6,), (3, 6)),
    ("RMSNorm", (6,), (3, 6)),
]


def stack() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Sequential(nn.Flatten(), nn.LayerNorm(64)),
        nn.Linear(64, 5), nn.RMSNorm(5),
    )  # fmt: skip


def classes(model: nn.Module) -> list[type[nn.Module]]:
    return [type(module) for module in model.modules()]


class Own(nn.LayerNorm):
    """A user's."""


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize(("name", "args", "shape"), PAIRS)
def test_every_pair_and_back(name: str, args: tuple[Any, ...], shape: tuple[int, ...]) -> None:
    theirs, ours = getattr(nn, name), getattr(thalweg.nn, name)
    model = theirs(*args)
    x = drawn(shape, 1, torch.float32)
    model(x)
    kept = {key: id(value) for key, value in model.__dict__.items()}
    entries = [*model.parameters(), *model.buffers()]
    before = copy.deepcopy(model)
    made = convert(model)
    assert made == Conversion((Change("", f"torch.nn.{name}", f"thalweg.nn.{name}"),), (), True)
    assert type(model) is ours
    assert {key: id(value) for key, value in model.__dict__.items()} == kept
    assert all(mine is theirs for mine, theirs in zip(entries, [*model.parameters(), *model.buffers()], strict=True))
    assert repr(model) == repr(before)
    assert apart(model(x), before(x)) < 1e-6
    back = convert(model, "torch")
    assert back == Conversion((Change("", f"thalweg.nn.{name}", f"torch.nn.{name}"),), (), True)
    assert type(model) is theirs
    assert apart(model.eval()(x), before.eval()(x)) < 1e-6


@pytest.mark.usefixtures("kernels")
def test_nested_models_train_as_before() -> None:
    plain = stack().double()
    model = copy.deepcopy(plain)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)  # made before, goes on working
    reference = torch.optim.SGD(plain.parameters(), lr=1e-2, momentum=0.9)
    made = convert(model)
    assert [change.name for change in made.changed] == ["1", "3.1", "5"]
    for step in range(5):
        x = drawn((7, 1, 4, 4), step)
        for net, opt in ((model, optimizer), (plain, reference)):
            opt.zero_grad()
            net(x).sub(1).square().mean().backward()
            opt.step()
    for mine, theirs in zip(model.state_dict().values(), plain.state_dict().values(), strict=True):
        assert apart(mine, theirs) < 1e-9
    x = drawn((7, 1, 4, 4), 9)
    plain.load_state_dict(model.state_dict())
    assert apart(model.eval()(x), plain.eval()(x)) < 1e-12
    assert not any(module.training for module in model.modules())
    convert(model, "torch")
    assert classes(model) == classes(plain)
    assert torch.equal(model(x), plain(x))


def test_what_is_ours_already_is_no_change() -> None:
    model = stack()
    assert convert(model, "torch") == Conversion((), (), True)
    convert(model)
    assert convert(model) == Conversion((), (), True)


def test_a_tied_layer_is_converted_once() -> None:
    norm = nn.LayerNorm(4)
    model = nn.ModuleDict({"a": norm, "b": nn.Sequential(norm)})
    assert [change.name for change in convert(model).changed] == ["a"]
    assert model["a"] is model["b"][0]
    assert type(norm) is thalweg.nn.LayerNorm
    assert [change.name for change in convert(model, rms=True).changed] == ["a"]
    assert type(norm) is thalweg.nn.RMSNorm


def test_a_tied_weight_stays_tied() -> None:
    model = nn.Sequential(nn.LayerNorm(4), nn.LayerNorm(4))
    model[1].weight = model[0].weight
    convert(model, rms=True)
    assert model[1].weight is model[0].weight
    assert len(list(model.parameters())) == 1


def test_hooks_and_own_attributes_stay() -> None:
    model = nn.Sequential(nn.LayerNorm(4), nn.BatchNorm1d(4))
    seen: list[str] = []
    for module in model:
        module.register_forward_hook(lambda module, args, out: seen.append(type(module).__module__))
        module.register_full_backward_hook(lambda module, grad_in, grad_out: seen.append("backward"))
        module.mine = "kept"
    convert(model)
    model(torch.randn(3, 4, requires_grad=True)).sum().backward()
    assert seen == ["thalweg.nn.layers", "thalweg.nn.layers", "backward", "backward"]
    assert [module.mine for module in model] == ["kept", "kept"]
    weight = model[0].weight
    weight.requires_grad_(False)
    convert(model, "torch")
    assert model[0].weight is weight
    assert not weight.requires_grad


def test_what_is_left_is_listed() -> None:
    model = nn.Sequential(
        nn.GroupNorm(2, 4), nn.InstanceNorm1d(4), nn.SyncBatchNorm(4), Own(4), nn.LocalResponseNorm(2), nn.Linear(2, 2),
        nn.LazyBatchNorm1d(),
    )  # fmt: skip
    before = classes(model)
    made = convert(model)
    assert classes(model) == before
    assert made.changed == ()
    assert made.left == (
        ("0", "torch.nn.GroupNorm"),
        ("1", "torch.nn.InstanceNorm1d"),
        ("2", "torch.nn.SyncBatchNorm"),
        ("3", "Own"),
        ("4", "torch.nn.LocalResponseNorm"),
        ("6", "torch.nn.LazyBatchNorm1d"),
    )
    assert made.same


def test_a_parametrized_layer_is_left() -> None:
    model = nn.Sequential(nn.LayerNorm(4))
    nn.utils.parametrize.register_parametrization(model[0], "weight", nn.Softplus())
    made = convert(model)
    assert [name for name, _ in made.left] == ["0"]
    assert made.changed == ()


def test_the_report() -> None:
    model = nn.Sequential(nn.LayerNorm(4), nn.ModuleDict({"inner": Own(4)}))
    assert str(convert(model)) == (
        "0        torch.nn.LayerNorm -> thalweg.nn.LayerNorm\n"
        "1.inner  left as it is: Own"
    )  # fmt: skip
    assert str(convert(nn.BatchNorm1d(2))) == "(the model)  torch.nn.BatchNorm1d -> thalweg.nn.BatchNorm1d"
    assert str(convert(nn.Linear(2, 2))) == "no normalisation layers"
    assert str(convert(nn.LayerNorm(2), rms=True)) == (
        "(the model)  torch.nn.LayerNorm -> thalweg.nn.RMSNorm\n"
        "The model computes another function now: RMSNorm takes no mean off and adds no bias."
    )


class TestRms:
    @pytest.mark.parametrize("to", ["thalweg", "torch"])
    @pytest.mark.parametrize("options", [{}, {"bias": False}, {"elementwise_affine": False}, {"eps": 0.5}], ids=str)
    def test_layernorm_becomes_rmsnorm(self, to: Any, options: dict[str, Any]) -> None:
        for kind in (nn.LayerNorm, thalweg.nn.LayerNorm):
            model = nn.Sequential(kind(6, **options))
            weight, eps = model[0].weight, model[0].eps
            made = convert(model, to, rms=True)
            assert not made.same
            after = thalweg.nn.RMSNorm if to == "thalweg" else nn.RMSNorm
            assert type(model[0]) is after
            assert model[0].weight is weight
            affine = options.get("elementwise_affine", True)
            assert [name for name, _ in model.named_parameters()] == ["0.weight"] * affine
            x = drawn((3, 6), 1, torch.float32)
            assert torch.equal(model(x), nn.functional.rms_norm(x, (6,), weight, eps))
            model[0].reset_parameters()
            fresh = after(6, eps=eps, elementwise_affine=affine)
            assert repr(model[0]) == repr(fresh)
            fresh.load_state_dict(model[0].state_dict(), strict=True)

    def test_others_stay_and_are_the_same(self) -> None:
        made = convert(nn.Sequential(nn.BatchNorm1d(3), Own(3)), rms=True)
        assert made.same
        assert [change.after for change in made.changed] == ["thalweg.nn.BatchNorm1d"]
        assert made.left == (("1", "Own"),)

    @pytest.mark.parametrize("to", ["thalweg", "torch"])
    def test_a_transformer_in_eval_mode(self, to: Any) -> None:
        model = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        convert(model, to, rms=True)
        x = drawn((2, 3, 8), 1, torch.float32)
        expected = model.train()(x)
        with torch.no_grad():
            assert apart(model.eval()(x), expected) < 1e-5


class TestRefused:
    def test_what_is_no_module(self) -> None:
        with pytest.raises(TypeError, match=r"takes a torch\.nn\.Module, got dict"):
            convert({"a": nn.LayerNorm(2)})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="got type"):
            convert(nn.LayerNorm)  # type: ignore[arg-type]

    def test_another_target(self) -> None:
        model = stack()
        before = classes(model)
        with pytest.raises(ValueError, match="to must be 'thalweg' or 'torch', got 'keras'"):
            convert(model, "keras")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            convert(model, "torch", True)  # type: ignore[misc]
        assert classes(model) == before


def gradients(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.usefixtures("kernels")
class TestTransformers:
    @pytest.mark.parametrize("norm_first", [False, True])
    @pytest.mark.parametrize("padded", [False, True])
    @pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning")
    @pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
    def test_torchs_encoder(self, norm_first: bool, padded: bool) -> None:
        torch.manual_seed(1)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=norm_first)
        plain = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(16)).double()
        model = copy.deepcopy(plain)
        assert len(convert(model).changed) == 5
        x = drawn((3, 5, 16), 1)
        mask = torch.arange(5).expand(3, 5) >= torch.tensor([[5], [3], [4]]) if padded else None
        found = []
        for net in (model, plain):
            y = net.train()(x, src_key_padding_mask=mask)
            y.sub(1).pow(4).sum().backward()
            found.append([y, gradients(net)])
            with torch.no_grad():
                found[-1].append(net.eval()(x, src_key_padding_mask=mask))  # the fast path
            found[-1].append(net(x, src_key_padding_mask=mask))
        for mine, theirs in zip(*found, strict=True):
            assert apart(mine, theirs) < 1e-9

    @pytest.mark.slow
    def test_hugging_faces(self) -> None:
        transformers = pytest.importorskip("transformers")
        small = {"vocab_size": 50}
        gpt = transformers.GPT2Config(n_layer=2, n_head=2, n_embd=16, n_positions=32, **small)
        bert = transformers.BertConfig(
            num_hidden_layers=2, num_attention_heads=2, hidden_size=16, intermediate_size=32, **small
        )
        for kind, config in ((transformers.GPT2Model, gpt), (transformers.BertModel, bert)):
            torch.manual_seed(1)
            plain = kind(config).double().eval()
            model = copy.deepcopy(plain)
            assert len(convert(model).changed) == 5
            tokens = torch.arange(14).view(2, 7)
            found = []
            for net in (model, plain):
                y = net(tokens).last_hidden_state
                y.sub(1).pow(4).sum().backward()
                found.append([y, gradients(net)])
            for mine, theirs in zip(*found, strict=True):
                assert apart(mine, theirs) < 1e-9
            assert list(model.state_dict()) == list(plain.state_dict())
