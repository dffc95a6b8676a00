"""BatchNorm helps because it reduces internal covariate shift: noise that brings it back would undo the gain."""

from functools import partial

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, at_rate, over_seeds, steps_of
from thalweg.claims.experiments.with_and_without import WITH, WITHOUT
from thalweg.languages import Words

RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
STEPS, GOAL = 200, 0.3
NOISY, NOISE = Words("BatchNorm and noise", "BatchNorm et bruit"), 0.5


def measure(seeds: Seeds) -> Measurement:
    """Three networks, each with its own best learning rate, chosen on other seeds."""
    from torch.nn import BatchNorm1d

    from thalweg.claims.experiments.shifts import train_shifted
    from thalweg.claims.experiments.training import best, steps_to

    # It takes its statistics from the examples before it, also where it is only looked at.
    norm = partial(BatchNorm1d, track_running_stats=False)
    losses, shifts, steps, shift = [], [], {}, {}
    for name, kind, noise in ((WITHOUT, None, 0.0), (WITH, norm, 0.0), (NOISY, norm, NOISE)):
        tried = train_shifted(kind, noise, RATES, seeds.tuning, steps=STEPS).losses
        lr = RATES[best(steps_to(tried, GOAL).reshape(len(RATES), -1))]
        trained = train_shifted(kind, noise, [lr], seeds.judged, steps=STEPS, look=True)
        steps[name], shift[name] = steps_to(trained.losses, GOAL), trained.shifts.mean(1)
        losses.append(over_seeds(at_rate(name, lr), steps_of(trained.losses), trained.losses))
        shifts.append(over_seeds(name, steps_of(trained.shifts), trained.shifts))
    title = Words("Shift of what the activations take", "Déplacement de ce que prennent les activations")
    deviations = Words("deviations a step", "écarts-types par pas")
    lost = (steps[NOISY] - steps[WITH]) / (steps[WITHOUT] - steps[WITH])
    return Measurement(
        {"shift": shift[NOISY] / shift[WITHOUT], "lost": lost.tolist()},
        (
            Panel(BATCH_LOSS, STEP, LOSS, tuple(losses), log_y=True),
            Panel(title, STEP, deviations, tuple(shifts), log_y=True),
        ),
    )


CLAIM = Claim(
    name="covariate-shift",
    slide="Couche Batch Normalization",
    statement=Words(
        "BatchNorm helps because it reduces internal covariate shift.",
        "BatchNorm aide parce qu'elle réduit l'internal covariate shift.",
    ),
    measured=Words(
        "A network 64-64-64-10 of ReLU on the digits, batches of 64, plain descent: without BatchNorm, with it before "
        "each ReLU, and with noise behind it, which at every step multiplies what each unit takes by a factor between "
        "0.5 and 1.5 and adds a number between -0.5 and 0.5. Each at the best of five learning rates from 0.03 to 3, "
        "chosen on 4 others. Shift is how far mean and deviation of what an activation takes move from step to step, "
        "in deviations, on 128 images that stay the same. If it were the reason, a network with as much shift as "
        "without BatchNorm would lose what BatchNorm gains: in steps until the loss of the last ten batches is 0.3, of "
        "200 at most. Would lose is read as: at least half of it.",
        "Un réseau 64-64-64-10 de ReLU sur les chiffres manuscrits, des batchs de 64, descente simple : sans "
        "BatchNorm, avec, avant chaque ReLU, et avec un bruit derrière elle qui, à chaque pas, multiplie ce que prend "
        "chaque unité par un facteur entre 0,5 et 1,5 et lui ajoute un nombre entre -0,5 et 0,5. Chacun au meilleur de "
        "cinq taux d'apprentissage de 0,03 à 3, choisi sur 4 autres graines. Le déplacement est celui de la moyenne et "
        "de l'écart-type de ce que prend une activation, d'un pas à l'autre, en écarts-types, sur 128 images qui "
        "restent les mêmes. Si c'était la raison, un réseau avec autant de déplacement que sans BatchNorm perdrait ce "
        "que BatchNorm fait gagner : en pas jusqu'à ce que la perte des dix derniers batchs soit de 0,3, sur 200 au "
        "plus. Perdrait est lu comme : au moins la moitié.",
    ),
    why=Words(
        "Ioffe & Szegedy 2015 show that with BatchNorm what a unit takes moves less; that training is faster for this "
        "reason they do not test. Santurkar et al. 2018 (section 2) put such noise behind BatchNorm: shift is then "
        "larger than without any norm, and training nearly as fast as with BatchNorm alone. They find that BatchNorm "
        "makes the loss smoother: it and its gradient change less along a step. What is in question is the reason, "
        "not the use.",
        "Ioffe & Szegedy 2015 montrent qu'avec BatchNorm ce que prend une unité se déplace moins ; que l'entraînement "
        "soit plus rapide pour cette raison, ils ne le testent pas. Santurkar et al. 2018 (section 2) mettent un tel "
        "bruit derrière BatchNorm : le déplacement est alors plus grand que sans normalisation, et l'entraînement "
        "presque aussi rapide qu'avec BatchNorm seule. Ils trouvent que BatchNorm rend la perte plus lisse : elle et "
        "son gradient changent moins le long d'un pas. C'est la raison qui est en cause, pas l'usage.",
    ),
    bounds=(
        Bound(
            "shift",
            Words("shift with the noise / without BatchNorm", "déplacement avec le bruit / sans BatchNorm"),
            at_least=1,
            ratio=True,
        ),
        Bound(
            "lost",
            Words(
                "share of BatchNorm's gain in steps that is lost with the noise",
                "part du gain de BatchNorm en pas perdue avec le bruit",
            ),
            at_least=0.5,
            share=True,
        ),
    ),
    seeds=24,
    tuning=4,
    measure=measure,
)
