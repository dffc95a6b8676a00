"""The parts of the page around figures, for one task. Pure functions of a `View`."""

from thalweg.view.values import ContenderView, View

from .figures import LINES
from .markup import Part, figure, legend, percent, row, rule_head, table


def best_so_far(view: View) -> Part:
    """The picture of what trials buy."""
    text = (
        "Lines: the validation value to expect of the best of n trials (the default and n - 1 others at random; "
        "unbiased). "
    )
    if any(rule.best_band for rule in view.rules):
        text += (
            "Bands: 95% intervals over other searches, up to a third of the trials; beyond, these trials alone cannot "
            "tell how far another search would be from this one. "
        )
    text += (
        "Points: the trials in the order they were run; points beyond the axis stand on its edge, and those without a "
        "value are in the next figure."
    )
    about = f"Expected best {view.metric.selection} against the number of trials, one line a {view.kind}"
    return Part("What tuning buys", text, legend(view.rules) + figure(f"fig-best{view.mark}", about))


def sensitivity(view: View) -> Part:
    """The picture of how much the learning rate matters, and how much of the search does nearly as well as the best."""
    gone = any(trial.value is None for rule in view.rules for trial in rule.trials)
    text = "Every trial by its learning rate; the other hyperparameters vary too. The large mark is the default."
    text += (
        " Crosses in the strip below are trials that diverged or failed." if gone else " No trial diverged or failed."
    )
    drawn = figure(f"fig-lr{view.mark}", f"{view.metric.selection} of every trial against its learning rate")
    return Part("Sensitivity to the learning rate", text, legend(view.rules) + drawn + _shares(view))


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
    return Part("Training curves", text, legend(view.rules) + figure(f"fig-training{view.mark}", about))
