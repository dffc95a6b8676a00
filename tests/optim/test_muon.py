"""Muon as an optimizer: beside torch's own, in bfloat16, by batches, on parts of matrices, and what is refused."""

import copy
import json
import pickle
import warnings
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import thalweg
from thalweg.formula import torch_reader
from thalweg.formula.compose import live_states
from thalweg.optim import PlainOperationsWarning, plan, products, surface
from thalweg.wrappers import Cautious

Shape = tuple[int, ...]


def parameters(shapes: Sequence[Shape], dtype: torch.dtype = torch.float64, seed: int = 0) -> list[torch.nn.Parameter]:
    drawn = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=drawn).to(dtype)) for shape in shapes]


def stepped(made: torch.optim.Optimizer, steps: int = 1, seed: int = 9) -> torch.Tensor:
    """The weights, side by side, after steps with drawn gradients."""
    drawn = torch.Generator().manual_seed(seed)
    params = [p for group in made.param_groups for p in group["params"]]
    for _ in range(steps):
        for p in params:
            p.grad = torch.randn(p.shape, generator=drawn).to(p.dtype)
        made.step()
    return torch.cat([p.detach().flatten().double() for p in params])


SIZES: tuple[Shape, ...] = ((64, 64), (64, 256), (256, 64), (33, 129))


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("scale", ["original", "rms"])
def test_steps_as_torch(scale: str, nesterov: bool) -> None:
    """Products in bfloat16, as there: steps differ by what that rounds."""
    theirs = {"original": "original", "rms": "match_rms_adamw"}[scale]
    ours, other = parameters(SIZES, torch.float32), parameters(SIZES, torch.float32)
    start = torch.cat([p.detach().flatten().double() for p in ours])
    options: dict[str, Any] = {"lr": 0.02, "weight_decay": 0.0, "nesterov": nesterov}
    found = stepped(thalweg.Muon(ours, like="torch", scale=scale, products="bfloat16", **options), 3) - start
    expected = stepped(torch.optim.Muon(other, adjust_lr_fn=theirs, **options), 3) - start
    assert (found - expected).norm() < 0.03 * expected.norm()


def test_a_bfloat16_buffer_keeps_its_values() -> None:
    """torch.optim.Muon without Nesterov takes the buffer itself for what it normalises, and leaves that in it."""
    ours, theirs = parameters([(32, 32)], torch.bfloat16), parameters([(32, 32)], torch.bfloat16)
    made = thalweg.Muon(ours, like="torch", nesterov=False, products="bfloat16")
    other = torch.optim.Muon(theirs, nesterov=False)
    grad = 100 * torch.randn(32, 32, generator=torch.Generator().manual_seed(1)).bfloat16()
    ours[0].grad, theirs[0].grad = grad, grad.clone()
    made.step()
    other.step()
    right = 0.05 * float(grad.double().norm())
    assert float(made.state[ours[0]]["momentum_buffer"].double().norm()) == pytest.approx(right, rel=1e-2)
    wrong = float(other.state[theirs[0]]["momentum_buffer"].double().norm())
    assert wrong == pytest.approx(1.0, rel=1e-2) or wrong == pytest.approx(right, rel=1e-2)  # mended in a later torch


def test_the_gram_form_is_the_plain_one() -> None:
    sizes: tuple[Shape, ...] = ((64, 256), (256, 64), (96, 160))
    for dtype, near in ((torch.float64, 1e-10), (torch.float32, 0.05)):
        for coefficients in ("keller", "polar-express", "you"):
            found = []
            for gram in (True, False):
                params = parameters(sizes, dtype)
                start = torch.cat([p.detach().flatten().double() for p in params])
                made = thalweg.Muon(params, gram=gram, products="bfloat16", coefficients=coefficients)
                found.append(stepped(made) - start)
            assert (found[0] - found[1]).norm() < near * found[1].norm(), (dtype, coefficients)


@pytest.mark.parametrize("falls", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_the_gram_form_stays_where_the_plain_one_does(falls: float) -> None:
    """However singular values fall off: in bfloat16, with one new beginning alone, some grew to 200."""
    drawn = torch.Generator().manual_seed(4)
    u, _ = torch.linalg.qr(torch.randn(96, 96, generator=drawn, dtype=torch.float64))
    v, _ = torch.linalg.qr(torch.randn(320, 96, generator=drawn, dtype=torch.float64))
    gradient = ((u * torch.arange(1, 97, dtype=torch.float64) ** -falls) @ v.T).float()
    for coefficients in ("keller", "you", "polar-express", "polar-express-1.05", "polar-express-1.01", "turbo"):
        norms = []
        for gram in (True, False):
            weight = torch.nn.Parameter(torch.zeros_like(gradient))
            options: dict[str, Any] = {"gram": gram, "coefficients": coefficients, "products": "bfloat16"}
            made = thalweg.Muon([weight], lr=1.0, scale="none", weight_decay=0.0, **options)
            weight.grad = gradient
            made.step()
            norms.append(float(torch.linalg.matrix_norm(weight.detach().double(), 2)))
        assert norms[0] < 1.05 * norms[1], coefficients


def test_batches_are_each_alone() -> None:
    """What is multiplied together comes out as alone: in a batch, in a stack of experts, at other step counts."""
    shapes: tuple[Shape, ...] = ((5, 8), (5, 8), (8, 5), (3, 5, 8), (5, 8))
    together, alone = parameters(shapes), parameters(shapes)
    made, each = thalweg.Muon(together), [thalweg.Muon([p]) for p in alone]
    drawn = torch.Generator().manual_seed(2)
    for step in range(6):
        for i, (a, b, one) in enumerate(zip(together, alone, each, strict=True)):
            a.grad = torch.randn(a.shape, generator=drawn, dtype=a.dtype) if (step + i) % 3 else None
            b.grad = None if a.grad is None else a.grad.clone()
            one.step()
        made.step()
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


def test_experts_without_a_gradient_stay() -> None:
    """And nothing that their memory held before reaches anybody."""
    params = parameters([(4, 6)] * 3, torch.float32)
    made = thalweg.Muon(params)
    for p in params:
        p.grad = torch.full_like(p, float("nan"))
    made.step()  # what is written now is nan
    with torch.no_grad():
        for p in params:
            p.fill_(1.0)
            made.state[p]["momentum_buffer"].zero_()
    before = made.state[params[1]]["momentum_buffer"].clone(), params[1].detach().clone()
    params[0].grad, params[1].grad, params[2].grad = torch.eye(4, 6), None, torch.eye(4, 6)
    made.step()
    assert torch.equal(made.state[params[1]]["momentum_buffer"], before[0])
    assert torch.equal(params[1], before[1])
    assert float(made.state[params[1]]["step"]) == 1
    assert params[0].isfinite().all()
    assert torch.equal(params[0], params[2])


@pytest.mark.parametrize("sizes", [(4, 4, 4), (6, 3, 3)])
@pytest.mark.parametrize("rule", [thalweg.Muon, thalweg.NorMuon])
def test_blocks_of_rows_are_matrices_of_their_own(rule: Any, sizes: tuple[int, ...]) -> None:
    whole = parameters([(12, 8), (12, 8)])
    cut = [torch.nn.Parameter(part.clone()) for p in whole for part in torch.split(p.detach(), sizes)]
    made, apart = rule(whole, split_sizes=sizes), rule(cut)
    drawn = torch.Generator().manual_seed(3)
    for _ in range(4):
        for p in whole:
            p.grad = torch.randn(p.shape, generator=drawn, dtype=p.dtype)
        grads = [part.clone() for p in whole if p.grad is not None for part in torch.split(p.grad, sizes)]
        for p, g in zip(cut, grads, strict=True):
            p.grad = g
        made.step()
        apart.step()
    torch.testing.assert_close(torch.cat([p.detach() for p in whole]), torch.cat([p.detach() for p in cut]))


def test_convolutions_are_flattened_and_three_dimensions_where_it_is_asked() -> None:
    for shape, flat in (((6, 4, 3, 3), False), ((6, 4, 3), True)):
        (deep,) = parameters([shape])
        wide = torch.nn.Parameter(deep.detach().reshape(6, -1).clone())
        found = stepped(thalweg.NorMuon([deep], flat=flat), 3)
        torch.testing.assert_close(found, stepped(thalweg.NorMuon([wide]), 3), rtol=0, atol=1e-14)


@pytest.mark.parametrize("read_by", ["kernels", "torch"])
@pytest.mark.parametrize("sizes", [None, (4, 4, 4), (6, 3, 3)])
@pytest.mark.parametrize("rule", [thalweg.Muon, thalweg.NorMuon, thalweg.SOAP, thalweg.Shampoo])
def test_transposed_weights_step_as_their_transposes(rule: Any, sizes: tuple[int, ...] | None, read_by: str) -> None:
    """Rows and columns, the scale, what is kept of a side, and where a fused layer is cut, are those of its outputs."""
    if sizes is not None and rule in (thalweg.SOAP, thalweg.Shampoo):
        pytest.skip("blocks of columns have no state of a side each")
    # Of SOAP's axes those that a first gradient says nothing of are anybody's: it gets squares, which have none.
    rows = 8 if rule is thalweg.SOAP else 12
    shapes: list[Shape] = [(rows, 8), (rows, 8), (2, rows, 8)]
    upright = parameters(shapes)
    turned = [torch.nn.Parameter(p.detach().mT.contiguous()) for p in upright]
    if read_by == "torch":  # which serves what has gaps
        turned = [torch.nn.Parameter(torch.stack([p.detach(), p.detach()], -1)[..., 0]) for p in turned]
    of, made = rule(upright, split_sizes=sizes), rule(turned, split_sizes=sizes, transposed=True)
    drawn = torch.Generator().manual_seed(3)
    plan._warn_of_plain_operations.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PlainOperationsWarning)
        for _ in range(4):
            for p, q in zip(upright, turned, strict=True):
                p.grad = torch.randn(p.shape, generator=drawn, dtype=p.dtype)
                q.grad = p.grad.mT.contiguous()
            of.step()
            made.step()
    for p, q in zip(upright, turned, strict=True):
        torch.testing.assert_close(q.mT, p, rtol=0, atol=1e-12)
    kept = [{key: value.shape for key, value in made.state[q].items()} for q in turned]
    straight = [{key: value.shape for key, value in of.state[p].items()} for p in upright]
    assert all(a[k] == b[k] for a, b, p in zip(kept, straight, upright, strict=True) for k in b if b[k] != p.shape)


def test_a_model_is_routed_and_its_matrices_are_read_as_it_says() -> None:
    nn = torch.nn
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(4, 6, 3), nn.Flatten(), nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 2)).double()
    made = thalweg.Muon(model, lr=0.01, others=thalweg.AdamW(lr=3e-4))
    read = {name: group for group in made.param_groups for name in group["param_names"]}
    assert {name: group["rule"] for name, group in read.items()} == {
        "0.weight": "Muon", "2.weight": "Muon", "0.bias": "AdamW", "2.bias": "AdamW", "3.weight": "AdamW",
        "3.bias": "AdamW", "4.weight": "AdamW", "4.bias": "AdamW",
    }  # fmt: skip
    assert (read["0.weight"]["flat"], read["2.weight"]["flat"]) == (True, False)
    by_hand = copy.deepcopy(model)
    own = dict(by_hand.named_parameters())
    matrices = [own.pop("0.weight"), own.pop("2.weight")]
    alone = [
        thalweg.Muon([{"params": [matrices[0]], "flat": True}, {"params": [matrices[1]]}], lr=0.01),
        torch.optim.AdamW([own.pop("4.weight")], lr=3e-4, weight_decay=0.01, foreach=False),
        torch.optim.AdamW([*own.values()], lr=3e-4, weight_decay=0.0, foreach=False),
    ]
    drawn = torch.Generator().manual_seed(1)
    for _ in range(3):
        for p, q in zip(model.parameters(), by_hand.parameters(), strict=True):
            p.grad = torch.randn(p.shape, generator=drawn, dtype=p.dtype)
            q.grad = p.grad.clone()
        made.step()
        for each in alone:
            each.step()
    for p, q in zip(model.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-12)


def test_what_is_no_matrix_is_refused() -> None:
    bias = torch.nn.Parameter(torch.ones(3))
    with pytest.raises(
        ValueError,
        match=r"'bias' is a vector of 3: .*\(model, others=thalweg.AdamW.*\"rule\": \"AdamW\"",
    ):
        thalweg.Muon([("bias", bias)])
    with pytest.raises(ValueError, match=r"parameter 0 of group 0 .* is a single number"):
        thalweg.SOAP([torch.nn.Parameter(torch.tensor(1.0))])
    made = thalweg.Muon(parameters([(2, 2)]))
    with pytest.raises(ValueError, match="is a vector of 3"):
        made.add_param_group({"params": [bias]})
    assert len(made.param_groups) == 1


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ({"ns_steps": 5}, r"coefficients=\(\(3.4445, -4.775, 2.0315\),\) \* steps"),
        ({"ns_coefficients": (3.0, -4.0, 2.0)}, r"coefficients=\(\(a, b, c\),\) \* steps"),
        ({"adjust_lr_fn": "match_rms_adamw"}, "scale='rms'"),
        ({"adjust_lr_fn": None}, "scale='original'"),
    ],
)
def test_torchs_arguments_are_named_in_our_words(given: dict[str, Any], instead: str) -> None:
    match = f"an argument of torch.optim.Muon: it is .*{instead}; thalweg.Muon\\(..., like='torch'\\) has"
    for made in (thalweg.Muon, thalweg.NorMuon, thalweg.wrap(thalweg.Muon, Cautious)):
        with pytest.raises(TypeError, match=match):
            made(parameters([(2, 2)]), **given)
    with pytest.raises(TypeError, match=match):
        thalweg.Muon([{"params": parameters([(2, 2)]), **given}])


@pytest.mark.parametrize(
    ("rule", "asked", "meant"),
    [(thalweg.Muon, "betas", "momentum"), (thalweg.Muon, "other", "others"), (thalweg.AdamW, "momentum", "betas")],
)
def test_an_unknown_argument_says_what_may_be_meant(rule: Any, asked: str, meant: str) -> None:
    with pytest.raises(TypeError, match=f"takes no '{asked}'; it takes lr, .*; did you mean '{meant}'\\?$"):
        rule(parameters([(2, 2)]), **{asked: 0.9})


def test_splits_that_do_not_fit_are_refused() -> None:
    params = parameters([(6, 4)])
    with pytest.raises(ValueError, match=r"split_sizes=\(2, 2\) are 4 rows together, and parameter 0 .* has 6"):
        thalweg.Muon(params, split_sizes=(2, 2))
    with pytest.raises(ValueError, match="split_sizes are the rows of each block"):
        thalweg.Muon(params, split_sizes=(3.5, 2.5))
    with pytest.raises(ValueError, match="no 'left' each, which SOAP keeps by left: leave split_sizes out"):
        thalweg.SOAP(params, split_sizes=(2, 4))
    with pytest.raises(ValueError, match="products is one of bfloat16, float32, got 'float16'"):
        thalweg.Muon(params, products="float16")
    with pytest.raises(ValueError, match="products is one of float32, got 'bfloat16'"):
        thalweg.SOAP(params, products="bfloat16")


def test_checkpoints_of_torchs_class() -> None:
    """Each loads the other's, goes on in the other's form, and needs no more than that it has the class's name."""
    ours, theirs = parameters(SIZES, torch.float32), parameters(SIZES, torch.float32)
    options: dict[str, Any] = {"lr": 0.02, "momentum": 0.9, "ns_steps": 4, "adjust_lr_fn": "match_rms_adamw"}
    other = torch.optim.Muon(theirs, **options)
    stepped(other, 2)
    for p, q in zip(ours, theirs, strict=True):
        p.data.copy_(q)
    made = thalweg.Muon(ours, products="bfloat16")
    made.load_state_dict(other.state_dict())
    group = made.param_groups[0]
    assert (group["lr"], group["momentum"], group["scale"], group["floor"]) == (0.02, 0.9, "rms", "floored")
    assert group["coefficients"] == ((3.4445, -4.775, 2.0315),) * 4
    assert group["products"] == "bfloat16"
    before = torch.cat([p.detach().flatten().double() for p in ours])
    found, expected = stepped(made, 2) - before, stepped(other, 2) - before
    assert (found - expected).norm() < 0.03 * expected.norm()
    back = torch.optim.Muon(parameters(SIZES, torch.float32))
    back.load_state_dict(made.state_dict())
    assert {key: back.param_groups[0][key] for key in options} == options
    stepped(back)
    made.load_state_dict(made.state_dict())  # with torch's keys, which are not ours
    assert "ns_steps" not in made.param_groups[0]


@pytest.mark.parametrize("theirs", [True, False])
def test_how_parameters_are_read_is_no_checkpoints(theirs: bool) -> None:
    """Neither torch's class, which knows nothing of it, nor a checkpoint from before it was said changes that."""
    read = {"transposed": True, "split_sizes": (4, 4, 4), "flat": True}
    before = torch.optim.Muon if theirs else thalweg.Muon
    saved = before(parameters([(4, 12)], torch.float32), lr=0.02)
    stepped(saved)
    made = thalweg.Muon([{"params": parameters([(4, 12)], torch.float32), **read}], lr=1.0)
    made.load_state_dict(saved.state_dict())
    group = made.param_groups[0]
    assert ({key: group[key] for key in read}, group["lr"]) == (read, 0.02)
    kept = made.state[group["params"][0]]["momentum_buffer"]
    assert torch.equal(kept, saved.state_dict()["state"][0]["momentum_buffer"])


def test_the_element_type_of_products_is_kept_as_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_of_processor", lambda: "float32")
    made = thalweg.Muon(parameters([(4, 4)], torch.float32))
    assert made.param_groups[0]["products"] == "float32"
    monkeypatch.setattr(products, "_of_processor", lambda: "bfloat16")
    other = thalweg.Muon(parameters([(4, 4)], torch.float32))
    assert other.param_groups[0]["products"] == "bfloat16"
    assert "in bfloat16" in other.explain()
    other.load_state_dict(made.state_dict())  # as it was trained
    assert other.param_groups[0]["products"] == "float32"
    assert pickle.loads(pickle.dumps(made)).param_groups[0]["products"] == "float32"


def test_float64_is_multiplied_in_float64() -> None:
    found = [stepped(thalweg.Muon(parameters(SIZES), products=kind), 2) for kind in ("bfloat16", "float32")]
    assert torch.equal(*found)


def test_other_layouts_are_the_torch_readers() -> None:
    """A row has to be a run of memory; a transposed weight steps as its contiguous copy."""
    (plain,) = parameters([(6, 9)])
    turned = torch.nn.Parameter(plain.detach().t().contiguous().t())
    plan._warn_of_plain_operations.cache_clear()
    made = thalweg.Muon([turned])
    assert "its rows do not lie one after the other in memory" in made.explain()
    with pytest.warns(PlainOperationsWarning, match="its rows do not lie one after the other in memory"):
        found = stepped(made, 3)
    torch.testing.assert_close(found, stepped(thalweg.Muon([plain]), 3), rtol=0, atol=1e-12)


def test_a_bad_gradient_leaves_no_trace() -> None:
    params = parameters([(4, 6), (6, 4)])
    made = thalweg.NorMuon(params, nonfinite="raise", clip_norm=1.0, ema=0.9)
    stepped(made)
    before = copy.deepcopy((params, made.state_dict()["state"]))
    params[1].grad = torch.full_like(params[1], float("inf"))
    with pytest.raises(thalweg.NonFiniteGradient):
        made.step()
    for p, q in zip(params, before[0], strict=True):
        assert torch.equal(p, q)
    for number, kept in made.state_dict()["state"].items():
        assert all(torch.equal(value, before[1][number][key]) for key, value in kept.items())


def test_wrappers_see_the_step() -> None:
    """Cautious leaves out what goes against the gradient, and enlarges the rest: of the step after the products."""
    shapes: tuple[Shape, ...] = ((4, 6), (6, 4))
    params, plain = parameters(shapes), parameters(shapes)
    made = thalweg.wrap(thalweg.Muon, Cautious)(params, weight_decay=0.0)
    other = thalweg.Muon(plain, weight_decay=0.0)
    for number in range(3):
        for p, q in zip(params, plain, strict=True):
            q.data.copy_(p)
        before = torch.cat([p.detach().flatten() for p in params])
        stepped(other, seed=number)
        d = before - torch.cat([p.detach().flatten() for p in plain])
        stepped(made, seed=number)
        g = torch.cat([p.grad.flatten() for p in params if p.grad is not None])
        agree = d * g > 0
        expected = torch.cat(
            [
                torch.where(same, part, 0.0) * same.numel() / max(int(same.sum()), 1)
                for part, same in zip(d.split(24), agree.split(24), strict=True)
            ]
        )
        torch.testing.assert_close(before - torch.cat([p.detach().flatten() for p in params]), expected)


def test_numbers_by_group_and_step_count() -> None:
    """Groups with numbers of their own, joined late, are each multiplied with theirs."""
    first, late = parameters([(4, 6)]), parameters([(4, 6)], seed=1)
    made = thalweg.NorMuon(first, lr=0.1, beta2=0.5)
    alone = [thalweg.NorMuon([torch.nn.Parameter(first[0].detach().clone())], lr=0.1, beta2=0.5)]
    alone += [thalweg.NorMuon([torch.nn.Parameter(late[0].detach().clone())], lr=0.3, beta2=0.9)]
    drawn = torch.Generator().manual_seed(2)
    for step in range(5):
        if step == 2:
            made.add_param_group({"params": late, "lr": 0.3, "beta2": 0.9})
        for p, one in zip([*first, *late][: 1 + (step >= 2)], alone, strict=False):
            p.grad = torch.randn(p.shape, generator=drawn, dtype=p.dtype)
            one.param_groups[0]["params"][0].grad = p.grad.clone()
            one.step()
        made.step()
    for p, one in zip([*first, *late], alone, strict=True):
        torch.testing.assert_close(p, one.param_groups[0]["params"][0], rtol=1e-12, atol=1e-13)


def test_states_have_the_shapes_they_are_declared_with() -> None:
    params = parameters([(4, 6), (2, 4, 6), (4, 2, 3, 3)], torch.bfloat16)
    for made in (thalweg.NorMuon(params, longer_side=True), thalweg.SOAP(params), thalweg.Shampoo(params)):
        stepped(made)
        values = torch_reader.values_of(made.rule, **surface.settings(made.rule, made.param_groups[0]))
        for p in params:
            now = torch_reader.begin(made.rule, p.detach(), values)
            for name, state in live_states(made.rule, values).items():
                kept = made.state[p][state.key]
                assert kept.shape == now.states[name].shape
                assert kept.dtype == (torch.float32 if state.dtype else torch.bfloat16)


def test_it_says_how_it_multiplies() -> None:
    told = thalweg.Muon(parameters([(8, 8), (8, 8), (24, 8)]), products="bfloat16").explain()
    assert "matrices       2 of 8 x 8\n" in told
    assert "matrices       1 of 24 x 8 (tall, by_gram)\n" in told
    assert "for a, b, c in coefficients[3:]:  # polar-express: (3.2858, -2.3681, 0.46449), (2.3465, " in told
    plain = thalweg.Muon(parameters([(8, 8)]), like="keller").explain()
    lines = [line.strip() for line in plain.splitlines()]
    at = lines.index("for a, b, c in coefficients:  # keller: (3.4445, -4.775, 2.0315) 5 times")
    assert lines[at + 1 : at + 3] == ["y = x @ transpose(x)", "x = a * x + (b * y + c * (y @ y)) @ x"]


def test_no_process_waits_for_another_to_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another may make more optimizers, or groups, or none."""

    def collective(*_: Any, **__: Any) -> None:
        raise AssertionError("a constructor waited for other processes")

    for name, answer in (("is_initialized", True), ("get_world_size", 2)):
        monkeypatch.setattr(torch.distributed, name, lambda answer=answer: answer)
    for name in ("broadcast", "broadcast_object_list", "all_reduce", "all_gather_object"):
        monkeypatch.setattr(torch.distributed, name, collective)
    monkeypatch.setattr(products, "_of_processor", lambda: "bfloat16")
    made = thalweg.Muon(parameters([(4, 4)], torch.float32))
    stepped(made)
    made.load_state_dict(made.state_dict())
    assert made.param_groups[0]["products"] == "bfloat16"


@pytest.mark.parametrize(
    ("devices", "capability", "expected"),
    [
        (["cuda"], (8, 0), "bfloat16"),
        (["cuda"], (7, 5), "float32"),
        (["cuda", "cpu"], (9, 0), "float32"),
        (["mps"], (9, 0), "float32"),
        (["cpu"], (9, 0), "float32"),
    ],
)
def test_the_device_of_the_parameters_decides(
    monkeypatch: pytest.MonkeyPatch, devices: Sequence[str], capability: tuple[int, int], expected: str
) -> None:
    """Here beside a processor without instructions for bfloat16."""
    monkeypatch.setattr(products, "_of_processor", lambda: "float32")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    group: dict[str, Any] = {
        "products": None,
        "params": [SimpleNamespace(device=torch.device(device)) for device in devices],
    }
    products.decided(thalweg.Muon.rule, group)
    assert group["products"] == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("flags\t: fma avx2 avx512f avx512_bf16", "bfloat16"),
        ("Features\t: asimd sve i8mm bf16 dgh", "bfloat16"),
        ("flags\t: fma avx2 avx512f", "float32"),
    ],
)
def test_processors_say_that_they_multiply_bfloat16(monkeypatch: pytest.MonkeyPatch, told: str, expected: str) -> None:
    for name in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda: False, raising=False)
    monkeypatch.setattr(products.Path, "read_text", lambda *_, **__: told)
    assert products._of_processor.__wrapped__() == expected


def edited(made: Any) -> None:
    made.param_groups[0]["split_sizes"] = (4, 8)


def test_splits_that_are_said_later_are_refused_before_anything_is_written() -> None:
    """Stacks were made for fewer rows than were written into them."""
    (weight,) = parameters([(16, 4)])
    made = thalweg.Muon([("query", weight)])
    edited(made)
    weight.grad, before = torch.ones_like(weight), weight.detach().clone()
    assert "split_sizes=(4, 8) are 12 rows together, and 'query' has 16" in made.explain()
    with pytest.raises(ValueError, match=r"Muon: split_sizes=\(4, 8\) are 12 rows together, and 'query' has 16"):
        made.step()
    assert torch.equal(weight, before)
    assert not any(made.state.values())


def test_a_launch_refuses_splits_that_do_not_cover_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    (weight,) = parameters([(16, 4)])
    made = thalweg.Muon([weight])
    edited(made)
    weight.grad = torch.ones_like(weight)
    monkeypatch.setattr(products, "refuse", lambda *_: None)
    with pytest.raises(ValueError, match=r"split_sizes=\(4, 8\) are not all rows of a \(16, 4\)"):
        made.step()


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_biases_that_had_no_shape_are_refused_at_the_first_step() -> None:
    model = torch.nn.LazyLinear(5)
    made = thalweg.Muon(model.named_parameters())
    model(torch.ones(2, 3)).sum().backward()
    with pytest.raises(ValueError, match="Muon steps matrices, and 'bias' is a vector of 5"):
        made.step()


def test_groups_that_went_through_json_step_as_before() -> None:
    """JSON has no tuples."""
    found = []
    for through_json in (True, False):
        made = thalweg.Muon(parameters([(8, 4)]), split_sizes=(2, 6), coefficients=[(3.4445, -4.775, 2.0315)] * 5)
        saved = made.state_dict()
        if through_json:
            saved["param_groups"] = json.loads(json.dumps(saved["param_groups"]))
        made.load_state_dict(saved)
        assert made.param_groups[0]["split_sizes"] == (2, 6)
        assert made.param_groups[0]["coefficients"] == ((3.4445, -4.775, 2.0315),) * 5
        found.append(stepped(made))
        made.param_groups[0]["split_sizes"] = [2, 6]
        made.param_groups[0]["coefficients"] = [[3.4445, -4.775, 2.0315]] * 5
        found.append(stepped(made))
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[3])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("scale", "rmss", "Muon: scale is one of rms, .*, got 'rmss'; did you mean 'rms'"),
        ("coefficients", ((1.0, -3.0, 0.0),), "Muon: coefficients=.* the step would go up the gradient"),
        ("products", "float16", "Muon: products is one of bfloat16, float32, got 'float16'"),
        ("coefficients", [(2.0, -1.5, 0.5)] * 101, "Muon: coefficients has 101 entries, .* give at most 100"),
        ("split_sizes", [4.0, 4.0], "Muon: split_sizes are the rows of each block"),
    ],
)
def test_choices_that_are_made_later_are_checked(key: str, value: Any, message: str) -> None:
    (weight,) = parameters([(8, 4)])
    made = thalweg.Muon([weight])
    stepped(made)
    before, usual = weight.detach().clone(), made.param_groups[0][key]
    made.param_groups[0][key] = value
    for _ in range(2):  # and not only the first time
        with pytest.raises(ValueError, match=message):
            made.step()
    assert torch.equal(weight, before)
    made.param_groups[0][key] = usual
    made.step()
    assert not torch.equal(weight, before)


def test_a_list_may_be_long_and_not_longer() -> None:
    """Each entry is one level deeper; whatever calls, a list that is taken has to be read to its end."""
    stepped(thalweg.Muon(parameters([(4, 8)]), coefficients=[(2.0, -1.5, 0.5)] * 100))
    with pytest.raises(ValueError, match="Muon: coefficients has 300 entries, one for each step; give at most 100"):
        thalweg.Muon(parameters([(4, 8)]), coefficients=[(2.0, -1.5, 0.5)] * 300)


@pytest.mark.parametrize(("value", "problem"), [(2.5, "must be a whole number, got 2.5"), (0.0, "must be at least 1")])
def test_a_number_by_which_steps_are_counted_is_checked_when_written_later(value: float, problem: str) -> None:
    (weight,) = parameters([(8, 4)])
    made = thalweg.SOAP([weight])
    stepped(made)
    before = weight.detach().clone()
    made.param_groups[0]["frequency"] = value
    for _ in range(2):
        with pytest.raises(ValueError, match=f"SOAP: frequency {problem}"):
            made.step()
    assert torch.equal(weight, before)
    made.param_groups[0]["frequency"] = 2
    made.step()
    assert not torch.equal(weight, before)


@pytest.mark.parametrize("clip", [{"clip_value": 1e6}, {"clip_norm": 1.0}], ids=lambda clip: next(iter(clip)))
@pytest.mark.parametrize("rule", [thalweg.Muon, thalweg.NorMuon, thalweg.SOAP, thalweg.Shampoo])
def test_clips_keep_squares_from_overflow(rule: Any, clip: dict[str, float]) -> None:
    """Beyond 1.8e19 a norm of float32 is infinite: what it divides is 0, and averages of squares are lost."""
    found = []
    for options in ({}, clip):
        weight = torch.nn.Parameter(torch.zeros(6, 8))
        made = rule([weight], weight_decay=0.0, **options)
        for seed in range(3):
            weight.grad = 1e25 * torch.randn(6, 8, generator=torch.Generator().manual_seed(seed))
            made.step()
        found.append(float(weight.detach().norm()))
    assert not found[0] > 0
    assert 0.001 < found[1] < 10
