"""A recurrent network that learns to write like Python's own documentation, letter by letter."""

import math
from pydoc_data.topics import topics

import torch
from torch import nn

BLOCK = 32
BATCH = 16
STEPS_PER_EPOCH = 10

text = "".join(topics[name] for name in ("for", "while", "try", "with"))
chars = sorted(set(text))
stoi = {ch: i for i, ch in enumerate(chars)}
data = torch.tensor([stoi[ch] for ch in text])
n = int(0.8 * len(data))
m = int(0.9 * len(data))
splits = {"train": data[:n], "valid": data[n:m], "test": data[m:]}


class CharModel(nn.Module):
    def __init__(self, vocab_size, embed=24, hidden=48):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed)
        self.rnn = nn.GRU(embed, hidden, batch_first=True)
        self.head = nn.Linear(hidden, vocab_size)

    def forward(self, idx, targets):
        out, _ = self.rnn(self.embedding(idx))
        return nn.functional.cross_entropy(self.head(out).flatten(0, 1), targets.flatten())


def get_batch(split, generator):
    source = splits[split]
    ix = torch.randint(len(source) - BLOCK - 1, (BATCH,), generator=generator).tolist()
    x = torch.stack([source[i : i + BLOCK] for i in ix])
    y = torch.stack([source[i + 1 : i + 1 + BLOCK] for i in ix])
    return x, y


@torch.no_grad()
def estimate_loss(model, split):
    model.eval()
    generator = torch.Generator().manual_seed(1337)  # the same batches each time
    losses = [model(*get_batch(split, generator)).item() for _ in range(3)]
    model.train()
    return sum(losses) / len(losses)


def train(trial):
    torch.manual_seed(trial.seed("init"))
    model = CharModel(len(chars))
    optimizer = trial.optimizer(model)
    generator = torch.Generator().manual_seed(trial.seed("data"))
    trial.report(valid_loss=estimate_loss(model, "valid"), test_loss=estimate_loss(model, "test"))
    for _ in trial.epochs(2):
        for _ in range(STEPS_PER_EPOCH):
            loss = model(*get_batch("train", generator))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            trial.check(loss)
        with trial.evaluation():
            valid, test = estimate_loss(model, "valid"), estimate_loss(model, "test")
        trial.report(train_loss=loss, valid_loss=valid, valid_perplexity=math.exp(valid), test_loss=test)
