"""Policy gradients (REINFORCE) on a pole that is to be balanced on a cart, written as an environment of its own."""

import math
import random
from collections import deque

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

GAMMA = 0.99
MAX_STEPS = 60


class CartPole:
    """The usual equations of motion, in steps of 0.02 s; reset() -> state, step(action) -> state, reward, done."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def reset(self):
        self.state = [self.random.uniform(-0.05, 0.05) for _ in range(4)]
        self.steps = 0
        return self.state

    def step(self, action):
        x, x_dot, theta, theta_dot = self.state
        force = 10.0 if action == 1 else -10.0
        cos, sin = math.cos(theta), math.sin(theta)
        temp = (force + 0.05 * theta_dot**2 * sin) / 1.1
        theta_acc = (9.8 * sin - cos * temp) / (0.5 * (4.0 / 3.0 - 0.1 * cos**2 / 1.1))
        x_acc = temp - 0.05 * theta_acc * cos / 1.1
        self.state = [x + 0.02 * x_dot, x_dot + 0.02 * x_acc, theta + 0.02 * theta_dot, theta_dot + 0.02 * theta_acc]
        self.steps += 1
        fell = abs(self.state[0]) > 2.4 or abs(self.state[2]) > 0.2095
        return self.state, 1.0, fell or self.steps >= MAX_STEPS


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 32)
        self.affine2 = nn.Linear(32, 2)

    def forward(self, x):
        return F.softmax(self.affine2(F.relu(self.affine1(x))), dim=-1)


def finish_episode(optimizer, log_probs, rewards):
    returns: deque = deque()
    total = 0.0
    for r in reversed(rewards):
        total = r + GAMMA * total
        returns.appendleft(total)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + 1e-8)
    policy_loss = -(torch.stack(log_probs) * returns).sum()
    optimizer.zero_grad()
    policy_loss.backward()
    optimizer.step()


@torch.no_grad()
def mean_return(policy, seed, episodes=5):
    env = CartPole(seed)
    total = 0.0
    for _ in range(episodes):
        state, done = env.reset(), False
        while not done:
            state, reward, done = env.step(policy(torch.tensor(state)).argmax().item())
            total += reward
    return total / episodes


def train(trial):
    env = CartPole(trial.seed("environment"))
    torch.manual_seed(trial.seed("init"))
    policy = Policy()
    optimizer = trial.optimizer(policy)
    torch.manual_seed(trial.seed("actions"))
    for _ in trial.epochs(4):
        for _ in range(8):
            state, done = env.reset(), False
            log_probs, rewards = [], []
            while not done:
                m = Categorical(policy(torch.tensor(state)))
                action = m.sample()
                state, reward, done = env.step(action.item())
                log_probs.append(m.log_prob(action))
                rewards.append(reward)
            finish_episode(optimizer, log_probs, rewards)
        with trial.evaluation():
            trial.report(valid_return=mean_return(policy, seed=1), test_return=mean_return(policy, seed=2))
