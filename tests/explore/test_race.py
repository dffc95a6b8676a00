import numpy as np
import pytest
from explorer_runs import complaints, run

from thalweg.explore.descent import descend
from thalweg.explore.figures.race import FAMILIES, FIGURE, FIRST, RACING
from thalweg.explore.rates import GRID, LOWEST, RACE_SURFACES, RATES, SEEDS, STEPS
from thalweg.explore.surfaces import SURFACES
from thalweg.formula import compose
from thalweg.formula.torch_reader import known_of, values_of
from thalweg.rules import CATALOGUE

pytestmark = pytest.mark.slow

ALL = {f"family.{family}": [label for label, rule in RACING.items() if rule.family == family] for family in FAMILIES}
AVERAGED = [label for label in RACING if label.startswith("schedulefree")]


def state_on(surface, **changes):
    rates = {f"{label}.lr": lr for label, lr in RATES[surface].items()}
    return {"surface": surface, "start": SURFACES[surface].start, **rates, **changes}


def test_every_rule_that_is_defined_on_a_vector_races():
    offered = [label for each in FIGURE.controls if each.name.startswith("family.") for label in each.options]
    assert sorted(offered) == sorted(RACING)
    # The page says why these do not.
    absent = {*CATALOGUE} - {*RACING}
    assert absent == {"muon", "normuon", "soap", "shampoo"}
    assert all(CATALOGUE[label].__name__ in text for label in absent for text in FIGURE.see)


def test_every_rule_takes_the_library_s_path(visit):
    there = visit()
    for surface, steps, near in (("valley", 20, 1e-12), ("beale", 30, 1e-9)):
        panels = there.draw("race", state_on(surface, steps=steps, **ALL))["panels"]
        lines = [mark for mark in panels[0]["marks"] if mark["kind"] == "line"]
        losses = [mark for mark in panels[1]["marks"] if mark["kind"] == "line"]
        for (label, rule), line, loss in zip(RACING.items(), lines, losses, strict=True):
            path = descend(rule, surface, None, steps, lr=RATES[surface][label])
            drawn = np.stack([line["x"], line["y"]], 1)
            if label in AVERAGED:  # what counts is the average, of which the path's end tells
                values = values_of(rule, lr=RATES[surface][label])
                end = compose.evaluated(rule, known_of(rule, path.last, path.last.weight, values))
                np.testing.assert_allclose(drawn[-1], end, rtol=near, atol=1e-12, err_msg=label)
                continue
            # Beale's plateau has walls on which the last bits of a step grow.
            np.testing.assert_allclose(drawn, path.weights, rtol=near, atol=1e-12, err_msg=label)
            np.testing.assert_allclose(loss["y"], path.losses, rtol=near, atol=1e-12, err_msg=label)


@pytest.mark.parametrize("surface", ["saddle", "noisy"])
def test_the_program_ends_where_the_page_does(visit, surface):
    there = visit()
    families = {"family.schedule-free": AVERAGED, "family.sign": ["rprop", "lion"], "family.layer-wise": ["lars"]}
    state = state_on(surface, steps=40, seed=7, **families)
    drawn = there.draw("race", state)
    names = [row[0] for row in drawn["table"]["rows"]]
    program = there.python("race", state)
    assert complaints(program) == ""
    ends = run(program)
    assert list(ends) == names
    assert "ScheduleFreeSGD" in names
    for name, line in zip(names, drawn["panels"][0]["marks"], strict=False):
        np.testing.assert_allclose([line["x"][-1], line["y"][-1]], ends[name], rtol=1e-9, atol=1e-12)


def test_a_surface_brings_its_start_and_rates_and_so_does_its_address(visit):
    page = visit("#race").page
    page.select_option("#control-surface", "rosenbrock")
    page.wait_for_function("() => window.explorer.current.state.surface === 'rosenbrock'")
    assert page.evaluate("window.explorer.current.state.start") == [-1.2, 1.0]
    assert page.evaluate("window.explorer.current.state['sgd.lr']") == RATES["rosenbrock"]["sgd"]
    page.wait_for_function("() => location.hash.includes('surface')")
    assert page.evaluate("location.hash") == "#race?surface=rosenbrock"
    again = visit("#race?surface=rosenbrock&sgd.lr=0.001").page
    assert again.evaluate("window.explorer.current.state['adam.lr']") == RATES["rosenbrock"]["adam"]
    assert again.evaluate("window.explorer.current.state['sgd.lr']") == 0.001


def test_only_the_rates_of_those_who_race_are_shown(visit):
    there = visit()
    hidden = there.draw("race", {"family.sign": []})["hidden"]
    assert {f"{label}.lr" for label in RACING} - {*hidden} == {f"{label}.lr" for label in FIRST if label != "lion"}
    assert "seed" in hidden
    assert "seed" not in there.draw("race", state_on("noisy"))["hidden"]
    assert there.draw("race", {"family.momentum": [], "family.adaptive": [], "family.sign": []})["table"]["rows"] == []


def test_rules_look_different(visit):
    rows = visit().draw("race", {"steps": 3, **ALL})["table"]["rows"]
    looks = {(look["colour"], look.get("dash")) for _, look, *_ in rows}
    assert len(looks) == len(RACING)


SEARCH = """([cases, grid, steps, seeds, lowest]) => {
    const { SURFACES, train, settings, formOf, lossOf } = window.explorer;
    return cases.map(([surface, label]) => {
        const { call, start, noise } = SURFACES[surface];
        const meanLoss = (lr, seed) => {
            const n = settings(label, {}, { lr });
            const see = (s) => call(...formOf(label, n).evaluate(n, s))[0] - (lowest[surface] ?? 0);
            const { seen } = train(label, n, lossOf(surface, seed), start, steps, see);
            const mean = seen.reduce((sum, each) => sum + each, 0) / seen.length;
            return Number.isFinite(mean) ? mean : Infinity;
        };
        const means = grid.map((lr) => (noise ? seeds : [0]).reduce((sum, seed) => sum + meanLoss(lr, seed), 0));
        return grid[means.indexOf(Math.min(...means))];
    });
}"""


def test_rates_at_first_are_the_best_of_the_grid(visit):
    cases = [("rosenbrock", label) for label in RACING]
    cases += [(surface, label) for surface in RACE_SURFACES for label in FIRST]
    found = visit().page.evaluate(SEARCH, [cases, GRID, STEPS, [*SEEDS], dict(LOWEST)])
    assert found == [RATES[surface][label] for surface, label in cases]
