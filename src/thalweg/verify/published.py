"""What others have published on the quadratic problem of DeepOBS, P1 of Crowded Valley: figures and their sources.

Single runs:  github.com/SirRob1997/Crowded-Valley---Results, commit ede8a56, results_main/oneshot/<schedule>/
              quadratic_deep/<Optimizer>/...random_seed__<seed>__<date>.json (Schmidt, Schneider & Hennig 2021,
              "Descending through a crowded valley", arXiv:2007.01547): the first and last of ``test_losses``, and the
              first of ``minibatch_train_losses``. A file does not name its instance; the first test loss tells it.
Ten seeds:    github.com/fsschneider/DeepOBS_Baselines, commit 3da285a (MIT), made with DeepOBS 1.1 (Schneider, Balles
              & Hennig 2019, arXiv:1903.05499): mean and standard deviation of the last of ``test_losses``, seeds 42-51.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

RUNS_SOURCE = "SirRob1997/Crowded-Valley---Results@ede8a56"
SEEDS_SOURCE = "fsschneider/DeepOBS_Baselines@3da285a"

ADAM = {"beta1": 0.9, "beta2": 0.999}
BOUNDED = {**ADAM, "lr": 1e-3, "final_lr": 0.1, "gamma": 1e-3, "eps": 1e-8}
LOOKAHEAD = {"k": 5.0, "slow_step": 0.5}


@dataclass(frozen=True)
class Used:
    """What a published optimizer is here: a rule, whose conventions it follows, and its published hyperparameters."""

    rule: str
    settings: Mapping[str, float | bool]
    like: str | None = "tf1"


OPTIMIZERS: Mapping[str, Used] = MappingProxyType(
    {
        "GradientDescent": Used("sgd", {"lr": 1e-2}),
        "Momentum": Used("momentum", {"lr": 1e-2, "momentum": 0.99}),
        "NAG": Used("nag", {"lr": 1e-2, "momentum": 0.99}),
        "Adagrad": Used("adagrad", {"lr": 1e-2, "initial_accumulator_value": 0.1}),
        "Adadelta": Used("adadelta", {"lr": 1e-3, "rho": 0.95, "eps": 1e-8}),
        "RMSProp": Used("rmsprop", {"lr": 1e-3, "alpha": 0.9, "eps": 1e-10, "momentum": 0.0}),
        "Adam": Used("adam", {**ADAM, "lr": 1e-3, "eps": 1e-8}),
        "AMSGrad": Used("amsgrad", {**ADAM, "lr": 1e-2, "eps": 1e-8}),
        "Nadam": Used("nadam", {**ADAM, "lr": 1e-3, "eps": 1e-7}),
        "RAdam": Used("radam", {**ADAM, "lr": 1e-3, "eps": 1e-7}),
        "AdaBound": Used("adabound", BOUNDED, like=None),
        "AMSBound": Used("amsbound", BOUNDED, like=None),
        "AdaBelief": Used("adabelief", {**ADAM, "lr": 1e-3, "eps": 1e-14}),
        "Lookahead(Momentum)": Used("momentum+lookahead", {"lr": 1e-2, "momentum": 0.99, **LOOKAHEAD}),
        "Lookahead(RAdam)": Used("radam+lookahead", {**ADAM, "lr": 1e-3, "eps": 1e-7, **LOOKAHEAD}),
    }
)


@dataclass(frozen=True)
class SingleRun:
    """One published run; ``schedule`` by its published name, ``initial`` and ``final`` test losses.

    ``differs`` says why the run is not what the algorithm gives, where that is so; "" for a run to be met.
    """

    optimizer: str
    seed: int
    instance: int
    final: float
    schedule: str = "none"
    differs: str = ""

    @property
    def initial(self) -> float:
        """The test loss before training."""
        return INITIAL[self.instance]


# The test loss before training depends on the instance alone; it is in every file of the instance.
INITIAL: Mapping[int, float] = MappingProxyType(
    {
        1: 353.44676426478793,
        2: 347.3582327706473,
        3: 351.8407985142299,
        5: 263.7986363002232,
        8: 481.6609322684152,
        9: 195.22222246442522,
        10: 274.1012529645647,
        12: 379.2991202218192,
        18: 492.2644566127232,
    }
)
INITIAL_VALIDATION = 353.8127659388951  # of instance 1

# The loss of the first batch before training, by seed and instance: it tells the order of the data.
FIRST_BATCH: Mapping[tuple[int, int], float] = MappingProxyType(
    {
        (42, 1): 356.2290344238281,
        (43, 1): 355.8135681152344,
        (47, 1): 347.5895690917969,
        (42, 2): 343.16522216796875,
        (43, 2): 339.0584411621094,
        (44, 2): 343.444091796875,
        (42, 3): 349.7880859375,
        (44, 3): 339.2264404296875,
        (45, 3): 351.62005615234375,
        (47, 5): 263.11126708984375,
        (50, 8): 484.66790771484375,
        (51, 8): 477.1487121582031,
        (51, 9): 185.23365783691406,
        (43, 10): 266.05401611328125,
        (51, 10): 271.09912109375,
        (45, 12): 390.77032470703125,
        (51, 18): 512.9676513671875,
    }
)

SLIPPING = (
    "with one data order Lookahead settles into a cycle of k epochs; the published losses do, but slip out of it, "
    "again and again: the pulls back did not come every k steps"
)
NEVER_ADAPTS = (
    "the published losses are those of a RAdam whose step count stays at 1, so that it never adapts: it moves by "
    "lr m / (1 - beta1). That, losing the steps at which it is pulled back, ends within 2e-4 of both runs"
)

RUNS = (
    SingleRun("GradientDescent", 43, 1, 87.29810115269252),
    SingleRun("GradientDescent", 51, 8, 94.92840467180524),
    SingleRun("Momentum", 44, 2, 84.19591086251395),
    SingleRun("Momentum", 45, 3, 98.54329136439732),
    SingleRun("NAG", 45, 12, 95.885495867048),
    SingleRun("NAG", 51, 18, 90.28586687360492),
    SingleRun("Adagrad", 45, 3, 122.35767037527901),
    SingleRun("Adagrad", 42, 3, 122.29063415527344),
    SingleRun("Adadelta", 42, 2, 346.8653302873884),
    SingleRun("Adadelta", 50, 8, 480.9744437081473),
    SingleRun("RMSProp", 45, 12, 107.396728515625),
    SingleRun("RMSProp", 51, 18, 105.94681985037667),
    SingleRun("Adam", 42, 1, 106.67581939697266),
    SingleRun("Adam", 51, 9, 104.7480218069894),
    SingleRun("Adam", 42, 1, 135.24121311732702, "cosine"),
    SingleRun("Adam", 42, 1, 120.87108285086495, "cosine_wr"),
    SingleRun("Adam", 44, 3, 120.04311806815011, "ltr"),
    SingleRun("AMSGrad", 43, 10, 89.72664424351284),
    SingleRun("AMSGrad", 51, 18, 91.73641313825335),
    SingleRun("Nadam", 43, 1, 106.55983189174107),
    SingleRun("Nadam", 51, 9, 104.67286355154855),
    SingleRun("RAdam", 42, 1, 129.5402319771903),
    SingleRun("RAdam", 51, 10, 120.92266300746373),
    SingleRun("AdaBound", 42, 1, 87.12901633126395),
    SingleRun("AdaBound", 50, 8, 94.6557846069336),
    SingleRun("AMSBound", 43, 1, 87.08455439976284),
    SingleRun("AMSBound", 50, 8, 94.6557846069336),
    SingleRun("AdaBelief", 42, 1, 102.26187460763114),
    SingleRun("AdaBelief", 47, 1, 102.18437957763672),
    SingleRun("Lookahead(Momentum)", 42, 1, 87.25595092773438, differs=SLIPPING),
    SingleRun("Lookahead(Momentum)", 47, 5, 85.42257799421039, differs=SLIPPING),
    SingleRun("Lookahead(RAdam)", 43, 2, 84.76645115443638, differs=NEVER_ADAPTS),
    SingleRun("Lookahead(RAdam)", 51, 10, 89.9070314679827, differs=NEVER_ADAPTS),
)


@dataclass(frozen=True)
class TenSeeds:
    """Mean and standard deviation (divided by 9) of the final test loss over seeds 42 to 51, instance 1."""

    optimizer: str
    settings: Mapping[str, float | bool]
    mean: float
    deviation: float


SEEDS = tuple(range(42, 52))
MEANS = (
    TenSeeds("GradientDescent", {"lr": 1.5848931925e-2}, 87.397474, 0.169),
    TenSeeds("Momentum", {"lr": 2.5118864315e-3, "momentum": 0.99}, 87.045041, 0.02518),
    TenSeeds("Adam", {**ADAM, "lr": 3.9810717055e-2, "eps": 1e-8}, 87.11188, 0.02419),
)

# TensorFlow's second seed of the training data's shuffle: operations that the graph had before it.
OP_SEED_RUNS, OP_SEED_MEANS = 3, 2
