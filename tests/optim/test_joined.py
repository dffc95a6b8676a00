"""One optimizer with several rules, against one optimizer for each rule, side by side on the same gradients."""

import copy
import inspect
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

import thalweg
from attacking import MODES, use, weights
from thalweg.formula import Hyper, Rule, State
from thalweg.optim import Optimizer
from thalweg.schedules import Linear
from thalweg.wrappers import Hyperball

SHAPES = ((3, 3), (5,), (), (7, 2))
HALF = 2
EXACT = {"rtol": 1e-12, "atol": 1e-13}


@thalweg.optimizer
class Scaled(Rule):
    """A rule of matrices that does nothing to them: SGD with momentum."""

    lr = Hyper(0.1)
    momentum = Hyper(0.9)
    m = State("momentum_buffer")

    @staticmethod
    def enter(g, m, momentum):
        m = momentum * m + g
        return {"u": m, "m": m}

    @staticmethod
    def matrix(u):
        return {"o": 1.0 * u}

    @staticmethod
    def step(o, lr):
        return lr * o


def by_hand(params: list[torch.Tensor], main: type[Optimizer], other: object, more: Any, **options: Any) -> Optimizer:
    """The main rule for the first half, another for the second, which says what ``more`` it has."""
    return main([{"params": params[:HALF]}, {"params": params[HALF:], "rule": other, **more}], **options)


def give(params: Iterable[torch.Tensor], seed: int) -> None:
    seeded = torch.Generator().manual_seed(seed)
    for p in params:
        p.grad = torch.randn(p.shape, generator=seeded, dtype=torch.float64).to(p.dtype)


def members(made: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [p for group in made.param_groups for p in group["params"]]


def run(made: Sequence[torch.optim.Optimizer], steps: Iterable[int], clip: float | None = None) -> None:
    """Steps of these, on gradients that depend on a parameter's place among those of all."""
    everyone = [p for each in made for p in members(each)]
    for step in steps:
        give(everyone, step)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(everyone, clip)
        for each in made:
            each.step()


def same(params: Iterable[torch.Tensor], others: Iterable[torch.Tensor]) -> None:
    for p, q in zip(params, others, strict=True):
        torch.testing.assert_close(p, q, **EXACT)


class TestSteps:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("limit", [None, 0.5])
    def test_each_as_torchs_own_under_one_norm(
        self, limit: float | None, mode: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        options = {**use(mode, monkeypatch), **({"clip_norm": limit} if limit else {})}
        params, plain = weights(SHAPES), weights(SHAPES)
        made = by_hand(params, thalweg.AdamW, "SGD", {"lr": 0.2, "momentum": 0.9}, lr=0.1, **options)
        run([made], range(5))
        alone = [
            torch.optim.AdamW(plain[:HALF], lr=0.1, foreach=False),
            torch.optim.SGD(plain[HALF:], lr=0.2, momentum=0.9, foreach=False),
        ]
        run(alone, range(5), limit)
        same(params, plain)
        keys = [{*made.state[p]} for p in (params[0], params[-1])]
        assert keys == [{"step", "exp_avg", "exp_avg_sq"}, {"step", "momentum_buffer"}]

    @pytest.mark.parametrize("name", ["LAMB", "Lion", "Prodigy", "ScheduleFreeAdamW"])
    def test_rules_that_torch_has_not(self, name: str) -> None:
        """Sums by tensor, scalars for all, other weights to test: each stays with its rule, either way round."""
        other = getattr(thalweg, name)
        for main, beside in ((thalweg.SGD, other), (other, thalweg.SGD)):
            params, plain = weights(SHAPES), weights(SHAPES)
            made = by_hand(params, main, beside, {})
            alone = [main(plain[:HALF]), beside(plain[HALF:])]
            run([made], range(4))
            run(alone, range(4))
            same(params, plain)
            for group, each in zip(made.param_groups, alone, strict=True):
                assert {*group} == {*each.param_groups[0], "rule"}  # the scalars of one are not the other's

    def test_three_rules_and_their_averages(self) -> None:
        params, plain = weights(SHAPES), weights(SHAPES)
        named = [{"params": params[1:2], "rule": "lion"}, {"params": params[2:], "rule": "ScheduleFreeSGD"}]
        made = thalweg.AdamW([{"params": params[:1]}, *named], lr=0.1, ema=0.5, ema_warmup=False, maximize=True)
        usual = {"ema": 0.5, "ema_warmup": False, "maximize": True}
        alone = [
            thalweg.AdamW(plain[:1], lr=0.1, **usual), thalweg.Lion(plain[1:2], **usual),
            thalweg.ScheduleFreeSGD(plain[2:], **usual),
        ]  # fmt: skip
        run([made], range(4))
        run(alone, range(4))
        same(params, plain)
        with made.averaged():
            tested = [p.detach().clone() for p in params]
        for each in alone:
            with each.averaged():
                same([tested.pop(0) for _ in members(each)], members(each))

    def test_readouts_are_of_all(self) -> None:
        params, plain = weights(SHAPES), weights(SHAPES)
        asked = {"tail": thalweg.averaged(start=1)}
        made = by_hand(params, thalweg.AdamW, "SGD", {}, readouts=asked)
        alone = [thalweg.AdamW(plain[:HALF], readouts=asked), thalweg.SGD(plain[HALF:], readouts=asked)]
        run([made], range(4))
        run(alone, range(4))
        with made.readout("tail"), alone[0].readout("tail"), alone[1].readout("tail"):
            same(params, plain)
        with pytest.raises(ValueError, match="ScheduleFreeSGD tests other weights of its own"):
            by_hand(weights(SHAPES), thalweg.AdamW, "ScheduleFreeSGD", {}, readouts=asked)

    def test_norms_are_measured_of_all(self) -> None:
        params = weights(SHAPES)
        made = by_hand(params, thalweg.LAMB, "AdamW", {"name": "others"})
        measured = made.watch(every=1)
        run([made], [0])
        squares = [sum(float((p.grad**2).sum()) for p in half) for half in (params[:HALF], params[HALF:])]
        assert measured.read("group")["others"].gradient == pytest.approx(squares[1] ** 0.5, rel=1e-12)
        assert measured.read()["all"].gradient == pytest.approx(sum(squares) ** 0.5, rel=1e-12)

    def test_one_scaler(self) -> None:
        params, plain = weights(SHAPES, torch.float32), weights(SHAPES, torch.float32)
        made = by_hand(params, thalweg.AdamW, "SGD", {"lr": 0.1})
        alone = [torch.optim.AdamW(plain[:HALF]), torch.optim.SGD(plain[HALF:], lr=0.1)]
        for of, optimizers in ((params, [made]), (plain, alone)):
            scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
            for step in range(4):
                scaled = scaler.scale(torch.ones(()))
                give(of, step)
                for p in of:
                    p.grad *= scaled
                if step == 1:
                    of[-1].grad.fill_(torch.inf)  # of both or of neither
                found = []
                for each in optimizers:
                    scaler.unscale_(each)
                    found.append(sum(float(v) for v in scaler._found_inf_per_device(each).values()))
                for each in optimizers if not any(found) else []:
                    scaler.step(each)
                scaler.update() if not any(found) else scaler.update(8.0)
        for p, q in zip(params, plain, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)

    def test_what_is_not_finite_stops_all(self) -> None:
        params = weights(SHAPES)
        made = by_hand(params, thalweg.AdamW, "SGD", {"lr": 0.1}, nonfinite="skip")
        run([made], [0])
        before = [p.detach().clone() for p in params]
        give(params, 1)
        params[-1].grad[0] = torch.nan
        made.step()
        assert made.skipped_steps == 1
        same(params, before)

    def test_hooks_are_told_of_one_step(self) -> None:
        made = by_hand(weights(SHAPES), thalweg.AdamW, "SGD", {})
        told: list[torch.optim.Optimizer] = []
        made.register_step_post_hook(lambda optimizer, *_: told.append(optimizer))
        run([made], [0])
        assert told == [made]


class TestGroups:
    def test_hold_their_rule_and_its_options_alone(self) -> None:
        made = by_hand(weights(SHAPES), thalweg.AdamW, thalweg.SGD(momentum=0.5, lr=3.0), {"lr": 2.0})
        first, second = made.param_groups
        assert (first["rule"], second["rule"]) == ("AdamW", "SGD")
        plain = thalweg.SGD(weights(SHAPES), lr=2.0, momentum=0.5).param_groups[0]
        assert {**second, "params": None} == {**plain, "params": None, "rule": "SGD"}
        assert {*first} == {*thalweg.AdamW(weights(SHAPES)).param_groups[0], "rule"}
        assert made.defaults == thalweg.AdamW(weights(SHAPES)).defaults

    @pytest.mark.parametrize("rule", [{}, {"rule": "AdamW"}, {"rule": thalweg.AdamW}, {"rule": thalweg.AdamW(lr=0.5)}])
    def test_of_one_rule_are_torchs(self, rule: dict[str, Any]) -> None:
        made = thalweg.AdamW([{"params": weights(SHAPES), **rule}])
        assert {*made.param_groups[0]} == {*thalweg.AdamW(weights(SHAPES)).param_groups[0]}
        assert made.param_groups[0]["lr"] == (0.5 if isinstance(rule.get("rule"), thalweg.optim.Configured) else 1e-3)

    def test_are_added_with_and_without_a_rule(self) -> None:
        params = weights(SHAPES)
        made = thalweg.AdamW(params[:1], lr=0.1)
        run([made], [0])
        made.add_param_group({"params": params[1:2], "rule": thalweg.SGD(lr=0.3)})
        made.add_param_group({"params": params[2:3]})
        made.add_param_group({"params": params[3:], "rule": "sgd"})
        assert [group["rule"] for group in made.param_groups] == ["AdamW", "SGD", "AdamW", "SGD"]
        assert [group["lr"] for group in made.param_groups] == [0.1, 0.3, 0.1, 0.3]
        plain = weights(SHAPES)
        adam, sgd = torch.optim.AdamW(plain[:1], lr=0.1), torch.optim.SGD(plain[1:2], lr=0.3)
        give(plain[:1], 0)
        adam.step()
        adam.add_param_group({"params": plain[2:3]})
        sgd.add_param_group({"params": plain[3:]})
        for step in (1, 2):
            give(params, step)
            give(plain, step)
            for each in (made, adam, sgd):
                each.step()
        same(params, plain)

    @pytest.mark.parametrize(
        ("group", "error", "message"),
        [
            ({"rule": "AdamX"}, ValueError, "there is no rule 'AdamX'; did you mean 'adam"),
            ({"rule": 3}, TypeError, "a group's rule is a name, 'AdamW', an optimizer's class"),
            ({"rule": torch.optim.SGD}, TypeError, "a group's rule is a name"),
            ({"rule": "SGD", "betas": (0.9, 0.9)}, TypeError, "SGD takes no 'betas', which a group of it has"),
            ({"rule": "SGD", "momentun": 0.9}, TypeError, "SGD: a group has 'momentun'; did you mean 'momentum'"),
            ({"rule": "SGD", "lr": -1.0}, ValueError, "SGD: lr must be at least 0"),
            ({"rule": "SGD", "clip_norm": 1.0}, TypeError, "belongs to the optimizer as a whole"),
            ({"rule": thalweg.wrap(thalweg.SGD, thalweg.Cautious)}, None, ""),
        ],
    )
    def test_refuse_in_words(self, group: dict[str, Any], error: type[Exception] | None, message: str) -> None:
        made, params = thalweg.AdamW(weights(((3,),))), weights(SHAPES)
        if error is None:
            made.add_param_group({"params": params, **group})
            assert made.param_groups[1]["rule"] == "CautiousSGD"
            return
        with pytest.raises(error, match=message):
            made.add_param_group({"params": params, **group})
        assert len(made.param_groups) == 1
        assert "rule" not in made.param_groups[0]
        run([made], [0])

    def test_two_rules_of_one_name(self) -> None:
        from thalweg.formula import like

        other = thalweg.optimizer(like(thalweg.RMSprop.rule, "tf1"))
        made = by_hand(weights(SHAPES), thalweg.AdamW, "RMSprop", {})
        with pytest.raises(ValueError, match="two of its rules are called RMSprop"):
            made.add_param_group({"params": weights(((2,),)), "rule": other})
        with pytest.raises(ValueError, match="two of its rules are called RMSprop"):
            by_hand(weights(SHAPES), thalweg.RMSprop, other, {})

    def test_a_rule_that_is_written_into_a_group(self) -> None:
        made = by_hand(weights(SHAPES), thalweg.AdamW, "SGD", {})
        made.param_groups[1]["rule"] = "Lion"
        with pytest.raises(ValueError, match="a group's rule is 'Lion', and the optimizer's are AdamW, SGD"):
            run([made], [0])

    def test_a_group_that_changes_its_rule(self) -> None:
        """From then on its step is the other formula's, on the averages that there are."""
        params, plain = weights(SHAPES), weights(SHAPES)
        made = by_hand(params, thalweg.LAMB, "AdamW", {"lr": 0.1, "eps": 1e-6})
        run([made], range(2))
        changed = made.param_groups[1]
        changed.update(always_adapt=False, rule="LAMB")
        del changed["decay"]  # LAMB does its own
        run([made], [2])
        before, after = thalweg.AdamW(plain[HALF:], lr=0.1, eps=1e-6), thalweg.LAMB(plain[HALF:], lr=0.1)
        for step in range(3):
            give(plain, step)
            if step == 2:
                after.load_state_dict({**before.state_dict(), "param_groups": after.state_dict()["param_groups"]})
            (after if step == 2 else before).step()
        same(params[HALF:], plain[HALF:])

    def test_explained_rule_by_rule(self) -> None:
        made = by_hand(weights(SHAPES), thalweg.LAMB, "SGD", {"lr": 0.25, "name": "vectors"}, clip_norm=1.0)
        said = made.explain()
        assert "LAMB and SGD: 2 groups, 4 parameters, 29 weights" in said
        assert "group 0, by LAMB: 2 parameters, 14 weights" in said
        ours, theirs = said.split("group 1 (vectors), by SGD: 2 parameters, 15 weights")
        assert "of_step" in ours
        assert "lr=0.25" in theirs
        assert "exp_avg" not in theirs
        run([made], [0])
        assert "by SGD" in repr(made.explain())


class TestConfigured:
    def test_is_a_value(self) -> None:
        asked = thalweg.AdamW(lr=3e-4, betas=(0.9, 0.95))
        assert repr(asked) == "AdamW(lr=0.0003, betas=(0.9, 0.95))"
        assert asked == thalweg.AdamW(lr=3e-4, betas=(0.9, 0.95)) != thalweg.Lion(lr=3e-4)
        assert asked in {asked}
        for again in (pickle.loads(pickle.dumps(asked)), copy.deepcopy(asked)):
            assert again == asked
        with pytest.raises(AttributeError):
            asked.made = thalweg.Lion  # type: ignore[misc]

    @pytest.mark.parametrize(
        ("listed", "plain"),
        [
            (lambda: thalweg.AdamW(betas=[0.9, 0.95]), lambda: thalweg.AdamW(betas=(0.9, 0.95))),
            (lambda: thalweg.AdamW(betas=np.array([0.5, 0.75])), lambda: thalweg.AdamW(betas=(0.5, 0.75))),
            (
                lambda: thalweg.Muon(coefficients=[[2, -1.5, 0.5]] * 2, split_sizes=[3, 4]),
                lambda: thalweg.Muon(coefficients=((2, -1.5, 0.5),) * 2, split_sizes=(3, 4)),
            ),
        ],
    )
    def test_lists_are_the_same_value_as_tuples(self, listed: Callable[[], Any], plain: Callable[[], Any]) -> None:
        assert listed() == plain()
        assert {listed()} == {plain()}
        assert repr(listed()) == repr(plain())

    def test_is_no_optimizer_and_says_so(self) -> None:
        asked = thalweg.AdamW(lr=3e-4)
        for name in ("step", "zero_grad", "param_groups", "state_dict", "averaged"):
            with pytest.raises(
                AttributeError, match=rf"has no parameters, so it is no optimizer yet and has no {name}"
            ):
                getattr(asked, name)
        assert not hasattr(asked, "nothing")
        with pytest.raises(TypeError, match="is not an Optimizer"):
            lr_scheduler.StepLR(asked, 1)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"lr": -1.0}, ValueError, "AdamW: lr must be at least 0"),
            ({"lrr": 1.0}, TypeError, r"AdamW takes no 'lrr'; did you mean 'lr'\?"),
            ({"wieght_decay": 1.0}, TypeError, r"AdamW takes no 'wieght_decay'; did you mean 'weight_decay'\?"),
            ({"nothing": 1.0}, TypeError, "AdamW takes no 'nothing'; it takes lr,"),
            ({"lr": 1.0, "clip_norm": 1.0}, TypeError, "'clip_norm' belongs to an optimizer as a whole"),
            ({"schedule": Linear(steps=3)}, TypeError, "'schedule' belongs to an optimizer as a whole"),
            ({"readouts": {}}, TypeError, "'readouts' belongs to an optimizer as a whole"),
            ({"amp_fused": True}, TypeError, "'amp_fused' belongs to an optimizer as a whole"),
            ({}, TypeError, "got no parameters"),
        ],
    )
    def test_refuses_at_once(self, options: dict[str, Any], error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            thalweg.AdamW(**options)

    def test_has_conventions(self) -> None:
        made = by_hand(weights(SHAPES), thalweg.AdamW, thalweg.RMSprop(like="tf1", lr=0.5), {})
        plain = thalweg.RMSprop(weights(SHAPES), like="tf1", lr=0.5).param_groups[0]
        assert {**made.param_groups[1], "params": 0} == {**plain, "params": 0, "rule": "RMSprop"}

    def test_every_default_chooses_nothing(self) -> None:
        """Configuration libraries hand over every argument of the signature."""
        every = {name: p.default for name, p in inspect.signature(thalweg.AdamW).parameters.items() if name != "params"}
        whole = {"ema": 0.9, "clip_value": 0.5, "maximize": True}
        made = by_hand(weights(SHAPES), thalweg.LAMB, thalweg.AdamW(**{**every, "lr": 0.25}), {}, **whole)
        assert {key: made.param_groups[1][key] for key in (*whole, "lr")} == {**whole, "lr": 0.25}
        # Who asks for one of them has asked for it.
        made = by_hand(weights(SHAPES), thalweg.LAMB, thalweg.AdamW(ema=None), {}, **whole)
        assert made.param_groups[1]["ema"] is None

    def test_a_constructor_of_ones_own_takes_what_it_takes(self) -> None:
        class Of(thalweg.AdamW):
            def __init__(self, model: torch.nn.Module) -> None:
                super().__init__(model.parameters(), lr=0.5)

        assert Of(model=torch.nn.Linear(2, 2)).param_groups[0]["lr"] == 0.5


def network() -> torch.nn.Sequential:
    """One matrix inside, between an embedding and the output."""
    nn = torch.nn
    made = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    seeded = torch.Generator().manual_seed(3)
    for p in made.parameters():
        torch.nn.init.uniform_(p, -0.5, 0.5, generator=seeded)
    return made.double()


class TestModels:
    @pytest.mark.parametrize("make", [Scaled, lambda model, **how: thalweg.create(Scaled, model, **how)])
    def test_are_routed(self, make: Callable[..., Optimizer]) -> None:
        model, twin = network(), network()
        made = make(model, lr=0.2, others=thalweg.AdamW(lr=0.3, weight_decay=0.5))
        assert [group["rule"] for group in made.param_groups] == ["Scaled", "AdamW", "AdamW"]
        assert [group["param_names"] for group in made.param_groups] == [
            ["1.weight"], ["3.weight"], ["0.weight", "1.bias", "2.weight", "2.bias", "3.bias"],
        ]  # fmt: skip
        matrices, output = [twin[1].weight], [twin[3].weight]
        others = [twin[0].weight, twin[1].bias, twin[2].weight, twin[2].bias, twin[3].bias]
        alone = [
            torch.optim.SGD(matrices, lr=0.2, momentum=0.9, foreach=False),
            torch.optim.AdamW(output, lr=0.3, weight_decay=0.5, foreach=False),
            torch.optim.AdamW(others, lr=0.3, weight_decay=0.0, foreach=False),
        ]
        run([made], range(3))
        run(alone, range(3))
        same(members(made), [*matrices, *output, *others])

    def test_rates_by_depth_are_both_rules(self) -> None:
        nn = torch.nn
        blocks = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.Tanh()) for _ in range(2)), nn.Linear(2, 3))
        made = thalweg.create(Scaled, blocks, lr=0.5, layer_decay=0.5, others=thalweg.AdamW(lr=0.25), depth=[""])
        found = {name: group["lr"] for group in made.param_groups for name in group["param_names"]}
        assert found == {
            "1.0.weight": 0.25, "0.0.weight": 0.125,
            "2.weight": 0.25, "2.bias": 0.25, "1.0.bias": 0.125, "0.0.bias": 0.0625,
        }  # fmt: skip
        assert [group["name"] for group in made.param_groups] == [
            "depth_2_matrices", "depth_1_matrices", "depth_3_others",
            "depth_3_others_no_decay", "depth_2_others_no_decay", "depth_1_others_no_decay",
        ]  # fmt: skip

    @pytest.mark.parametrize("make", [Scaled, lambda model, **how: thalweg.create(Scaled, model, **how)])
    def test_are_overruled_by_a_routing(self, make: Callable[..., Optimizer]) -> None:
        """Which says what is a matrix, how it is read, and what is trained."""
        model = network()
        model[2].requires_grad_(False)
        routing = thalweg.routed(model, matrices=("3.weight",), split_sizes={"1.weight": (1, 3)})
        for again in (routing, copy.copy(routing)):
            made = make(again, lr=0.2, others=thalweg.AdamW(lr=0.3))
            assert [(group["name"], group["rule"], group["param_names"]) for group in made.param_groups] == [
                ("matrices_1+3", "Scaled", ["1.weight"]),
                ("matrices", "Scaled", ["3.weight"]),
                ("others_no_decay", "AdamW", ["0.weight", "1.bias", "3.bias"]),
            ]
            assert [group.get("split_sizes") for group in made.param_groups] == [(1, 3), None, None]
        everything = make(thalweg.routed(model, frozen=True), others="adamw")
        assert [len(group["params"]) for group in everything.param_groups] == [1, 1, 5]

    def test_patterns_of_create_overrule(self) -> None:
        options = {"lr": 0.2, "others": thalweg.AdamW(lr=0.3)}
        made = thalweg.create(Scaled, network(), matrices=("3.weight",), split_sizes={"1.weight": (1, 3)}, **options)
        matrices = [(group["param_names"], group["split_sizes"]) for group in made.param_groups[:2]]
        assert matrices == [(["1.weight"], (1, 3)), (["3.weight"], None)]
        frozen = network().requires_grad_(False)
        made = thalweg.create(Scaled, frozen, matrices=("3.weight",), frozen=True, **options)
        assert made.param_groups[0]["param_names"] == ["1.weight", "3.weight"]

    def test_the_exempt_have_the_options_that_their_rule_knows(self) -> None:
        made_of = thalweg.wrap(Scaled, Hyperball)
        options = {"others": thalweg.AdamW(lr=0.3), "matrices": ("0.weight",)}
        made = thalweg.create(made_of, network(), exempt={"hold_norm": True, "eps": 0.5, "lr_scale": 0.25}, **options)
        spared = [group for group in made.param_groups if group["name"].endswith("no_decay")]
        assert [(g.get("hold_norm"), g.get("eps"), g["lr_scale"]) for g in spared] == [
            (True, None, 0.25), (None, 0.5, 0.25),
        ]  # fmt: skip
        message = r"exempt: 'hold_nrm' is no option of HyperballScaled nor AdamW; did you mean 'hold_norm'\?"
        with pytest.raises(TypeError, match=message):
            thalweg.create(made_of, network(), exempt={"hold_nrm": True}, **options)

    def test_groups_have_names_of_their_own(self) -> None:
        """Matrices that are read otherwise, and those of `routed_groups` the same."""
        nn = torch.nn
        model = nn.Sequential(nn.Linear(3, 4), nn.GRU(4, 5), nn.Conv1d(5, 6, 2), nn.Linear(6, 2))
        made = thalweg.create(Scaled, model, others=thalweg.AdamW(lr=0.3), split_sizes={"0.weight": (2, 2)})
        names = [group["name"] for group in made.param_groups]
        assert names == ["matrices_2+2", "matrices_5+5+5", "matrices_flat", "others", "others_no_decay"]
        routing = thalweg.routed(model, split_sizes={"0.weight": (2, 2)})
        assert [group["name"] for side in thalweg.routed_groups(routing) for group in side] == names

    @pytest.mark.parametrize(
        ("others", "message"),
        [
            (torch.optim.AdamW, r"Scaled: others= is a name, .* got torch.*AdamW; write thalweg\.AdamW$"),
            (torch.optim.SGD(weights(((2,),))), r"that has parameters: it is given without .*; write thalweg\.SGD$"),
            (
                thalweg.Lion(weights(((2,),))),
                r"others= .* got Lion, an optimizer that has parameters: it is given without",
            ),
            (torch.optim.LBFGS, r"got torch\S*LBFGS$"),
            (3, "others= .* got 3$"),
        ],
    )
    def test_refuse_what_is_no_rule_for_others(self, others: object, message: str) -> None:
        with pytest.raises(TypeError, match=message):
            Scaled(network(), others=others)

    def test_refuse_in_words(self) -> None:
        model = network()
        for make in (thalweg.AdamW, lambda *given, **how: thalweg.create("adamw", *given, **how)):
            with pytest.raises(TypeError, match="AdamW is no rule for matrices, so it has no use for a routing"):
                make(thalweg.routed(model))
        with pytest.raises(TypeError, match=r"matrices is said to thalweg\.routed"):
            thalweg.create(Scaled, thalweg.routed(model), others="adamw", matrices=("3.weight",))
        with pytest.raises(TypeError, match="a routing says whether frozen parameters are trained"):
            thalweg.create(Scaled, thalweg.routed(model), others="adamw", frozen=True)
        for make in (Scaled, lambda *given, **how: thalweg.create(Scaled, *given, **how)):
            with pytest.raises(TypeError, match=r"nothing updates '3.weight', and 5 more: say what does, as Scaled\("):
                make(model)
            with pytest.raises(TypeError, match="others= is of a model"):
                make(model.parameters(), others=thalweg.AdamW(lr=1.0))
            with pytest.raises(ValueError, match="this LayerNorm has no matrices to train; use another rule"):
                make(model[2], others=thalweg.AdamW(lr=1.0))
        for make in (thalweg.AdamW, lambda *given, **how: thalweg.create("adamw", *given, **how)):
            with pytest.raises(TypeError, match="AdamW is no rule for matrices"):
                make(model, others=thalweg.AdamW(lr=1.0))
        with pytest.raises(TypeError, match=r"give AdamW\(model.parameters\(\), ...\), or thalweg.create\('adamw'"):
            thalweg.AdamW(torch.nn.Linear(2, 2))
        with pytest.raises(TypeError, match=r"first, got 0.0003: write AdamW\(model.parameters\(\), lr="):
            thalweg.AdamW(3e-4)
        listed = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(2))])  # a module that is a list of parameters
        assert len(thalweg.AdamW(listed).param_groups[0]["params"]) == 1

    @pytest.mark.parametrize("make", [Scaled, lambda model, **how: thalweg.create(Scaled, model, **how)])
    @pytest.mark.parametrize("others", ["soap", thalweg.SOAP, thalweg.SOAP(lr=0.1)])
    def test_refuse_a_second_matrix_rule_for_vectors(self, make: Callable[..., Optimizer], others: object) -> None:
        message = (
            r"Scaled: others= is SOAP, which steps matrices alone too, .* left to it: '1\.bias', and 3 more\. .* "
            r"write Scaled\(model, others=thalweg\.AdamW"
        )
        with pytest.raises(ValueError, match=message):
            make(network(), others=others)
        # Where all that is left are matrices, there is nothing amiss.
        nn = torch.nn
        bare = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 2, bias=False))
        assert [group["rule"] for group in make(bare, others=others).param_groups] == ["Scaled", "SOAP"]

    @pytest.mark.parametrize(("of", "says"), [(Scaled, "Scaled"), (thalweg.AdamW, "SOAP")])
    def test_a_vector_in_a_group_of_a_matrix_rule_is_refused_with_what_to_write(
        self, of: type[Optimizer], says: str
    ) -> None:
        """The optimizer that takes a model is the one of matrices."""
        model = network()
        groups = [{"params": [model[1].weight]}, {"params": [model[1].bias], "rule": "soap"}]
        with pytest.raises(
            ValueError, match=rf"SOAP steps matrices, .* give {says} the model itself, .* {says}\(model"
        ):
            of(groups)

    @pytest.mark.parametrize("make", [Scaled, lambda model, **how: thalweg.create(Scaled, model, **how)])
    def test_frozen_matrices_are_said_to_be_frozen(self, make: Callable[..., Optimizer]) -> None:
        model = network()
        model[1].weight.requires_grad_(False)
        for given in (model, thalweg.routed(model)):
            with pytest.raises(
                ValueError, match=r"has matrices, but they are frozen, '1\.weight' \(requires_grad=False\)"
            ):
                make(given, others="adamw")
        assert make(thalweg.routed(model, frozen=True), others="adamw").param_groups[0]["param_names"] == ["1.weight"]

    def test_parameters_are_all_of_the_rule(self) -> None:
        made = Scaled(p for p in network().parameters() if p.dim() > 1)
        assert [len(group["params"]) for group in made.param_groups] == [3]
        assert "rule" not in made.param_groups[0]


def both(params: list[torch.Tensor], **options: Any) -> Optimizer:
    named = [(f"p{i}", p) for i, p in enumerate(params)]
    groups = [{"params": named[:HALF]}, {"params": named[HALF:], "rule": thalweg.SGD(lr=0.2, momentum=0.9)}]
    return thalweg.AdamW(groups, lr=0.1, **options)


@pytest.mark.parametrize("scheduled", [{}, {"schedule": Linear(steps=9)}])
@pytest.mark.parametrize("taken_out", [True, False])
def test_a_rule_that_is_written_over_is_refused_at_the_step(taken_out: bool, scheduled: dict[str, Any]) -> None:
    made = both(weights(SHAPES), **scheduled)
    give(members(made), 0)
    before = [p.clone() for p in members(made)]
    if taken_out:
        del made.param_groups[1]["rule"]
    else:
        made.param_groups[1]["rule"] = "AdamW"
    with pytest.raises(ValueError, match="group 1 is to be updated by AdamW and has no 'betas': a group's rule"):
        made.step()
    same(members(made), before)
    made.param_groups[1]["rule"] = "SGD"
    made.step()


class TestCheckpoints:
    @pytest.mark.parametrize("how", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
    def test_copies_go_on(self, how: Callable[[Optimizer], Optimizer]) -> None:
        made = both(weights(SHAPES), schedule=Linear(steps=9))
        run([made], range(2))
        again = how(made)
        assert again.schedule == made.schedule
        for each in (made, again):
            each.add_param_group({"params": [("late", weights(((3,),))[0])], "rule": "SGD"})
            run([each], range(2, 4))
        same(members(made), members(again))
        assert [dict(g, params=0) for g in again.param_groups] == [dict(g, params=0) for g in made.param_groups]

    def test_state_dicts_go_on(self) -> None:
        made = both(weights(SHAPES))
        run([made], range(2))
        saved = copy.deepcopy(made.state_dict())
        assert [group["rule"] for group in saved["param_groups"]] == ["AdamW", "SGD"]
        assert type(saved["param_groups"][1]) is dict
        params = [p.detach().clone().requires_grad_() for p in members(made)]
        again = both(params)
        again.load_state_dict(saved)
        for each in (made, again):
            run([each], range(2, 4))
        same(members(made), params)

    def test_of_two_of_torchs_optimizers(self) -> None:
        params, plain = weights(SHAPES), weights(SHAPES)
        alone = [
            torch.optim.AdamW(plain[:HALF], lr=0.1, foreach=False),
            torch.optim.SGD(plain[HALF:], lr=0.2, momentum=0.9, foreach=False),
        ]
        run(alone, range(3))
        made = by_hand(params, thalweg.AdamW, "SGD", {"lr": 7.0}, lr=7.0)
        made.load_state_dict(thalweg.joined_checkpoints(*(each.state_dict() for each in alone)))
        assert [group["rule"] for group in made.param_groups] == ["AdamW", "SGD"]
        with torch.no_grad():
            for p, q in zip(params, plain, strict=True):
                p.copy_(q)
        run([made], range(3, 6))
        run(alone, range(3, 6))
        same(params, plain)

    def test_by_position_of_another_rule_is_refused(self) -> None:
        made = by_hand(weights(SHAPES), thalweg.AdamW, "SGD", {})
        other = by_hand(weights(SHAPES), thalweg.AdamW, "Lion", {})
        with pytest.raises(ValueError, match="group 1 has been updated by SGD, the optimizer's is by Lion"):
            other.load_state_dict(made.state_dict())
        plain = thalweg.AdamW([{"params": group["params"]} for group in made.param_groups])
        with pytest.raises(ValueError, match="group 1 has been updated by SGD, the optimizer's is by AdamW"):
            plain.load_state_dict(made.state_dict())

    def test_by_name_are_routed_anew_where_states_fit(self) -> None:
        """AdamW has its averages from Adam: p1 changes its rule, and its averages go with it."""

        def routed(params: list[torch.Tensor], by_adam: Sequence[int]) -> Optimizer:
            rules = [("Adam", by_adam), ("AdamW", [i for i in range(len(params)) if i not in by_adam])]
            groups = [{"params": [(f"p{i}", params[i]) for i in of], "rule": rule} for rule, of in rules]
            return thalweg.Adam(groups, lr=0.1, ema=0.9, readouts={"tail": thalweg.averaged(start=1)})

        made = routed(weights(SHAPES), [0, 1])
        run([made], range(3))
        again = routed(weights(SHAPES), [0])
        again.load_state_dict(made.state_dict())
        assert [group["param_names"] for group in again.param_groups] == [["p0"], ["p1", "p2", "p3"]]
        assert [group["rule"] for group in again.param_groups] == ["Adam", "AdamW"]
        for p, q in zip(members(made), members(again), strict=True):
            assert made.state[p].keys() == again.state[q].keys()
            same([*made.state[p].values()], [*again.state[q].values()])

    @pytest.mark.parametrize(("before", "after"), [("SGD", "Muon"), ("Muon", "SGD"), ("LAMB", "AdamW")])
    def test_by_name_a_state_of_the_same_key_only_is_refused(self, before: str, after: str) -> None:
        """After 30 gradients of 1 and momentum 0.95 SGD's momentum_buffer is 15.7, a sum, and Muon's 0.785."""

        def of(rule: str) -> Optimizer:
            named = [("a", weights(((3, 3),))[0]), ("b", weights(((3,),))[0])]
            more = {"momentum": 0.95} if rule == "SGD" else {}
            return thalweg.Lion([{"params": named[:1], "rule": rule, **more}, {"params": named[1:]}])

        made = of(before)
        for p in members(made):
            p.grad = torch.ones_like(p)
        made.step()
        fresh = of(after)
        with pytest.raises(ValueError, match=f"is now by {after} .* {before}'s, which may be another average or sum"):
            fresh.load_state_dict(made.state_dict())
        assert not fresh.state

    def test_by_name_the_same_groups_by_other_rules(self) -> None:
        params = weights(SHAPES)
        made = both(params)
        run([made], range(2))
        named = [(f"p{i}", p) for i, p in enumerate(weights(SHAPES))]
        one = thalweg.Adam([{"params": named[:HALF]}, {"params": named[HALF:], "rule": "SGD"}], lr=0.5)
        one.load_state_dict(made.state_dict())
        assert [group["lr"] for group in one.param_groups] == [0.5, 1e-3]  # its own, since they are another rule's
        assert "betas" not in one.param_groups[1]
        same([made.state[params[0]]["exp_avg"]], [one.state[named[0][1]]["exp_avg"]])

    @pytest.mark.parametrize("steps", [1, 0])
    def test_by_name_where_states_do_not_fit(self, steps: int) -> None:
        made = both(weights(SHAPES))
        run([made], range(steps))
        named = [(f"p{i}", p) for i, p in enumerate(weights(SHAPES))]
        other = thalweg.AdamW([{"params": named[:1]}, {"params": named[1:], "rule": "SGD"}])
        plain = thalweg.AdamW(named)
        if not steps:
            plain.load_state_dict(made.state_dict())
            assert "rule" not in plain.param_groups[0]
            other.load_state_dict(made.state_dict())
            return
        with pytest.raises(ValueError, match=r"momentum_buffer.*of AdamW is not among them"):
            plain.load_state_dict(made.state_dict())
        # SGD without momentum has no states to miss; those of AdamW are of no use to it, and do no harm.
        other.load_state_dict(made.state_dict())

    def test_of_one_rule_by_position(self) -> None:
        """AdamW's decay is beside the rule, LAMB's in it: what says the former is not taken over."""
        made = thalweg.AdamW([{"params": part} for part in (weights(SHAPES)[:HALF], weights(SHAPES)[HALF:])])
        run([made], range(2))
        other = by_hand(weights(SHAPES), thalweg.LAMB, "AdamW", {})
        with pytest.warns(UserWarning, match="AdamW's, and LAMB goes on with"):
            other.load_state_dict(made.state_dict())
        assert ["decay" in group for group in other.param_groups] == [False, True]

    def test_of_one_rule_by_name(self) -> None:
        """All of its groups say the same rule, so what its states are is all there is to go by."""
        named = [(f"p{i}", p) for i, p in enumerate(weights(SHAPES))]
        made = thalweg.AdamW(named, lr=0.5)
        run([made], range(2))
        rest = {"params": named[1:]}
        fits = thalweg.LAMB([{"params": named[:1]}, {**rest, "rule": "AdamW"}])
        with pytest.warns(UserWarning, match="AdamW's, and LAMB goes on with 'exp_avg', 'exp_avg_sq' from there"):
            fits.load_state_dict(made.state_dict())
        assert [group["rule"] for group in fits.param_groups] == ["LAMB", "AdamW"]
        same([made.state[p]["exp_avg"] for _, p in named], [fits.state[p]["exp_avg"] for _, p in named])
        other = thalweg.AdamW([{"params": named[:1]}, {**rest, "rule": thalweg.SGD(momentum=0.9)}])
        with pytest.raises(ValueError, match=r"its states are 'exp_avg', 'exp_avg_sq', and 'momentum_buffer' of SGD"):
            other.load_state_dict(made.state_dict())

    def test_a_state_that_another_rule_has_not_kept(self) -> None:
        """Of SGD without momentum there is a step count and nothing else: AdamW cannot go on from that."""
        named = [(f"p{i}", p) for i, p in enumerate(weights(SHAPES))]
        made = thalweg.AdamW([{"params": named[:1]}, {"params": named[1:], "rule": "SGD"}])
        run([made], range(2))
        with pytest.raises(ValueError, match="of one that is now by AdamW 'exp_avg', 'exp_avg_sq' is not among"):
            thalweg.AdamW([(name, p.detach().requires_grad_()) for name, p in named]).load_state_dict(made.state_dict())


def cycling(made: torch.optim.Optimizer, name: str, rates: Sequence[float]) -> Any:
    if name == "OneCycleLR":
        return lr_scheduler.OneCycleLR(made, list(rates), total_steps=8)
    return lr_scheduler.CyclicLR(made, [rate / 10 for rate in rates], list(rates), 2)


class TestSchedulers:
    @pytest.mark.parametrize("name", ["OneCycleLR", "CyclicLR"])
    @pytest.mark.parametrize(("main", "other"), [("AdamW", "SGD"), ("SGD", "AdamW"), ("AdamW", "Adam")])
    def test_momentum_is_cycled_of_each(self, name: str, main: str, other: str) -> None:
        """As torch's scheduler does of torch's optimizers, one for each rule."""
        extra = {"SGD": {"momentum": 0.9}}
        params, plain = weights(SHAPES), weights(SHAPES)
        made = by_hand(params, getattr(thalweg, main), other, extra.get(other, {}), **extra.get(main, {}))
        alone = [
            getattr(torch.optim, each)(of, foreach=False, **{"lr": 0.1, **extra.get(each, {})})
            for each, of in ((main, plain[:HALF]), (other, plain[HALF:]))
        ]
        ours = cycling(made, name, (0.1, 0.3))
        theirs = [cycling(each, name, (rate,)) for each, rate in zip(alone, (0.1, 0.3), strict=True)]
        seen = set()
        for step in range(7):
            run([made], [step])
            run(alone, [step])
            same(params, plain)
            for scheduler in (ours, *theirs):
                scheduler.step()
            for group, each in zip(made.param_groups, alone, strict=True):
                expected = each.param_groups[0]
                assert group["lr"] == expected["lr"]
                for key in ("betas", "momentum"):
                    assert group.get(key) == expected.get(key)
                seen.add(group["betas"][0] if "betas" in group else group["momentum"])
        assert len(seen) > 2

    def test_momentum_goes_on_after_copies_and_checkpoints(self) -> None:
        made = by_hand(weights(SHAPES), thalweg.SGD, "AdamW", {}, momentum=0.9)
        again = by_hand(weights(SHAPES), thalweg.SGD, "AdamW", {}, momentum=0.9)
        again.load_state_dict(made.state_dict())
        for each in (again, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
            lr_scheduler.OneCycleLR(each, 0.1, total_steps=9, max_momentum=0.75)
            assert each.param_groups[1]["betas"] == (0.75, 0.999)
            assert "momentum" not in each.param_groups[1]

    @pytest.mark.parametrize("main", ["AdamW", "SGD"])
    def test_momentum_that_is_not_there(self, main: str) -> None:
        made = by_hand(weights(SHAPES), getattr(thalweg, main), "Adagrad", {})
        with pytest.raises((KeyError, ValueError), match="Adagrad has no momentum that a scheduler could cycle"):
            lr_scheduler.OneCycleLR(made, 0.1, total_steps=9)
        lr_scheduler.OneCycleLR(made, 0.1, total_steps=9, cycle_momentum=False)

    def test_each_group_keeps_its_own_rate(self) -> None:
        made = by_hand(weights(SHAPES), thalweg.AdamW, "SGD", {"lr": 0.4}, lr=0.2)
        scheduler = lr_scheduler.LambdaLR(made, [lambda step: 1 / (1 + step), lambda step: 0.5**step])
        made.step()
        scheduler.step()
        assert [group["lr"] for group in made.param_groups] == [0.1, 0.2]


class TestSchedules:
    def test_rates_begin_at_their_own(self) -> None:
        schedule = Linear(steps=4)
        params, plain = weights(SHAPES), weights(SHAPES)
        made = by_hand(params, thalweg.AdamW, "SGD", {"lr": 0.4}, lr=0.2, schedule=schedule)
        alone = [torch.optim.AdamW(plain[:HALF], foreach=False), torch.optim.SGD(plain[HALF:], foreach=False)]
        for step in range(4):
            for each, first in zip(alone, (0.2, 0.4), strict=True):
                each.param_groups[0]["lr"] = first * schedule.at(step + 1)
            run([made], [step])
            run(alone, [step])
        same(params, plain)
        assert made.param_groups[1]["lr"] == 0.4 * schedule.at(4)
        assert made.schedule == {"lr": schedule}

    @pytest.mark.parametrize(("main", "other"), [("AdamW", "SGD"), ("SGD", "AdamW")])
    def test_momentum_is_each_rules_own(self, main: str, other: str) -> None:
        schedule = Linear(steps=4)
        more = {"SGD": {"momentum": 0.8}, "AdamW": {"betas": (0.8, 0.99)}}
        made = by_hand(
            weights(SHAPES), getattr(thalweg, main), other, more[other], schedule={"momentum": schedule}, **more[main]
        )
        made = pickle.loads(pickle.dumps(made))
        run([made], range(2))
        groups = {group["rule"]: group for group in made.param_groups}
        assert groups["SGD"]["momentum"] == 0.8 * schedule.at(2)
        assert groups["AdamW"]["betas"] == (0.8 * schedule.at(2), 0.99)
        assert "schedule" in made.explain()

    def test_a_number_of_one_rule(self) -> None:
        schedule = Linear(steps=4)
        made = by_hand(weights(SHAPES), thalweg.SGD, "AdamW", {}, schedule={"beta2": schedule})
        run([made], [0])
        assert made.param_groups[1]["betas"] == (0.9, 0.999 * schedule.at(1))
        with pytest.raises(TypeError, match="SGD has no 'beta4' to schedule"):
            by_hand(weights(SHAPES), thalweg.SGD, "AdamW", {}, schedule={"beta4": schedule})
