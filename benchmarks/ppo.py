"""Whole trainings of stable-baselines3's PPO with three optimizers, into benchmarks/PPO.md.

python benchmarks/ppo.py                             # about ten minutes on a machine left alone
python benchmarks/ppo.py --steps 5000 --rounds 2     # a part of it; the page goes to the terminal

PPO with the policy MlpPolicy plays CartPole-v1, one thread, everything else as stable-baselines3 sets it: it takes a
gradient step for every 6.4 steps of the game, after clipping with torch's `clip_grad_norm_`. In each round every
optimizer trains once, from the same seed, in random order and in a process of its own. The time is that of
`model.learn`: playing, forward, backward, clip, step, and whatever an optimizer does on its first step.
"""

import argparse
import random
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import thalweg
from command_line import at_least
from comparison import ATTEMPTS, others_of_children
from page import markdown, times
from ppo_worker import THALWEG, WAYS
from steps import gathered, measured, say
from thalweg.cpu import cpu_name
from thalweg.speed.measure import DISTURBED, Timing

PAGE = Path(__file__).resolve().parent / "PPO.md"
PACKAGES = ("stable-baselines3", "gymnasium")
STEPS, ROUNDS = 50_000, 5


@dataclass(frozen=True)
class Round:
    """Seconds of each way's training, and the largest share of the machine that others took during one of them."""

    seconds: Mapping[str, float]
    others: float

    @property
    def void(self) -> bool:
        """Whether others used the machine so much that the figures say nothing."""
        return self.others > DISTURBED


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page, and return the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        versions = {package: version(package) for package in PACKAGES}
    except PackageNotFoundError:
        say(f"ppo.py: this needs two packages that are not installed: pip install {' '.join(PACKAGES)}")
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `timeout` ends it as Ctrl-C does
    rounds, code = gathered(_rounds(chosen.steps, chosen.rounds), chosen.rounds, _line, "ppo.py")
    text = page(rounds, chosen.steps, versions, missing=chosen.rounds - len(rounds))
    # A part must not take the place of the whole.
    if chosen.steps >= STEPS and len(rounds) >= ROUNDS:
        PAGE.write_text(text, encoding="utf-8")
        say(f"Page: {PAGE}")
    else:
        print(text, end="")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=at_least(1), default=STEPS, help=f"of the game, each (default {STEPS})")
    parser.add_argument("--rounds", type=at_least(2), default=ROUNDS, help=f"2 or more (default {ROUNDS})")
    return parser


def _rounds(steps: int, count: int) -> Iterator[Round]:
    """Every round, as each is done."""
    chance = random.Random(0)
    for seed in range(count):
        trained = {way: _trained(way, steps, seed) for way in chance.sample(WAYS, len(WAYS))}
        yield Round({way: s for way, (s, _) in trained.items()}, max(others for _, others in trained.values()))


def _trained(way: str, steps: int, seed: int) -> tuple[float, float]:
    """Seconds of a training, and the share of the machine that others took meanwhile; again if that was too much."""
    for attempt in range(ATTEMPTS):
        others = others_of_children()
        (written,) = measured("ppo_worker.py", [way, str(steps), str(seed)], "default")
        share = others()
        if share <= DISTURBED or attempt == ATTEMPTS - 1:
            break
        say(f"{way}: others took {share:.0%} of the machine; again")
    return written["seconds"], share


def _line(finished: Round) -> str:
    """A finished round, for the person who waits."""
    words = ", ".join(f"{way} {finished.seconds[way]:.1f} s" for way in WAYS)
    return f"{words}{f'; void, others took {finished.others:.0%}' if finished.void else ''}"


def page(rounds: Sequence[Round], steps: int, versions: Mapping[str, str], missing: int) -> str:
    """The whole page."""
    valid = [each for each in rounds if not each.void]
    packages = {"thalweg": thalweg.__version__, "torch": torch.__version__, **versions}
    parts = [
        "# Whole trainings of PPO, on this machine",
        f"{cpu_name()}, 1 thread, {', '.join(f'{name} {number}' for name, number in packages.items())}. "
        f"{date.today().isoformat()}, {steps:,} steps of CartPole-v1, {len(rounds)} rounds, of which "
        f"{len(rounds) - len(valid)} are void and left out of the ratios. Made by `python benchmarks/ppo.py`.",
        (__doc__ or "").rpartition("\n\n")[2].strip(),
        "**times as long**: how many times as long a training takes as with thalweg.Adam, the median of the rounds' "
        "ratios, and their quartiles. A training that others disturb by more than "
        f"{DISTURBED:.0%} of the machine is run again, {ATTEMPTS} times in all; then its round is void.",
        _ratios(valid),
        markdown(
            ["rule", *(f"round {n + 1}, s{', void' if each.void else ''}" for n, each in enumerate(rounds))],
            [[way, *(f"{each.seconds[way]:.2f}" for each in rounds)] for way in WAYS],
        ),
    ]
    if missing:
        parts.append(f"**Stopped early**: {missing} rounds were not run.")
    return "\n\n".join(parts) + "\n"


def _ratios(valid: Sequence[Round]) -> str:
    if len(valid) < 2:
        return "Fewer than 2 rounds are left: there are no ratios."
    timing = Timing({way: tuple(each.seconds[way] for each in valid) for way in WAYS}, None)
    rows = []
    for way in WAYS:
        low, middle, high = timing.ratio(way, THALWEG)
        quartiles = "" if way == THALWEG else f"{times(low)} to {times(high)}"
        rows.append([way, f"{timing.median(way):.2f}", times(middle), quartiles])
    return markdown(["rule", "median, s", "times as long", "quartiles"], rows)


if __name__ == "__main__":
    sys.exit(main())
