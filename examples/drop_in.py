"""Where torch.optim stood: change one word, keep schedulers, groups, checkpoints, and clip in the same pass.

python examples/drop_in.py
"""

import torch

import thalweg


def main() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    x, y = torch.randn(512, 20), torch.randn(512, 1)
    optimizer = thalweg.AdamW(model.named_parameters(), lr=3e-3, weight_decay=0.1, clip_norm=1.0, nonfinite="raise")
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    for step in range(100):
        loss = torch.nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 25 == 0:
            print(f"step {step:3d}: loss {loss.item():.4f}, lr {schedule.get_last_lr()[0]:.5f}")

    # A checkpoint of either library loads into the other.
    theirs = torch.optim.AdamW(model.named_parameters(), lr=3e-3)
    theirs.load_state_dict(optimizer.state_dict())
    optimizer.load_state_dict(theirs.state_dict())

    # A gradient that is not finite is named, and nothing is touched.
    model[0].bias.grad[3] = float("nan")
    try:
        optimizer.step()
    except thalweg.NonFiniteGradient as error:
        print(error)


if __name__ == "__main__":
    main()
