"""At momentum 1, which the slide's interval holds, the slide's form never moves."""

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, over_seeds, steps_of
from thalweg.formula import Hyper
from thalweg.languages import Words
from thalweg.rules import Momentum

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
STEPS, WINDOW = 300, 10
# The slide's form at three momenta, and the running sum at 1.
FORMS = (
    (Words("average, γ = 0.9, lr {:g}", "moyenne, γ = 0,9, lr {:g}"), {"momentum": 0.9}),
    (Words("average, γ = 0.99, lr {:g}", "moyenne, γ = 0,99, lr {:g}"), {"momentum": 0.99}),
    (Words("average, γ = 1, lr {:g}", "moyenne, γ = 1, lr {:g}"), {"momentum": 1.0}),
    (Words("running sum, γ = 1, lr {:g}", "somme, γ = 1, lr {:g}"), {"momentum": 1.0, "heavy_ball": True}),
)
JUDGED = 2


class Closed(Momentum):
    """Momentum whose interval has its end; the catalogue's refuses 1."""

    lr = Hyper(0.1)
    momentum = Hyper(0.9)


def measure(seeds: Seeds) -> Measurement:
    """Each form at its own best learning rate, chosen on other seeds."""
    from thalweg.claims.training import best, mlp, train

    def small() -> "nn.Module":
        return mlp(width=32)

    curves, shares = [], []
    for name, form in FORMS:
        grid = [{"lr": lr, **form} for lr in RATES]
        chosen = grid[best(_end(train(small, Closed, grid, seeds.tuning, steps=STEPS, batch=32).batch_loss))]
        losses = train(small, Closed, [chosen], seeds.judged, steps=STEPS, batch=32).batch_loss[0]
        curves.append(over_seeds(Words(*(text.format(chosen["lr"]) for text in name)), steps_of(losses), losses))
        shares.append(_end(losses) / losses[:, :WINDOW].mean(1))
    return Measurement({"left": shares[JUDGED]}, (Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),))
