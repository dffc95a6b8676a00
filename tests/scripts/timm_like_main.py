#!/usr/bin/env python3
"""Image classification training script, with a parser for everything.

./timm_like_main.py --model convnet --epochs 3 -b 64 --sched cosine
"""

import argparse
import logging
import time
from collections import OrderedDict

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

_logger = logging.getLogger("train")

parser = argparse.ArgumentParser(description="Training Config")
group = parser.add_argument_group("Model parameters")
group.add_argument("--model", default="mlp", type=str, metavar="MODEL", choices=["mlp", "convnet"])
group.add_argument("--num-classes", type=int, default=10, metavar="N")
group.add_argument("-b", "--batch-size", type=int, default=64, metavar="N")
group.add_argument("--drop", type=float, default=0.0, metavar="PCT", help="Dropout rate (default: 0.)")
group = parser.add_argument_group("Learning rate schedule parameters")
group.add_argument("--sched", type=str, default="cosine", metavar="SCHEDULER")
group.add_argument("--epochs", type=int, default=3, metavar="N")
group.add_argument("--clip-grad", type=float, default=None, metavar="NORM")
group = parser.add_argument_group("Augmentation & regularization parameters")
group.add_argument("--smoothing", type=float, default=0.1, help="Label smoothing (default: 0.1)")
group.add_argument("--seed", type=int, default=42, metavar="S")
group.add_argument("--log-interval", type=int, default=50, metavar="N")


class AverageMeter:
    """Computes and stores the average and current value"""

    def __init__(self):
        self.reset()

    def reset(self):
        self.val = self.avg = self.sum = self.count = 0

    def update(self, val, n=1):
        self.val = val
        self.sum += val * n
        self.count += n
        self.avg = self.sum / self.count


def create_model(args):
    if args.model == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 48), nn.GELU(), nn.Dropout(args.drop), nn.Linear(48, args.num_classes)
        )
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, args.num_classes))


def create_loader(args, split, shuffle=False, generator=None):
    digits = load_digits()
    start, stop = {"train": (0, 1000), "validation": (1000, 1400), "test": (1400, 1797)}[split]
    images = torch.from_numpy((digits.images[start:stop] / 16).astype(np.float32))[:, None]
    dataset = torch.utils.data.TensorDataset(images, torch.from_numpy(digits.target[start:stop]))
    return torch.utils.data.DataLoader(dataset, args.batch_size, shuffle=shuffle, generator=generator)


def train_one_epoch(epoch, model, loader, optimizer, loss_fn, args, lr_scheduler=None):
    losses_m = AverageMeter()
    model.train()
    end = time.time()
    for batch_idx, (input, target) in enumerate(loader):
        output = model(input)
        loss = loss_fn(output, target)
        losses_m.update(loss.item(), input.size(0))
        optimizer.zero_grad()
        loss.backward()
        if args.clip_grad is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip_grad)
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            lr = sum(group["lr"] for group in optimizer.param_groups) / len(optimizer.param_groups)
            _logger.info(f"Train: {epoch} [{batch_idx}] Loss: {losses_m.avg:.4f} LR: {lr:.3e} {time.time() - end:.3f}s")
    if lr_scheduler is not None:
        lr_scheduler.step()
    return OrderedDict([("loss", losses_m.avg)])


def validate(model, loader, loss_fn):
    losses_m, top1_m = AverageMeter(), AverageMeter()
    model.eval()
    with torch.inference_mode():
        for input, target in loader:
            output = model(input)
            losses_m.update(loss_fn(output, target).item(), input.size(0))
            top1_m.update((output.argmax(1) == target).float().mean().item(), input.size(0))
    return OrderedDict([("loss", losses_m.avg), ("top1", top1_m.avg)])


def main(trial):
    args = parser.parse_args()
    torch.manual_seed(args.seed + trial.seed("init") % 2**32)
    model = create_model(args)
    optimizer = trial.optimizer(model)
    lr_scheduler = None
    if args.sched == "cosine":
        lr_scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs)
    generator = torch.Generator().manual_seed(trial.seed("data"))
    loader_train = create_loader(args, "train", shuffle=True, generator=generator)
    loader_eval, loader_test = create_loader(args, "validation"), create_loader(args, "test")
    train_loss_fn = nn.CrossEntropyLoss(label_smoothing=args.smoothing)
    validate_loss_fn = nn.CrossEntropyLoss()

    for epoch in trial.epochs(args.epochs):
        train_metrics = train_one_epoch(
            epoch, model, loader_train, optimizer, train_loss_fn, args, lr_scheduler=lr_scheduler
        )
        with trial.evaluation():
            eval_metrics = validate(model, loader_eval, validate_loss_fn)
            test_metrics = validate(model, loader_test, validate_loss_fn)
        trial.report(
            train_loss=train_metrics["loss"],
            valid_loss=eval_metrics["loss"],
            valid_top1=eval_metrics["top1"],
            test_loss=test_metrics["loss"],
            test_top1=test_metrics["top1"],
        )


def train(trial):
    main(trial)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    raise SystemExit("thalweg compare timm_like_main.py:train -r sgd,adamw")
