"""What is noted in the course of a stack's training is what stands there when it ends."""

import pytest
import torch

from thalweg.claims.drawing import filled
from thalweg.claims.experiments.gradients import states
from thalweg.claims.experiments.training import OnTheWay, mlp, train
from thalweg.languages import Words

SETTINGS, SEEDS = [{"lr": 0.1}, {"lr": 0.01}], (3, 4, 5)


def small():
    return mlp(width=8)


def test_the_loss_on_the_way_ends_at_the_loss():
    way = OnTheWay(every=4)
    trained = train(small, "adagrad", SETTINGS, SEEDS, steps=8, batch=16, each_step=way)
    earlier = train(small, "adagrad", SETTINGS, SEEDS, steps=4, batch=16)
    assert way.steps == [4.0, 8.0]
    # The same examples in another order.
    assert way.losses[:, 1] == pytest.approx(trained.train_loss.flatten(), rel=1e-6)
    assert way.losses[:, 0] == pytest.approx(earlier.train_loss.flatten(), rel=1e-6)


def test_states_are_each_members_own():
    kept = []

    def keep(stack, step):
        noted = states(stack, "sum")
        stack.hand_back()
        for own, model, optimizer in zip(noted, stack.members, stack.optimizers, strict=True):
            flat = torch.cat([optimizer.state[x]["sum"].flatten() for x in model.parameters()])
            assert torch.equal(own, flat)
        kept.append((step, noted))

    train(small, "adagrad", SETTINGS, SEEDS, steps=2, batch=16, each_step=keep)
    assert [step for step, _ in kept] == [0, 1]
    (_, first), (_, second) = kept
    assert first.shape == (6, 64 * 8 + 8 + 8 * 10 + 10)
    assert (second >= first).all()
    assert (second > first).any(1).all()


@pytest.mark.parametrize(("number", "en", "fr"), [(0.1, "lr 0.1", "taux 0,1"), (1.0, "lr 1", "taux 1")])
def test_numbers_are_written_as_in_each_language(number, en, fr):
    assert filled(Words("lr {}", "taux {}"), number) == (en, fr)
