from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from thalweg.stats.difference import answered, paired_interval
from thalweg.stats.proportion import score_interval
from thalweg.stats.wins import REVERSED, win_matrix


@dataclass(frozen=True)
class Said:
    first: str
    second: str
    answer: str


@st.composite
def studies(draw):
    """Answers of two to four rules on up to eight tasks, each pair in either direction or left out."""
    rules = [f"r{i}" for i in range(draw(st.integers(2, 4)))]
    pairs = [(a, b) for i, a in enumerate(rules) for b in rules[i + 1 :]]
    answers = {}
    for task in range(draw(st.integers(1, 8))):
        answers[f"t{task}"] = [
            Said(*(pair if draw(st.booleans()) else pair[::-1]), draw(st.sampled_from(list(REVERSED))))
            for pair in pairs
            if draw(st.integers(0, 4))
        ]
    return answers


def test_an_example_by_hand():
    found = win_matrix(
        {
            "digits": [Said("adam", "sgd", "better"), Said("adam", "lion", "cannot tell")],
            "spiral": [Said("sgd", "adam", "worse"), Said("adam", "lion", "better")],
            "quadratic": [Said("adam", "sgd", "equal"), Said("adam", "lion", "worse")],
        }
    )
    assert (found.tasks, found.rules) == (("digits", "spiral", "quadratic"), ("adam", "sgd", "lion"))
    pair = found.between("adam", "sgd")
    assert (pair.wins, pair.losses, pair.equal, pair.unclear, pair.share, pair.tasks) == (2, 0, 1, 0, 1, 3)
    assert (pair.low, pair.high) == pytest.approx((0.342, 1), abs=1e-3)
    pair = found.between("lion", "adam")
    assert (pair.wins, pair.losses, pair.undecided, pair.share) == (1, 1, 1, 0.5)
    never = found.between("sgd", "lion")
    assert (never.tasks, never.share, never.low, never.high) == (0, None, 0, 1)


@given(studies())
def test_what_one_wins_the_other_loses(answers):
    found = win_matrix(answers)
    assert len(found.records) == len(found.rules) * (len(found.rules) - 1)
    for one in found.records:
        other = found.between(one.second, one.first)
        assert (one.wins, one.losses, one.equal, one.unclear) == (
            other.losses,
            other.wins,
            other.equal,
            other.unclear,
        )
        assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-12)
        stated = [a for said in answers.values() for a in said if {a.first, a.second} == {one.first, one.second}]
        assert one.tasks == len(stated)
        assert one.wins == sum(a.answer == ("better" if a.first == one.first else "worse") for a in stated)


@settings(max_examples=40)
@given(studies(), st.randoms())
def test_neither_order_nor_direction_nor_saying_it_twice_matters(answers, chance):
    def moved(said):
        turned = [Said(a.second, a.first, REVERSED[a.answer]) for a in said]
        both = [*turned, *(a for a in said if chance.random() < 0.5)]
        return chance.sample(both, len(both))

    before = win_matrix(answers)
    after = win_matrix({task: moved(answers[task]) for task in chance.sample(list(answers), len(answers))})
    assert set(after.records) == set(before.records)


@given(studies())
def test_one_more_win_moves_the_interval_up(answers):
    before = win_matrix(answers)
    after = win_matrix({**answers, "more": [Said("r0", "r1", "better")]}).between("r0", "r1")
    if {"r0", "r1"} <= set(before.rules):
        one = before.between("r0", "r1")
        assert (after.wins, after.losses, after.undecided) == (one.wins + 1, one.losses, one.undecided)
        assert after.high >= one.high
        assert after.low >= one.low


@given(st.integers(1, 60), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_is_statsmodels_wilson(n, data, level):
    wins = data.draw(st.integers(0, n))
    answers = {f"t{i}": [Said("a", "b", "better" if i < wins else "worse")] for i in range(n)}
    found = win_matrix(answers, level=level).between("a", "b")
    theirs = proportion_confint(wins, n, alpha=1 - level, method="wilson")
    assert (found.low, found.high) == pytest.approx(theirs, abs=1e-12)
    assert 0 <= found.low <= found.share <= found.high <= 1


@given(st.floats(0, 1), st.floats(0.5, 100), st.floats(0.1, 10))
def test_the_score_interval_has_a_width_and_stays_within_what_is_possible(share, n, quantile):
    low, high = score_interval(share, n, quantile)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    assert low < high


@given(st.floats(0.5, 100), st.floats(0.1, 10))
def test_at_the_ends_it_ends_there(n, quantile):
    assert score_interval(0.0, n, quantile)[0] == 0
    assert score_interval(1.0, n, quantile)[1] == 1


def test_five_of_five_can_happen_by_chance():
    found = win_matrix({f"t{i}": [Said("a", "b", "better")] for i in range(5)}).between("a", "b")
    assert (found.share, found.high) == (1, 1)
    assert found.low == pytest.approx(0.5655, abs=1e-4)


def test_paired_differences_are_answers():
    runs = [1.0, 2.0, 3.1], [0.0, 1.1, 2.0], [4.0, 0.0, 2.0]
    wins = answered("a", "b", paired_interval(runs[0], runs[1]), higher_is_better=True)
    open_ = answered("a", "b", paired_interval(runs[0], runs[2]), higher_is_better=True)
    pair = win_matrix({"t": [wins], "u": [open_]}).between("b", "a")
    assert (pair.wins, pair.losses, pair.unclear) == (0, 1, 1)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([Said("a", "b", "tie")], "no such answer as 'tie'; there are better, worse"),
        ([Said("a", "a", "better")], "a is compared with itself"),
        ([Said("a", "b", "better"), Said("a", "b", "better")], "a is compared with b twice"),
        ([Said("a", "b", "better"), Said("b", "a", "better")], "a against b is 'better', but b against a is 'better'"),
    ],
)
def test_answers_that_cannot_be_meant_are_refused(said, words):
    with pytest.raises(ValueError, match=f"on digits: .*{words}"):
        win_matrix({"digits": said})


def test_a_level_is_a_confidence():
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        win_matrix({}, level=0.05)


def test_without_tasks_there_are_no_records():
    assert win_matrix({}).records == ()
