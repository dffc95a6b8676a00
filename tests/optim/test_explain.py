"""What an optimizer says it computes: true, complete, and said without touching anything."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import thalweg
from formula_follower import follow
from thalweg.formula.expression import number
from thalweg.formula.text import Line, Story, Walk
from thalweg.optim import Optimizer
from thalweg.optim.explain import served
from thalweg.wrappers import Cautious

Cautiously = thalweg.wrap(thalweg.AdamW, Cautious)

ADAMW = """\
AdamW: 1 group, 4 parameters, 6,004,000 weights
  numbers        lr=0.0003, beta1=0.9, beta2=0.95, eps=1e-08, weight_decay=0.1, clip_norm=1, clip_eps=1e-06,
                 t=1
  state          m is 'exp_avg', v is 'exp_avg_sq'
  compiled       4 parameters, 6,004,000 weights, float32: 4 + 28 = 32 bytes a weight, 192 MB a step
  waiting        for a first gradient: all of them
  pass 1 of 2    reads g
                 squares = sum(g * g)  # of all parameters
  once a step    norm = sqrt(squares)
                 clip_scale = minimum(1, clip_norm / (norm + clip_eps))
                 c1 = 1 - beta1 ** t
                 c2 = 1 - beta2 ** t
  pass 2 of 2    reads w g m v, writes w m v
                 g = clip_scale * g
                 m <- beta1 * m + (1 - beta1) * g
                 v <- beta2 * v + (1 - beta2) * g * g
                 v_hat = v / c2
                 d = lr * (m / c1) / (sqrt(v_hat) + eps)
                 w <- w - (d + lr * weight_decay * w)"""


def parameter(*shape: int, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    seeded = torch.Generator().manual_seed(len(shape) + sum(shape))
    return nn.Parameter(torch.randn(shape, generator=seeded, dtype=torch.float64).to(dtype))


def give(params: Sequence[torch.Tensor], seed: int) -> None:
    seeded = torch.Generator().manual_seed(seed)
    for p in params:
        p.grad = torch.randn(p.shape, generator=seeded, dtype=torch.float64).to(p.dtype)


def labelled(text: str) -> dict[str, list[str]]:
    """The lines under each label, for an optimizer whose groups compute the same."""
    found: dict[str, list[str]] = {}
    label = "head"
    for line in text.splitlines():
        label = line[2:17].strip() or label if line.startswith("  ") else "head"
        found.setdefault(label, []).append(line[17:] if line.startswith("  ") else line)
    return found


def test_adamw_with_a_clip() -> None:
    model = nn.Sequential(nn.Linear(1000, 3000), nn.Linear(3000, 1000))
    made = thalweg.AdamW(model.named_parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, clip_norm=1.0)
    assert made.explain() == ADAMW
    page = Path(__file__).parents[2] / "docs" / "optimizers.md"
    assert f"```\n{ADAMW}\n```" in page.read_text(encoding="utf-8")


def test_it_shows_itself() -> None:
    said = thalweg.SGD([parameter(3)]).explain()
    assert isinstance(said, str)
    assert repr(said) == str(said) == "".join(said)
    assert "\n" in repr(said)


# -- it is true

CASES: list[tuple[type[Optimizer], dict[str, Any]]] = [
    (thalweg.AdamW, {"lr": 0.01, "clip_norm": 1.0}),
    (thalweg.AdamW, {"lr": 0.01, "decay": "l2", "weight_decay": 0.3, "maximize": True, "amsgrad": True}),
    (thalweg.Adam, {"lr": 0.01, "decay": "decoupled", "weight_decay": 0.3, "ema": 0.9}),
    (thalweg.SGD, {"lr": 0.1, "momentum": 0.9, "clip_norm": 0.5, "clip_value": 0.2, "nonfinite": "skip"}),
    (thalweg.SGD, {"lr": 0.1, "clip_norm": 0.5, "clip_scope": "tensor", "clip_eps": 0.1, "nonfinite": "raise"}),
    (thalweg.RMSprop, {"momentum": 0.5, "centered": True, "weight_decay": 0.1, "clear": True, "clip_value": 0.5}),
    (thalweg.RMSprop, {"like": "tf1", "momentum": 0.5}),
    (thalweg.AdamW, {"decay": "independent"}),
    (thalweg.AdamW, {"decay": "corrected"}),
    (thalweg.Lion, {"weight_decay": 0.1, "nonfinite": "raise"}),
    (Cautiously, {"lr": 0.01, "clip_norm": 0.5, "ema": 0.5}),
    *((made, {}) for made in (thalweg.NAdam, thalweg.AdaBound, thalweg.Prodigy, thalweg.LAMB, thalweg.Adan)),
]


def read(text: str) -> tuple[Story, dict[str, float], dict[str, tuple[str, str]]]:
    """The story that a text tells, its numbers, and each state's key and start: from the text alone."""
    walks: list[Walk] = []
    once: list[Line] = []
    label = ""
    numbers: dict[str, float] = {}
    states: dict[str, tuple[str, str]] = {}
    for line in text.splitlines()[1:]:
        label = line[2:17].strip() or label
        said = line[17:]
        if label == "numbers":
            numbers |= {name: float(value) for name, value in re.findall(r"(\w+)=([^,\s]+)", said)}
        elif label == "state":
            found = re.findall(r"(\w+) is '(\w+)'(?: \(starts a[st] ([\w.]+)\))?", said)
            states |= {name: (key, start) for name, key, start in found}
        elif said.startswith("reads "):
            reads, _, writes = said.removeprefix("reads ").partition(", writes ")
            walks.append(Walk(tuple(once), (), tuple(reads.split()), tuple(writes.split())))
            once = []
        elif formula := re.fullmatch(r"(\w+) (=|<-) ([^#]+?)(?:  # .*)?", said):
            made = Line(formula[1], number(formula[3]), formula[2] == "<-")
            if label == "once a step":
                once.append(made)
            else:
                last = walks.pop()
                walks.append(Walk(last.before, (*last.lines, made), last.reads, last.writes))
    return Story(tuple(walks), tuple(once), tuple(numbers)), numbers, states


@pytest.mark.parametrize("scale", [1.0, 128.0])
@pytest.mark.parametrize(("kind", "options"), CASES, ids=lambda x: getattr(x, "__name__", str(x)))
def test_following_the_text_gives_what_the_step_gives(
    kind: type[Optimizer], options: dict[str, Any], scale: float
) -> None:
    """Numbers, formulas, their order and where the states are: all from the text, anew before each step."""
    weight = parameter(33, dtype=torch.float64)
    made = kind([weight], **options)
    made.grad_scale = scale
    for seed in range(4):
        give([weight], seed)
        assert weight.grad is not None
        weight.grad *= scale
        story, numbers, states = read(made.explain())
        tensors = {"w": weight, "g": weight.grad}
        for name, (key, start) in states.items():
            begun = tensors[start] if start in tensors else torch.full((33,), float(start or 0), dtype=torch.float64)
            tensors[name] = dict(made.state[weight]).get(key, begun)
        memory = {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}
        after, scalars = follow(story, memory, numbers)
        made.step()
        kept = {name: made.state[weight][key] for name, (key, _) in states.items()}
        for name, tensor in {"w": weight, "g": weight.grad, **kept}.items():
            np.testing.assert_allclose(after[name], tensor.detach(), rtol=1e-9, atol=1e-14, err_msg=name)
        for name, value in scalars.items():
            stored = made.state[weight].get(name, made.param_groups[0].get(name))
            assert float(stored) == pytest.approx(float(value), rel=1e-9)


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({}, 1),
        ({"clip_norm": 1.0}, 2),
        ({"clip_norm": 1.0, "clip_value": 0.5}, 2),
        ({"nonfinite": "skip"}, 2),
        ({"nonfinite": "raise", "clip_norm": 1.0}, 2),
        ({"nonfinite": "raise", "clip_norm": 1.0, "clip_value": 0.5}, 3),
    ],
    ids=str,
)
@pytest.mark.parametrize(("kind", "more"), [(thalweg.AdamW, 0), (Cautiously, 1)])
def test_passes_are_those_that_are_run(kind: type[Optimizer], more: int, options: dict[str, Any], passes: int) -> None:
    weight = parameter(5)
    made = kind([weight], **options)
    give([weight], 1)
    said = [label for label in labelled(made.explain()) if label.startswith("pass ")]
    assert said == [f"pass {i + 1} of {passes + more}" for i in range(passes + more)]
    made.step()
    assert made._plan is not None
    (planned,) = made._plan.launches
    assert len(planned._tasks) == passes + more  # each pass has a task, made when it is first run


# -- it says who serves whom


class Marked(torch.Tensor):
    """A subclass, as distributed tensors are."""


def test_readers_and_their_reasons() -> None:
    params = {
        "plain": parameter(4, 5),
        "number": parameter(),
        "half": parameter(7, dtype=torch.bfloat16),
        "image": nn.Parameter(torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last)),
        "gaps": nn.Parameter(torch.zeros(10)[::2]),
        "marked": nn.Parameter(torch.zeros(3).as_subclass(Marked)),
        "elsewhere": nn.Parameter(torch.zeros(2, device="meta")),
    }
    for p in params.values():
        p.grad = torch.zeros_like(p)
    made = thalweg.AdamW(params.items(), ema=0.9)
    assert {p.name.strip("'"): p.reader for p in served(made)} == {
        **dict.fromkeys(["plain", "number", "half", "image"], "compiled"),
        **dict.fromkeys(["gaps", "marked", "elsewhere"], "torch"),
    }
    said = labelled(made.explain())
    assert said["compiled"] == [
        "3 parameters, 141 weights, float32: 36 bytes a weight, 5.08 kB a step",
        "1 parameter, 7 weights, bfloat16 (average float32): 22 bytes a weight, 154 bytes a step",
    ]
    assert said["torch"] == [
        "many at once, as its memory has gaps: 1 parameter, 5 weights, 'gaps'",
        "one by one, as it is a Marked: 1 parameter, 3 weights, 'marked'",
        "one by one, as it is on meta: 1 parameter, 2 weights, 'elsewhere'",
    ]
    assert not {"waiting", "refused", "in turn", "copied"} & {*said}


def test_readers_are_those_of_the_plan() -> None:
    params = [parameter(4), nn.Parameter(torch.zeros(10)[::2]), parameter(3, dtype=torch.float64), parameter(2)]
    give(params, 1)
    made = thalweg.SGD(params, momentum=0.9)
    before = [p.reader for p in served(made)]
    made.step()
    assert made._plan is not None
    run = {}
    for planned in made._plan.launches:
        compiled = type(planned).__name__ == "KernelLaunch"
        run |= dict.fromkeys(planned.members.places, "compiled" if compiled else "torch")
    assert before == [p.reader for p in served(made)] == [run[i] for i in range(4)]


def test_what_is_special_is_named() -> None:
    base = torch.zeros(4, 6)
    params = {
        "first": nn.Parameter(base[:2]),
        "second": nn.Parameter(base[1:]),
        "late": parameter(5),
        "turned": parameter(3, 4),
        "wave": nn.Parameter(torch.zeros(3, dtype=torch.complex64)),
    }
    give([params["first"], params["second"]], 1)
    params["turned"].grad = torch.zeros(4, 3).t()
    said = labelled(thalweg.SGD(params.items()).explain())
    assert said["waiting"] == ["for a first gradient: 1 parameter, 5 weights, 'late'"]
    assert said["in turn"] == ["after those whose memory they share: 'second'"]
    assert said["copied"] == ["first, gradients laid out unlike their weights: 'turned'"]
    assert said["refused"] == ["'wave' is complex; use torch.view_as_real to optimise its real and imaginary parts"]


def test_a_state_that_does_not_fit_is_named() -> None:
    made = thalweg.AdamW({"one": parameter(3)}.items())
    made.state[made.param_groups[0]["params"][0]]["exp_avg"] = torch.zeros(4)
    (refused,) = (p.refused for p in served(made))
    assert refused.startswith("'one': the state 'exp_avg' has the shape (4,)")


# -- groups and numbers


def test_groups_that_differ_in_numbers_stand_together() -> None:
    made = thalweg.create("adamw", nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), lr=0.1, weight_decay=0.1)
    said = labelled(made.explain())
    assert said["numbers"] == [
        "lr=0.1, beta1=0.9, beta2=0.999, eps=1e-08, t=1",
        "group 0 (decay): weight_decay=0.1",
        "group 1 (no_decay): weight_decay=0",
    ]
    assert "w <- w - (d + lr * weight_decay * w)" in said["pass 1 of 1"]


@pytest.mark.parametrize(("kind", "line"), [("l2", "g = g + weight_decay * w"), ("decoupled", "w <- w - (d + ")])
def test_decay_of_one_group_is_written_for_all(kind: str, line: str) -> None:
    groups = [{"params": [parameter(3)], "weight_decay": 0.0}, {"params": [parameter(2)], "weight_decay": 0.5}]
    said = thalweg.Adam(groups, decay=kind).explain()
    assert line in said
    assert "group 0: weight_decay=0\n" in said


def test_a_limit_of_one_group_is_written_for_all() -> None:
    groups: list[dict[str, Any]] = [{"params": [parameter(3)]}, {"params": [parameter(2)], "clip_value": 0.5}]
    said = thalweg.SGD(groups).explain()
    assert "g = clip(g, -clip_value, clip_value)" in said
    assert "group 0: clip_value=inf\n" in said


def test_who_decays_and_which_way_is_up_make_a_difference() -> None:
    groups: list[dict[str, Any]] = [
        {"params": [parameter(3)]},
        {"params": [parameter(3)], "maximize": True},
        {"params": [parameter(3)], "decay": "l2"},
    ]
    said = thalweg.AdamW(groups).explain().split("\n\n")
    assert [part.partition(":")[0] for part in said[1:]] == ["group 0", "group 1", "group 2"]
    assert ["g = -g" in part for part in said[1:]] == [False, True, False]
    assert ["g = g + weight_decay * w" in part for part in said[1:]] == [False, False, True]


@pytest.mark.parametrize(
    ("nonfinite", "then"), [("skip", "the step is skipped"), ("raise", "NonFiniteGradient is raised")]
)
def test_what_becomes_of_nonfinite_gradients(nonfinite: str, then: str) -> None:
    said = labelled(thalweg.SGD([parameter(3)], nonfinite=nonfinite).explain())
    assert said["pass 1 of 2"][-1] == f"if a gradient holds nan or infinity, {then}"
    assert not any("nan" in line for line in said["pass 2 of 2"])


def test_groups_that_compute_something_else_stand_apart() -> None:
    groups = [
        {"params": [parameter(3)], "momentum": 0.9},
        {"params": [parameter(2, 2)], "maximize": True},
        {"params": [parameter(5)], "momentum": 0.5, "lr": 0.3},
    ]
    said = thalweg.SGD(groups, lr=0.1).explain().split("\n\n")
    assert [part.splitlines()[0] for part in said] == [
        "SGD: 3 groups, 3 parameters, 12 weights",
        "group 0, group 2: 2 parameters, 8 weights",
        "group 1: 1 parameter, 4 weights",
    ]
    assert "b <- momentum * b" in said[1]
    assert "group 2: lr=0.3, momentum=0.5" in said[1]
    assert "momentum" not in said[2]
    assert "g = -g" in said[2]


def test_numbers_are_those_in_force() -> None:
    weight = parameter(3)
    made = thalweg.AdamW([weight], lr=0.5, clip_norm=1.0)
    for seed in range(3):
        give([weight], seed)
        made.step()
    made.param_groups[0]["lr"] = torch.tensor(0.25)
    made.clip_norm = 7.0
    said = labelled(made.explain())
    assert "lr=0.25, " in said["numbers"][0]
    assert "clip_norm=7" in " ".join(said["numbers"])
    assert "t=4" in " ".join(said["numbers"])
    assert "waiting" not in said
    late = parameter(2)
    made.add_param_group({"params": [late], "lr": 0.25})
    assert "group 1: t=1" in labelled(made.explain())["numbers"]


# -- and touches nothing


def test_nothing_is_compiled_created_or_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "cache"))
    weight = parameter(7)
    made = thalweg.Adagrad([weight], lr=0.123, clip_norm=1.0, ema=0.9, nonfinite="skip")
    said = made.explain()
    assert not made.state
    assert not made.state_dict()["state"]
    assert made._plan is None
    assert not (tmp_path / "cache").exists()
    give([weight], 1)
    made.step()
    made.state.seen = False
    plan = made._plan
    assert made.explain().replace("t=2", "t=1") == said.replace(
        "  waiting        for a first gradient: all of them\n", ""
    )
    assert not made.state.seen
    assert made._plan is plan


def test_steps_are_the_same_with_and_without_it() -> None:
    pairs = [[parameter(7), parameter(3, 3, dtype=torch.bfloat16)] for _ in range(2)]
    for params, asked in zip(pairs, (False, True), strict=True):
        made = thalweg.AdamW(params, lr=0.1, clip_norm=1.0, ema=0.5)
        for seed in range(3):
            give(params, seed)
            if asked:
                made.explain()
            made.step()
    assert all(map(torch.equal, *pairs))


def test_states_by_row_and_column_are_counted() -> None:
    """Of 8 x 8, 8 x 8 and 4 x 8: 20 rows and 24 columns, four bytes each, read and written; CAME has two of each."""
    params = [torch.nn.Parameter(torch.ones(shape)) for shape in ((8, 8), (8, 8), (4, 8), (5,))]
    for made, many in ((thalweg.Adafactor, 1), (thalweg.CAME, 2)):
        told = " ".join(str(made(params).explain()).split())
        weights = 24 if many == 1 else 36
        moved = weights * 160 + many * 2 * 4 * (20 + 24)
        assert f"= {weights} bytes a weight and {many * 352} bytes by row and by column, {moved / 1000:.3g} kB" in told
        assert told.count("by row and by column,") == 1  # the vector has none
