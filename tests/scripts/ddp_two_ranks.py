"""Data-parallel training: two processes with half of each batch, whose gradients DistributedDataParallel averages."""

import os
import socket
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

WORLD_SIZE = 2
EPOCHS = 2


def find_free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def setup(rank, port):
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    os.environ["MASTER_PORT"] = str(port)
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=WORLD_SIZE)


def main_worker(rank, port, trial, queue):
    setup(rank, port)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1800, 64, generator=generator)
    y = (x @ torch.randn(64, 10, generator=generator)).argmax(1)
    train_set = TensorDataset(x[:1000], y[:1000])
    torch.manual_seed(trial.seed("init"))
    model = DDP(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)))
    optimizer = trial.optimizer(model)
    sampler = DistributedSampler(train_set, WORLD_SIZE, rank, seed=trial.seed("data") % 2**31)
    loader = DataLoader(train_set, batch_size=32, sampler=sampler)
    for epoch in trial.epochs(EPOCHS):
        sampler.set_epoch(epoch)
        for data, target in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(data), target).backward()
            optimizer.step()
        if rank == 0:
            with torch.no_grad(), trial.evaluation():
                valid = F.cross_entropy(model.module(x[1000:1400]), y[1000:1400])
                test = F.cross_entropy(model.module(x[1400:]), y[1400:])
            queue.put((valid.item(), test.item()))
        dist.barrier()
    # The group's own thread frees the barrier's work under Python's lock; a group that is destroyed meanwhile waits for
    # that thread, with the lock, for ever (torch 2.13).
    time.sleep(0.2)
    dist.destroy_process_group()


def train(trial):
    queue = mp.get_context("spawn").SimpleQueue()
    mp.spawn(main_worker, args=(find_free_port(), trial, queue), nprocs=WORLD_SIZE, join=True)
    for _ in trial.epochs(EPOCHS):
        valid_loss, test_loss = queue.get()
        trial.report(valid_loss=valid_loss, test_loss=test_loss)
