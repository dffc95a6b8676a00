"""A BERT of a few thousand weights, fine-tuned by Hugging Face's Trainer: which chapter is a line from?"""

import tempfile
from pydoc_data.topics import topics

import numpy as np
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

CHAPTERS = ["try", "operator-summary", "formatstrings"]
MAX_LENGTH = 32


class Lines(torch.utils.data.Dataset):
    def __init__(self, lines, labels):
        self.lines, self.labels = lines, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        ids = [1 + min(ord(c), 126) for c in self.lines[i]][:MAX_LENGTH]
        padding = MAX_LENGTH - len(ids)
        return {
            "input_ids": torch.tensor(ids + [0] * padding),
            "attention_mask": torch.tensor([1] * len(ids) + [0] * padding),
            "labels": self.labels[i],
        }


def load():
    chapters = [name for name in CHAPTERS if name in topics]
    pairs = [
        (line.strip(), k) for k, name in enumerate(chapters) for line in topics[name].splitlines() if len(line) > 8
    ]
    order = np.random.default_rng(0).permutation(len(pairs))[:240]
    lines, labels = zip(*(pairs[i] for i in order), strict=True)
    return [Lines(lines[a:b], labels[a:b]) for a, b in ((0, 128), (128, 184), (184, 240))]


def compute_metrics(eval_pred):
    logits, labels = eval_pred
    return {"accuracy": float((np.argmax(logits, axis=-1) == labels).mean())}


class ReportToTrial(TrainerCallback):
    def __init__(self, trial):
        self.trial = trial

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        if "eval_loss" in metrics:
            self.trial.report(valid_loss=metrics["eval_loss"], valid_accuracy=metrics["eval_accuracy"])


def train(trial):
    train_dataset, eval_dataset, test_dataset = load()
    set_seed(trial.seed("init") % 2**32)
    config = BertConfig(
        vocab_size=128,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=MAX_LENGTH,
        num_labels=len(CHAPTERS),
    )
    model = BertForSequenceClassification(config)
    with tempfile.TemporaryDirectory() as output_dir:
        args = TrainingArguments(
            output_dir=output_dir,
            eval_strategy="epoch",
            save_strategy="no",
            per_device_train_batch_size=16,
            per_device_eval_batch_size=64,
            num_train_epochs=2,
            seed=trial.seed("data") % 2**32,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = Trainer(
            model=model,
            args=args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            compute_metrics=compute_metrics,
            optimizers=(trial.optimizer(model), None),
            callbacks=[ReportToTrial(trial)],
        )
        trainer.train()
        test = trainer.predict(test_dataset).metrics
    trial.report(test_loss=test["test_loss"], test_accuracy=test["test_accuracy"])
