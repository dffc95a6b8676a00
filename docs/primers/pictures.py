"""The primers' figures, from the library's own rules: python docs/primers/pictures.py writes them beside their texts.

A picture is readable on light and on dark, and on a page that is the one while the reader's system is the other: it
brings its own ground. Curves differ in dash too: colour alone tells nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import erf, log10
from pathlib import Path
from typing import Any

import numpy as np
import torch

import thalweg
from thalweg.view.palette import look

HERE = Path(__file__).resolve().parent
WIDTH, LEFT, TOP, RIGHT, FLOOR = 580, 76, 52, 26, 330
# Names stand under the picture, two in a row, so that on a phone the letters are still large enough.
NAMES, ROW = 400, 28
DASHES = {"solid": "", "dash": "9 5", "dot": "2 5", "dashdot": "9 4 2 4"}
STYLE = (
    ("svg", "font:16px system-ui,sans-serif", ""),
    (".ground", "fill:#ffffff", "fill:#14181d"),
    ("text", "fill:#1f2933", "fill:#e6e9ed"),
    (".grid", "stroke:#dfe3e8;fill:none", "stroke:#333a43"),
    (".axis", "stroke:#59636f;fill:none", "stroke:#a3adb8"),
    (".curve", "fill:none;stroke-width:2.5;stroke-linejoin:round", ""),
)


@dataclass(frozen=True)
class Axis:
    """One axis: what it is, from where to where, whether in powers of ten, and where its numbers stand."""

    name: str
    low: float
    high: float
    ticks: Sequence[float]
    log: bool = False
    written: Callable[[float], str] = "{:g}".format

    def place(self, value: float) -> float:
        """From 0 at the low end to 1 at the high one."""
        low, high, at = (log10(each) if self.log else each for each in (self.low, self.high, value))
        return (at - low) / (high - low)


@dataclass(frozen=True)
class Curve:
    """One curve, its points in the units of the axes."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def picture(title: str, x: Axis, y: Axis, curves: Sequence[Curve]) -> str:
    """An SVG of curves, with their names below."""
    right, height = WIDTH - RIGHT, NAMES + ROW * ((len(curves) + 1) // 2)

    def across(value: float) -> float:
        return LEFT + x.place(value) * (right - LEFT)

    def up(value: float) -> float:
        return FLOOR - y.place(value) * (FLOOR - TOP)

    parts = [
        f'<rect class="ground" width="{WIDTH}" height="{height}" rx="8"/>',
        f'<text x="20" y="30" font-weight="600">{escape(title)}</text>',
        *(f'<path class="grid" d="M{LEFT} {up(tick):.1f}H{right}"/>' for tick in y.ticks),
        *(f'<path class="grid" d="M{across(tick):.1f} {TOP}V{FLOOR}"/>' for tick in x.ticks),
        f'<path class="axis" d="M{LEFT} {TOP}V{FLOOR}H{right}"/>',
        *(_text(LEFT - 8, up(tick) + 5, y.written(tick), "end") for tick in y.ticks),
        *(_text(across(tick), FLOOR + 21, x.written(tick), "middle") for tick in x.ticks),
        _text((LEFT + right) / 2, FLOOR + 44, x.name, "middle"),
        f'<g transform="translate(22 {(TOP + FLOOR) / 2:.1f}) rotate(-90)">{_text(0, 0, y.name, "middle")}</g>',
    ]
    for number, curve in enumerate(curves):
        points = " ".join(f"{across(a):.1f},{up(b):.1f}" for a, b in zip(curve.x, curve.y, strict=True))
        drawn = f'class="curve c{number}" stroke-dasharray="{DASHES[look(number).dash]}"'
        beside, down = LEFT + (right - LEFT) / 2 * (number % 2), NAMES + ROW * (number // 2)
        parts.append(f'<polyline {drawn} points="{points}"/>')
        parts.append(f'<path {drawn} d="M{beside} {down}h40"/>')
        parts.append(_text(beside + 48, down + 5, curve.name, "start"))
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    )
    return "\n".join((f'{opening} role="img" aria-label="{escape(title)}">', _style(len(curves)), *parts, "</svg>\n"))


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _style(curves: int) -> str:
    looks = [look(number) for number in range(curves)]
    light = [f"{where}{{{rule}}}" for where, rule, _ in STYLE]
    light += [f".c{k}{{stroke:{each.light}}}" for k, each in enumerate(looks)]
    dark = [f"{where}{{{rule}}}" for where, _, rule in STYLE if rule]
    dark += [f".c{k}{{stroke:{each.dark}}}" for k, each in enumerate(looks)]
    return f"<style>{''.join(light)}@media(prefers-color-scheme:dark){{{''.join(dark)}}}</style>"


def _power(value: float) -> str:
    return f"1e{round(log10(value))}"


def _decades(low: int, high: int, every: int = 1) -> list[float]:
    return [10.0**power for power in range(low, high + 1, every)]


# -- what is shown


def after_steps(gradients: torch.Tensor, **settings: Any) -> torch.Tensor:
    """What Adam makes of weights of 1 with these gradients, (steps, n), and these arguments: (n,)."""
    w = torch.ones(gradients.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = thalweg.Adam([w], **settings)
    for gradient in gradients:
        w.grad = gradient.clone()
        optimizer.step()
    return w.detach()


def eps() -> str:
    """Adam's first step, by the size of the gradient, for each place of eps."""
    sizes = np.logspace(-10, -3, 71)
    ways: Mapping[str, dict[str, Any]] = {
        "torch, optax: 1e-8": {"like": "torch"},
        "TensorFlow 1: 1e-8": {"like": "tf1"},
        "Keras: 1e-7": {"like": "keras"},
        "eps_root: 1e-8": {"eps": 0.0, "eps_root": 1e-8},
    }
    curves = []
    for name, settings in ways.items():
        end = after_steps(torch.tensor(sizes)[None], lr=1.0, **settings)
        curves.append(Curve(name, [*sizes], (1 - end).tolist()))
    return picture(
        "Adam's first step, by where eps stands",
        Axis("size of the gradient", 1e-10, 1e-3, _decades(-10, -3), True, _power),
        Axis("step / lr", 0, 1.05, (0, 0.25, 0.5, 0.75, 1)),
        curves,
    )


def l2_under_adam() -> str:
    """What decay takes off a weight of 1 in a step, by the size of its gradients, which change their sign."""
    sizes, steps, lr = np.logspace(-5, 1, 61), 200, 1e-4
    signs = torch.tensor([(-1.0) ** step for step in range(steps)], dtype=torch.float64)
    gradients = signs[:, None] * torch.tensor(sizes)

    def taken(kind: str, decay: float) -> list[float]:
        decayed, plain = (after_steps(gradients, lr=lr, weight_decay=each, decay=kind) for each in (decay, 0.0))
        taken_off: list[float] = ((plain - decayed) / (lr * steps)).tolist()
        return taken_off

    return picture(
        "What decay takes off a weight of 1, in a step",
        Axis("size of its gradients, of changing sign", 1e-5, 10, _decades(-5, 1), True, _power),
        Axis("taken off / lr", 1e-5, 2, _decades(-5, 0), True, _power),
        [
            Curve(f"{name}, λ = {decay:g}", [*sizes], taken(kind, decay))
            for decay in (0.01, 0.0001)
            for name, kind in (("L2", "l2"), ("decoupled", "decoupled"))
        ],
    )


def clip() -> str:
    """What is left of the other coordinates' steps, by the share of steps in which one spikes to 100."""
    shares, steps = [*np.linspace(0, 0.9, 19), *np.linspace(0.92, 0.99, 8), 0.995, 0.998, 1.0], 3000
    calm, spiked = (torch.tensor([first, 1.0], dtype=torch.float64) for first in (0.0, 100.0))

    def left(rule: Callable[..., torch.optim.Optimizer]) -> list[float]:
        pairs = [torch.zeros(2, dtype=torch.float64, requires_grad=True) for _ in shares]
        optimizer = rule(pairs, lr=1.0, clip_norm=1.0, clip_scope="tensor", clip_eps=0.0)
        for step in range(steps):
            if step == steps // 2:  # Adam's averages have settled
                settled = [pair.detach().clone() for pair in pairs]
            for pair, share in zip(pairs, shares, strict=True):
                spikes = int((step + 1) * share + 1e-9) > int(step * share + 1e-9)
                pair.grad = spiked if spikes else calm
            optimizer.step()
        return [float(a[1] - b[1].detach()) / (steps / 2) for a, b in zip(settled, pairs, strict=True)]

    return picture(
        "What a clip by norm leaves of the others' steps",
        Axis(
            "share of the steps in which one coordinate spikes",
            0,
            1,
            (0, 0.2, 0.4, 0.6, 0.8, 1),
            written="{:.0%}".format,
        ),
        Axis("their step, beside no spikes", 0, 1.05, (0, 0.25, 0.5, 0.75, 1)),
        [Curve("under SGD", shares, left(thalweg.SGD)), Curve("under Adam", shares, left(thalweg.Adam))],
    )


def noise() -> str:
    """How far the best of n equal rules seems above their mean, by the seeds of each."""
    counts = np.unique(np.logspace(0, 3, 61).round()).astype(int)
    z = np.linspace(-10, 10, 20001)
    below = np.array([(1 + erf(each / 2**0.5)) / 2 for each in z])
    # E max = integral of z dF^n, F the normal distribution.
    best = [float(((z[1:] + z[:-1]) / 2 * np.diff(below**n)).sum()) for n in counts]
    return picture(
        "The best of n equal rules, above their mean",
        Axis("n, how many are compared", 1, 1000, (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000), True),
        Axis("standard deviations of a training", 0, 3.5, (0, 1, 2, 3)),
        [
            Curve(f"{seeds} seed{'s' * (seeds > 1)} each", [*map(float, counts)], [each / seeds**0.5 for each in best])
            for seeds in (1, 5, 20)
        ],
    )


PICTURES = {"eps": eps, "l2-under-adam": l2_under_adam, "clip": clip, "noise": noise}


def main() -> None:
    """Write all of them."""
    for name, drawn in PICTURES.items():
        (HERE / f"{name}.svg").write_text(drawn(), encoding="utf-8")


if __name__ == "__main__":
    main()
