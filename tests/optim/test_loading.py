"""Checkpoints: found by parameter name, in the types they were saved in, never shared with the checkpoint."""

import inspect
import io
from typing import Any

import pytest
import torch

import thalweg
from thalweg.formula import Decay, Hyper, Rule, State


def network(dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.nn.Sequential:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)).to(dtype)


def train(model: torch.nn.Module, made: torch.optim.Optimizer, steps: int = 3) -> None:
    for seed in range(steps):
        torch.manual_seed(seed)
        for p in model.parameters():
            p.grad = torch.randn_like(p)
        made.step()


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def same_states(one: torch.optim.Optimizer, other: torch.optim.Optimizer, pairs: Any) -> bool:
    return all(
        one.state[p].keys() == other.state[q].keys()
        and all(torch.equal(one.state[p][key], other.state[q][key]) for key in one.state[p])
        for p, q in pairs
    )


@pytest.mark.parametrize("theirs", [False, True])
def test_reordered_parameters_find_their_own(theirs: bool) -> None:
    """torch would give every state to whoever stands in its place, here without a word: all shapes agree."""
    model, twin = network(), network()
    made = (torch.optim.AdamW if theirs else thalweg.AdamW)(model.named_parameters(), lr=0.1)
    train(model, made)
    loaded = thalweg.AdamW(reversed(list(twin.named_parameters())), lr=0.5)
    loaded.load_state_dict(through_a_file(made.state_dict()))
    assert same_states(made, loaded, zip(model.parameters(), twin.parameters(), strict=True))
    assert loaded.param_groups[0]["lr"] == 0.1
    assert loaded.param_groups[0]["param_names"] == [name for name, _ in reversed(list(twin.named_parameters()))]


def test_reordered_groups_find_their_own() -> None:
    model, twin = network(), network()

    def groups(of: torch.nn.Sequential, order: list[int]) -> list[dict[str, Any]]:
        made = [{"params": list(of[i].named_parameters(prefix=str(i))), "lr": 0.1 * (i + 1)} for i in range(2)]
        return [made[i] for i in order]

    made = thalweg.AdamW(groups(model, [0, 1]))
    train(model, made)
    loaded = thalweg.AdamW(groups(twin, [1, 0]))
    for group in loaded.param_groups:
        group["lr"] = 9.0
    loaded.load_state_dict(made.state_dict())
    assert [group["lr"] for group in loaded.param_groups] == [0.2, 0.1]
    assert same_states(made, loaded, zip(model.parameters(), twin.parameters(), strict=True))


def test_names_that_say_nothing_leave_the_order() -> None:
    """As when the checkpoint is of a model inside DistributedDataParallel: module.0.weight for 0.weight."""
    model, twin = network(), network()
    made = thalweg.AdamW([("module." + name, p) for name, p in model.named_parameters()])
    train(model, made)
    loaded = thalweg.AdamW(twin.named_parameters())
    loaded.load_state_dict(made.state_dict())
    assert same_states(made, loaded, zip(model.parameters(), twin.parameters(), strict=True))


def test_other_parameters_are_refused() -> None:
    model = network()
    names = [*"abcd"]
    made = thalweg.AdamW(list(zip(names, model.parameters(), strict=True)))
    other = thalweg.AdamW(list(zip(["a", "b", "c", "e"], network().parameters(), strict=True)))
    with pytest.raises(ValueError, match="nothing for 'e'; it has 'd', which the optimizer has not"):
        other.load_state_dict(made.state_dict())


def test_types_are_kept() -> None:
    """torch casts float32 averages to bfloat16 with their weights (pytorch/pytorch#43706)."""
    model, twin = network(torch.bfloat16), network(torch.bfloat16)
    made = thalweg.AdamW(model.parameters(), lr=0.1)
    train(model, made, 1)
    for p in model.parameters():
        for key in ("exp_avg", "exp_avg_sq"):
            made.state[p][key] = made.state[p][key].float() + 1e-4
    train(model, made)
    loaded = thalweg.AdamW(twin.parameters(), lr=0.1)
    loaded.load_state_dict(through_a_file(made.state_dict()))
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert loaded.state[q]["exp_avg"].dtype == torch.float32
        assert torch.equal(made.state[p]["exp_avg"], loaded.state[q]["exp_avg"])
        q.data.copy_(p.data)
    train(model, made)
    train(twin, loaded)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)


def test_training_leaves_the_checkpoint_alone() -> None:
    model = network()
    made = thalweg.AdamW(model.parameters(), lr=0.1)
    train(model, made)
    checkpoint = through_a_file(made.state_dict())
    before = checkpoint["state"][0]["exp_avg"].clone()
    twins = [network(), network()]
    loaded = [thalweg.AdamW(twin.parameters(), lr=0.1) for twin in twins]
    for each in loaded:
        each.load_state_dict(checkpoint)
    train(twins[0], loaded[0])
    assert torch.equal(checkpoint["state"][0]["exp_avg"], before)
    train(twins[1], loaded[1])
    for p, q in zip(twins[0].parameters(), twins[1].parameters(), strict=True):
        assert torch.equal(p, q)


def test_hooks_change_it_before_and_see_it_after() -> None:
    model, twin = network(torch.bfloat16), network(torch.bfloat16)
    made = thalweg.AdamW(model.parameters(), lr=0.1)
    train(model, made)
    loaded = thalweg.AdamW(twin.parameters(), lr=0.1)
    seen = []

    def double(_optimizer: Any, saved: dict[str, Any]) -> dict[str, Any]:
        states = {k: {**s, "exp_avg": s["exp_avg"].float() * 2} for k, s in saved["state"].items()}
        return {**saved, "state": states}

    loaded.register_load_state_dict_pre_hook(double)
    loaded.register_load_state_dict_post_hook(lambda o: seen.append(o.state[twin[0].weight]["exp_avg"].dtype))
    loaded.load_state_dict(made.state_dict())
    assert seen == [torch.float32]
    assert torch.equal(loaded.state[twin[0].weight]["exp_avg"], made.state[model[0].weight]["exp_avg"].float() * 2)


@pytest.mark.parametrize(
    ("made", "other", "message"),
    [
        (thalweg.SGD, thalweg.AdamW, "its states are 'momentum_buffer', and 'exp_avg', 'exp_avg_sq' of AdamW is not"),
        (torch.optim.RMSprop, thalweg.Adagrad, "its states are 'square_avg', and 'sum' of Adagrad"),
    ],
)
def test_the_states_of_another_optimizer_are_refused(made: Any, other: Any, message: str) -> None:
    """torch would take them without a word, and begin anew at a step that is not the first."""
    model, twin = network(), network()
    begun = made(model.parameters(), lr=0.1, **({"momentum": 0.9} if made is thalweg.SGD else {}))
    train(model, begun)
    fresh = other(twin.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=message):
        fresh.load_state_dict(begun.state_dict())
    assert not fresh.state
    assert fresh.param_groups[0].keys() == other(twin.parameters(), lr=0.1).param_groups[0].keys()


@pytest.mark.parametrize(
    ("made", "other", "message"),
    [
        (thalweg.AdamW, thalweg.Adafactor, "is of AdamW: its eps is 1e-08, and that of Adafactor is 2 numbers"),
        (torch.optim.AdamW, thalweg.Adafactor, "is of another optimizer: its eps is 1e-08"),
        (thalweg.Adafactor, thalweg.AdamW, r"its eps is \(None, 0.001\), and that of AdamW is 1 number\. Load it into"),
        (thalweg.Adafactor, thalweg.CAME, "that of CAME is 2 numbers"),
        (thalweg.AdamW, thalweg.Adan, "its betas is .*, and that of Adan is 3 numbers"),
        (
            thalweg.Adan,
            thalweg.AdamW,
            "that of AdamW is 2 numbers. Load it into an optimizer of the rule that it is of",
        ),
    ],
)
def test_numbers_of_another_form_are_refused(made: Any, other: Any, message: str) -> None:
    """Some of a rule's arguments are several numbers, and another's of the same name one, or more."""
    model, twin = network(), network()
    begun = made(model.parameters())
    train(model, begun)
    fresh = other(twin.parameters())
    with pytest.raises(ValueError, match=message):
        fresh.load_state_dict(through_a_file(begun.state_dict()))
    assert not fresh.state


class TestOfAnotherRule:
    """A checkpoint says the rule that has made it: by its key alone a state may be another average or sum."""

    def saved(self, made: type[torch.optim.Optimizer], **options: Any) -> tuple[torch.nn.Parameter, dict[str, Any]]:
        torch.manual_seed(0)
        (p,) = params = [torch.nn.Parameter(torch.randn(4, 3))]
        p.grad = torch.ones(4, 3)
        begun = made(params, lr=0.1, **options)
        begun.step()
        return torch.nn.Parameter(torch.ones(4, 3)), through_a_file(begun.state_dict())

    @pytest.mark.parametrize(
        ("before", "after"),
        [(thalweg.Muon, thalweg.SGD), (thalweg.SGD, thalweg.Muon), (thalweg.SGD, thalweg.LARS)],
    )
    def test_is_said(self, before: Any, after: Any) -> None:
        p, saved = self.saved(before, **({"momentum": 0.9} if before is thalweg.SGD else {}))
        fresh = after([p], lr=0.1, **({"momentum": 0.9} if after is thalweg.SGD else {}))
        message = f"is {before.__name__}'s, and {after.__name__} goes on with 'momentum_buffer' from there"
        with pytest.warns(UserWarning, match=message) as found:
            fresh.load_state_dict(saved)
        assert found[0].filename == __file__
        assert torch.equal(fresh.state[p]["momentum_buffer"], saved["state"][0]["momentum_buffer"])
        assert "rule" not in fresh.param_groups[0]
        for group in saved["param_groups"]:  # whoever knows better says so
            del group["rule"]
        fresh.load_state_dict(saved)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (thalweg.AdamW, thalweg.Adam),  # which inherits from one declaration
            (thalweg.AdamW, thalweg.wrap(thalweg.AdamW, thalweg.Cautious)),
            (thalweg.Muon, thalweg.NorMuon),
            (thalweg.SGD, thalweg.NAG),
            (torch.optim.Adam, thalweg.RAdam),  # torch's say nothing
        ],
    )
    def test_what_means_the_same_is_loaded_without_a_word(self, before: Any, after: Any) -> None:
        p, saved = self.saved(before, **({"momentum": 0.9} if before is thalweg.SGD else {}))
        fresh = after([p], lr=0.1)
        fresh.load_state_dict(saved)
        assert fresh.state[p].keys() >= saved["state"][0].keys() - {"step"}

    @pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "Adafactor", "Muon"])
    def test_torchs_class_takes_it(self, name: str) -> None:
        if not hasattr(torch.optim, name):
            pytest.skip("this torch has it not")
        p, saved = self.saved(getattr(thalweg, name), **({"like": "torch"} if name == "Muon" else {}))
        assert saved["param_groups"][0]["rule"] == name
        theirs = getattr(torch.optim, name)([p], lr=0.1)
        theirs.load_state_dict(saved)
        p.grad = torch.ones(4, 3)
        theirs.step()
        again = getattr(thalweg, name)([p], lr=0.1)
        again.load_state_dict(through_a_file(theirs.state_dict()))
        again.step()
        assert again.state[p]["step"] == (2 if name in ("SGD", "Muon") else 3)  # those of torch count none

    def test_what_torchs_class_has_gone_on_with_is_torchs(self) -> None:
        """It keeps what it has loaded of a group, also whose it was before."""
        p, saved = self.saved(thalweg.Adam)
        theirs = torch.optim.AdamW([p], lr=0.1)
        theirs.load_state_dict(saved)
        assert theirs.param_groups[0]["rule"] == "Adam"
        p.grad = torch.ones(4, 3)
        theirs.step()
        # An optimizer of two rules would refuse a group that another one had updated.
        q = torch.nn.Parameter(torch.ones(4, 3))
        fresh = thalweg.AdamW([{"params": [p]}, {"params": [q], "rule": "SGD"}])
        both = theirs.state_dict()
        both["param_groups"].append({**fresh.state_dict()["param_groups"][1], "params": [1]})
        fresh.load_state_dict(both)
        assert fresh.state[p]["step"] == 2
        # Nor is there a word of a rule that has not saved it: momentum_buffer of SGD is not LARS's, whose it was once.
        p, saved = self.saved(thalweg.LARS)
        theirs = torch.optim.SGD([p], lr=0.1, momentum=0.9)
        theirs.load_state_dict(saved)
        ours = thalweg.SGD([p], lr=0.1, momentum=0.9)
        ours.load_state_dict(theirs.state_dict())
        assert torch.equal(ours.state[p]["momentum_buffer"], saved["state"][0]["momentum_buffer"])


def test_renamed_states_are_refused() -> None:
    model = network()
    made = thalweg.AdamW(model.parameters(), lr=0.1)
    train(model, made)
    saved = made.state_dict()
    for kept in saved["state"].values():
        kept["expavg"] = kept.pop("exp_avg")
    with pytest.raises(ValueError, match="its states are 'expavg', and 'exp_avg' of AdamW is not among them"):
        made.load_state_dict(saved)


def test_a_state_that_is_missing_alone_is_created() -> None:
    """Momentum that is switched on by a checkpoint's user, and a state that somebody keeps beside ours."""
    model = network()
    made = thalweg.SGD(model.parameters(), lr=0.1)
    train(model, made)
    saved = made.state_dict()
    saved["param_groups"][0]["momentum"] = 0.9
    made.load_state_dict(saved)
    train(model, made)
    assert all("momentum_buffer" in made.state[p] for p in model.parameters())
    beside = made.state_dict()
    for kept in beside["state"].values():
        kept["note"] = torch.ones(2)
    made.load_state_dict(beside)


class TestNamesOfTheCatalogues:
    """A rule of somebody's own that is called as one of the catalogue's is another: nothing is translated."""

    def test_an_own_muon(self) -> None:
        @thalweg.optimizer
        class Muon(Rule):
            lr = Hyper(1e-3)

            @staticmethod
            def step(g, lr):
                return lr * g

        made = Muon([torch.nn.Parameter(torch.ones(3))], lr=0.5)
        assert "ns_steps" not in made.state_dict()["param_groups"][0]
        again = Muon([torch.nn.Parameter(torch.ones(3))])
        again.load_state_dict(through_a_file(made.state_dict()))
        assert again.param_groups[0]["lr"] == 0.5

    def test_an_own_adafactor_with_a_number_d(self) -> None:
        @thalweg.optimizer
        class Adafactor(Rule):
            lr = Hyper(1e-3)
            d = Hyper(1.0)

            @staticmethod
            def step(g, lr, d):
                return lr * d * g

        (p,) = params = [torch.nn.Parameter(torch.ones(3))]
        made = Adafactor(params, lr=0.5, d=0.25)
        p.grad = torch.ones(3)
        made.step()
        assert p.tolist() == [0.875] * 3
        assert "clip_threshold" not in made.state_dict()["param_groups"][0]
        made.load_state_dict(made.state_dict())
        assert made.param_groups[0]["d"] == 0.25

    def test_an_own_adam(self) -> None:
        @thalweg.optimizer
        class Adam(Rule):
            lr = Hyper(1e-3)
            weight_decay = Decay("l2")

            @staticmethod
            def step(g, lr):
                return lr * g

        made = Adam([torch.nn.Parameter(torch.ones(3))])
        assert "decoupled_weight_decay" not in made.state_dict()["param_groups"][0]
        assert "decoupled_weight_decay" not in inspect.signature(Adam).parameters
        assert "decoupled_weight_decay" in inspect.signature(thalweg.Adam).parameters

    def test_an_own_sgd_that_counts_steps(self) -> None:
        """torch's SGD counts none, so a checkpoint without a count is whole; of a rule that asks for it it is not."""

        @thalweg.optimizer
        class SGD(Rule):
            lr = Hyper(1e-3)
            m = State("momentum_buffer")

            @staticmethod
            def prepare(t):
                return {"share": 1.0 / t}

            @staticmethod
            def step(g, m, lr, share):
                m = m + share * g
                return lr * m, m

        (p,) = params = [torch.nn.Parameter(torch.ones(3))]
        made = SGD(params)
        p.grad = torch.ones(3)
        made.step()
        saved = made.state_dict()
        del saved["state"][0]["step"]
        with pytest.raises(KeyError, match="not how many steps it has taken"):
            SGD(params).load_state_dict(saved)


@pytest.mark.parametrize("theirs", [torch.optim.AdamW, thalweg.AdamW])
@pytest.mark.parametrize("ours", [thalweg.SOAP, thalweg.Shampoo])
def test_matrices_of_a_side_do_not_begin_in_the_middle(theirs: Any, ours: Any) -> None:
    """SOAP's axes are found in the first step: with none it would stand still."""
    weights = [torch.nn.Parameter(torch.ones(4, 3)) for _ in range(2)]
    made = theirs(weights[:1])
    weights[0].grad = torch.ones(4, 3)
    made.step()
    other = ours(weights[1:])
    with pytest.raises(ValueError, match=f"but not .* of {ours.__name__}, and matrices that start at 0"):
        other.load_state_dict(made.state_dict())
    other.load_state_dict(ours([torch.nn.Parameter(torch.ones(4, 3))]).state_dict())  # which has not begun
    weights[1].grad = torch.ones(4, 3)
    other.step()
    other.load_state_dict(through_a_file(other.state_dict()))
