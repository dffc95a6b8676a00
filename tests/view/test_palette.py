"""The colours: told apart by everyone, and readable on both backgrounds."""

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest

from thalweg.report.markup import SHAPES
from thalweg.view.palette import COLOURS, SYMBOLS, look

# Machado, Oliveira & Fernandes 2009, severity 1: linear RGB as the three kinds of colour blindness see it.
SEEN = {
    "all colours": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    channel = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    low, high = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb
    f = np.cbrt(np.clip(xyz / [0.9505, 1, 1.089], 0, None))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize(("theme", "background"), [(0, "#ffffff"), (1, "#15181c")])
def test_contrast_with_the_background(theme, background):
    assert min(contrast(pair[theme], background) for pair in COLOURS) >= 3


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("theme", [0, 1])
def test_told_apart(theme, eyes):
    seen = [lab(np.clip(np.array(SEEN[eyes]) @ linear(pair[theme]), 0, 1)) for pair in COLOURS]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 8


def test_markers_still_tell_rules_apart_when_colours_repeat():
    looks = [(look(i).light, look(i).symbol) for i in range(40)]
    assert len(set(looks)) == len(looks)


def test_every_marker_has_its_shape_in_the_legend() -> None:
    assert set(SYMBOLS) == set(SHAPES)


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("cell", ["good", "fair", "poor", "bad"])
def test_coloured_cells_can_be_read(theme, cell):
    css = files("thalweg.report").joinpath("page.css").read_text(encoding="utf-8")
    background = re.findall(rf"--{cell}: (#\w+)", css)[theme]
    for ink in ("ink", "quiet"):
        assert contrast(re.findall(rf"--{ink}: (#\w+)", css)[theme], background) >= 4.5
