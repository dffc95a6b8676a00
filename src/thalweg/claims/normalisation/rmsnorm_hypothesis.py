"""What stabilises training is the scaling, not the centring: each half of LayerNorm by itself."""

from functools import partial

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, filled, over_seeds, steps_of
from thalweg.languages import Words

RATES = (1e-3, 3e-3, 1e-2, 3e-2)
WIDTH, HIDDEN, STEPS = 32, 10, 120


def measure(seeds: Seeds) -> Measurement:
    """Four networks, each with its own best learning rate, chosen on other seeds."""
    import torch
    from torch import Tensor, nn

    from thalweg.claims.experiments.training import best, mlp, train

    class Centred(nn.Module):
        """LayerNorm without the division."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

        def forward(self, x: Tensor) -> Tensor:
            return (x - x.mean(-1, keepdim=True)) * self.weight + self.bias

    norms = {
        Words("none, lr {}", "aucune, lr {}"): None,
        Words("centred, lr {}", "centrée, lr {}"): Centred,
        Words("scaled (RMSNorm), lr {}", "mise à l'échelle (RMSNorm), lr {}"): nn.RMSNorm,
        Words("both (LayerNorm), lr {}", "les deux (LayerNorm), lr {}"): nn.LayerNorm,
    }
    curves, losses = [], []
    for name, norm in norms.items():
        model = partial(mlp, width=WIDTH, hidden=HIDDEN, norm=norm)
        grid = [{"lr": lr} for lr in RATES]
        chosen = grid[best(train(model, "adam", grid, seeds.tuning, steps=STEPS).batch_loss.mean(-1))]
        trained = train(model, "adam", [chosen], seeds.judged, steps=STEPS)
        losses.append(trained.batch_loss[0].mean(-1))
        named = filled(name, chosen["lr"])
        curves.append(over_seeds(named, steps_of(trained.batch_loss), trained.batch_loss[0]))
    none, centred, scaled, both = losses
    gain = none - both
    return Measurement(
        {"scaled": (none - scaled) / gain, "centred": (none - centred) / gain},
        (Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),),
    )


CLAIM = Claim(
    name="rmsnorm-hypothesis",
    slide="RMSNorm",
    statement=Words(
        "What stabilises training is not that the mean is taken off, but that the scale is set.",
        "La stabilisation de l'entraînement ne vient pas du retrait de la moyenne, mais de la mise à l'échelle.",
    ),
    measured=Words(
        "The digits, ten hidden layers of 32 ReLU, 120 steps of Adam in batches of 64: no norm, and before each ReLU "
        "LayerNorm or one of its halves by itself, each at the best of four learning rates from 0.001 to 0.03, chosen "
        "on 4 other seeds. LayerNorm's gain is by how much it lowers the mean loss of all batches. A half does the "
        "work if it keeps at least 80% of that, and does not if it keeps at most 50%.",
        "Les chiffres manuscrits, dix couches cachées de 32 ReLU, 120 pas d'Adam par batchs de 64 : sans "
        "normalisation, et avec, avant chaque ReLU, LayerNorm ou l'une de ses moitiés seule, chacun au meilleur de "
        "quatre taux d'apprentissage de 0,001 à 0,03, choisi sur 4 autres graines. Le gain de LayerNorm est la baisse "
        "de la perte moyenne de tous les batchs. Une moitié fait le travail si elle en garde au moins 80 %, et ne le "
        "fait pas si elle en garde au plus 50 %.",
    ),
    why=Words(
        "In a deep network signals and gradients shrink or grow by a factor at each layer; to divide by their size "
        "stops that, to take off a mean does not: this is the hypothesis of Zhang and Sennrich 2019. Where activations "
        "have a large mean in common, centring may count for more.",
        "Dans un réseau profond, les signaux et les gradients sont multipliés par un facteur à chaque couche ; diviser "
        "par leur taille arrête cela, retirer une moyenne non : c'est l'hypothèse de Zhang et Sennrich 2019. Là où les "
        "activations ont une grande moyenne commune, le centrage peut compter davantage.",
    ),
    bounds=(
        Bound(
            "scaled",
            Words("share of LayerNorm's gain with scaling alone", "part du gain de LayerNorm avec l'échelle seule"),
            at_least=0.8,
            share=True,
        ),
        Bound(
            "centred",
            Words("share of it with centring alone", "part de ce gain avec le centrage seul"),
            at_most=0.5,
            share=True,
        ),
    ),
    seeds=12,
    tuning=4,
    measure=measure,
    figure="norms",
)
