"""The Trainer of Hugging Face transformers: both ways to hand it an optimizer, a schedule, and resuming."""

import gc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import EVERY, MADE, SHARED, SPAN, divided
from torch.utils.data import DataLoader
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
    default_data_collator,
    get_scheduler,
)

import thalweg
from thalweg.formula.rule import decay_kind

STEPS = 6


@pytest.fixture(scope="module", autouse=True)
def imported_things_are_no_garbage() -> Iterator[None]:
    """The Trainer collects garbage before it trains, and walks all of transformers for it: 0.3 s each time."""
    gc.freeze()
    yield
    gc.unfreeze()


def bert(dropout: float = 0.0) -> Any:
    """A BERT of 955 weights with all kinds of layers; the same weights each time."""
    sizes = {"vocab_size": 20, "hidden_size": 8, "intermediate_size": 16, "max_position_embeddings": 8}
    drops = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    config = BertConfig(**sizes, **drops, num_hidden_layers=1, num_attention_heads=2, num_labels=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BertForSequenceClassification(config)


def sentences() -> list[dict[str, Any]]:
    seeded = torch.Generator().manual_seed(1)
    words = torch.randint(0, 20, (24, 6), generator=seeded)
    return [{"input_ids": w, "attention_mask": torch.ones_like(w), "labels": w[0] % 3} for w in words]


def trainer(folder: Path, model: Any = None, options: Mapping[str, Any] | None = None, **how: Any) -> Trainer:
    arguments = TrainingArguments(
        output_dir=str(folder),
        **{
            "max_steps": STEPS,
            "per_device_train_batch_size": 4,
            "learning_rate": 0.01,
            "weight_decay": 0.1,
            "warmup_steps": 2,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            "dataloader_pin_memory": False,
            **(options or {}),
        },
    )
    return Trainer(model or bert(), arguments, train_dataset=sentences(), **how)


def at(model: Any) -> torch.Tensor:
    return torch.cat([p.detach().double().reshape(-1) for p in model.parameters()])


def moved(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The distance, relative to how far training moved the weights."""
    return float((found - expected).norm() / (expected - at(bert())).norm())


def handed_over(folder: Path, make: Callable[[Any], torch.optim.Optimizer], **options: Any) -> Trainer:
    """``optimizers=(optimizer, schedule)``, the optimizer made of the model."""
    model = bert(options.pop("dropout", 0.0))
    made = make(model)
    schedule = get_scheduler("linear", made, num_warmup_steps=2, num_training_steps=STEPS)
    return trainer(folder, model, options, optimizers=(made, schedule))


def each_rule_and(what: str, first: str, second: str) -> pytest.MarkDecorator:
    """Rules that span the ways of a step both ways, the others one way: to an optimizer the two are the same."""
    cases = [
        pytest.param(*case.values, way, marks=case.marks)
        for case in divided(EVERY)
        for way in (first, second)[: 1 + (case.values[0] in SPAN)]
    ]
    return pytest.mark.parametrize(("name", what), cases)


@pytest.mark.parametrize("name", divided(SHARED, ("SGD", "AdamW")))
def test_handed_over(name: str, tmp_path: Path) -> None:
    found = []
    for made_by, options in ((getattr(thalweg, name), {}), (getattr(torch.optim, name), {"foreach": False})):
        options = {**options, **SHARED[name]}
        run = handed_over(tmp_path, lambda m, made_by=made_by, options=options: made_by(m.parameters(), **options))
        run.train()
        found.append(at(run.model))
    assert moved(*found) < 1e-3


@pytest.mark.parametrize("name", divided(SHARED, ("SGD", "AdamW")))
def test_made_by_the_trainer(name: str, tmp_path: Path) -> None:
    """``optimizer_cls_and_kwargs``: the Trainer makes two groups, of weights that decay and of biases and norms."""
    found = []
    for made_by, options in ((getattr(thalweg, name), {}), (getattr(torch.optim, name), {"foreach": False})):
        options = {**options, **{k: v for k, v in SHARED[name].items() if k != "weight_decay"}}
        run = trainer(tmp_path, optimizer_cls_and_kwargs=(made_by, options))
        run.train()
        groups = run.optimizer.param_groups
        assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(11, 0.1), (14, 0.0)]
        found.append(at(run.model))
    assert moved(*found) < 1e-3


@each_rule_and("precision", "float32", "bf16")
def test_is_the_plain_loop(name: str, precision: str, tmp_path: Path) -> None:
    """With the Trainer's clip by norm, to the bit."""
    half = precision == "bf16"
    options = {"max_grad_norm": 0.1, "bf16": half, "train_sampling_strategy": "sequential"}
    run = handed_over(tmp_path, lambda m: MADE[name](m.parameters(), lr=0.01, **EVERY[name]), **options)
    run.train()
    expected = by_hand(lambda m: MADE[name](m.parameters(), lr=0.01, **EVERY[name]), half)
    assert torch.equal(at(run.model), expected)


def by_hand(make: Callable[[Any], torch.optim.Optimizer], half: bool = False) -> torch.Tensor:
    """The weights that the Trainer's loop ends with, written out: a linear schedule, clipped by a norm of 0.1."""
    model = bert()
    made = make(model)
    schedule = get_scheduler("linear", made, num_warmup_steps=2, num_training_steps=STEPS)
    for batch in DataLoader(sentences(), 4, collate_fn=default_data_collator):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = model(**batch).loss
        loss.backward()
        assert torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1) > 0.1
        made.step()
        schedule.step()
        made.zero_grad()
    return at(model)


@each_rule_and("way", "handed over", "made by the trainer")
def test_resumed_from_a_checkpoint(name: str, way: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"save_strategy": "steps", "save_steps": 3}
    if decay_kind(MADE[name].rule) == "none":
        options["weight_decay"] = 0.0

    def make() -> Trainer:
        if way == "handed over":
            return handed_over(tmp_path, lambda m: MADE[name](m.parameters(), lr=0.01, **EVERY[name]), **options)
        return trainer(tmp_path, None, options, optimizer_cls_and_kwargs=(MADE[name], {"lr": 0.01, **EVERY[name]}))

    straight = make()
    straight.train()
    again = make()
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert again.state.global_step == STEPS
    assert torch.equal(at(again.model), at(straight.model))
    assert not torch.equal(at(again.model), at(bert()))


OF_MATRICES: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "muon": lambda model: thalweg.Muon(model, lr=0.02, others=thalweg.AdamW(lr=3e-3)),
    "soap": lambda model: thalweg.SOAP(model, lr=0.02, frequency=2, others=thalweg.AdamW(lr=3e-3)),
}


@pytest.mark.parametrize("name", divided(OF_MATRICES, ("muon",)))
def test_matrices_and_others(name: str, tmp_path: Path) -> None:
    """To the bit the plain loop, with one schedule over two rules, also where it was resumed half way."""
    options: dict[str, Any] = {
        "save_strategy": "steps", "save_steps": 3, "max_grad_norm": 0.1, "train_sampling_strategy": "sequential",
    }  # fmt: skip
    straight = handed_over(tmp_path, OF_MATRICES[name], **options)
    assert {group["rule"] for group in straight.optimizer.param_groups} == {type(straight.optimizer).__name__, "AdamW"}
    straight.train()
    assert torch.equal(at(straight.model), by_hand(OF_MATRICES[name]))
    again = handed_over(tmp_path, OF_MATRICES[name], **options)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert again.state.global_step == STEPS
    assert torch.equal(at(again.model), at(straight.model))
    assert not torch.equal(at(again.model), at(bert()))


def test_learning_rate_is_logged(tmp_path: Path) -> None:
    run = handed_over(tmp_path, lambda m: thalweg.AdamW(m.parameters(), lr=0.01))
    run.train()
    logged = [entry["learning_rate"] for entry in run.state.log_history if "learning_rate" in entry]
    assert logged == pytest.approx([0.0, 0.005, 0.01, 0.0075, 0.005, 0.0025])
