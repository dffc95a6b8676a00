"""The parts of the page around figures, for one task. Pure functions of a `View`."""

from collections.abc import Iterable

from thalweg.view.values import ContenderView, View

from .figures import LINES
from .markup import Part, figure, legend, percent, row, rule_head, table
from .slices import caption


def best_so_far(view: View) -> Part:
    """The picture of what trials buy."""
    text = "Lines: the validation value to expect of the best of n trials (the default and n - 1 others at random). "
    text += "They are of these trials: another search would draw other lines. "
    text += (
        "Points: the trials in the order they were run; arrows at the edge lie beyond the axis, and those without a "
        "value are in the next figure."
    )
    about = f"Expected best {view.metric.selection} against the number of trials, one line a {view.kind}"
    return Part(
        f"best{view.mark}", "What tuning buys", text, legend(view.rules) + figure(f"fig-best{view.mark}", about)
    )


def slices(view: View, names: Iterable[str]) -> Part:
    """The pictures of how much each hyperparameter matters, and how much of the search does nearly as well."""
    gone = any(trial.value is None for rule in view.rules for trial in rule.trials)
    text = (
        "Every trial by each hyperparameter that was searched, on the scale of its search; the others vary too. The "
        "large mark is the default. Arrows at the edge: trials beyond the axis."
    )
    text += " Crosses there: trials that diverged or failed." if gone else " No trial diverged or failed."
    drawn = "".join(figure(f"fig-by-{name}{view.mark}", caption(name, view)) for name in names)
    content = f'{legend(view.rules)}<div class="slices">{drawn}</div>{_shares(view)}'
    return Part(f"slices{view.mark}", "Sensitivity to each hyperparameter", text, content)


def _shares(view: View) -> str:
    known = [rule for rule in view.rules if rule.row.sensitivity]
    if not known:
        return ""
    heads = [view.kind, *(f"within {share.tolerance:.0%} of the best" for share in known[0].row.sensitivity)]

    def one(rule: ContenderView) -> str:
        return row(rule_head(rule), [percent(each.share, each.low, each.high) for each in rule.row.sensitivity])

    made = table(heads, [one(rule) for rule in known], range(1, len(heads)), name="Share of the search box")
    return (
        '<p class="how after">How much of the search box does nearly as well as the best found in it, on validation, '
        f"with 95% intervals from its {known[0].row.sensitivity[0].total} draws. A large share: easy to tune.</p>{made}"
    )


def training(view: View) -> Part:
    """The picture of the re-runs."""
    many = any(len(rule.curves) > LINES for rule in view.rules)
    each = "Bands: from the worst seed to the best." if many else "Thin lines: one seed each."
    text = (
        f"The configurations found, trained with {view.seeds} fresh seeds. {each} Thick lines: the mean over seeds. "
        "The axis fits what comes after the first epochs."
    )
    about = f"{view.metric.selection} after each epoch of the configurations found, seeds and their mean"
    return Part(
        f"training{view.mark}", "Training curves", text, legend(view.rules) + figure(f"fig-training{view.mark}", about)
    )
