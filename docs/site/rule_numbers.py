"""A rule's own numbers on its page: defaults and search box, and how other libraries have it."""

from collections.abc import Iterator, Mapping
from typing import Any

from page_text import link, plain, table
from rule_meanings import meaning
from thalweg.formula import Rule
from thalweg.formula.declare import Coefficients, Decay, Declared, Form, Hyper, Switch
from thalweg.formula.rule import Declaring, decay_kind, parts
from thalweg.stats.wording import listed, value_text

SETTABLE = (Hyper, Decay, Switch, Form, Coefficients)
# Whose convention it is, where the name does not say it.
WHOSE = {
    "torch": "torch.optim",
    "tf1": "TensorFlow 1",
    "keras": "Keras 3",
    "optax": "optax",
    "transformers": "transformers",
    "paper": "the paper",
    "keller": "KellerJordan/Muon",
    "moonshot": "Moonlight",
    "dion": "microsoft/dion",
    "nanochat": "karpathy/nanochat",
    "nvidia": "NVIDIA's Emerging-Optimizers",
}


def settable(declaring: type[Declaring]) -> dict[str, Any]:
    """What a user may set, by name, in the order of the optimizer's arguments."""
    return {name: part for name, part in declaring.declared.items() if isinstance(part, SETTABLE)}


def numbers(key: str, declaring: type[Declaring]) -> str:
    """A table: argument, default, the box that a comparison searches and from which budget on, meaning."""
    rows = [
        (_argument(name, part), _default(part), *_searched(part), plain(meaning(key, name)) + _choices(part))
        for name, part in settable(declaring).items()
    ]
    return table(("argument", "default", "searched", "from budget", "meaning"), rows)


def words_of(declaring: type[Declaring]) -> str:
    """What the table's words mean, of those that it has."""
    searches = [part.search for part in settable(declaring).values() if isinstance(part, Hyper | Decay) and part.search]
    kinds = dict.fromkeys(each.kind for each in searches)
    said = [_KINDS[kind] for kind in kinds if kind in _KINDS]
    if any(each.trials for each in searches):
        said.append(
            f"*from budget*: searched where [`--budget`]({link('docs/comparison.md')}#two-questions) is at least so "
            "large (it is 5 unless given, however many trials are run), else the default"
        )
    return "; ".join(said) + "." if said else ""


_KINDS = {"log": "*log*: log-uniform", "one minus log": "*1 - log*: drawn so that its distance to 1 is log-uniform"}


def _argument(name: str, part: Declared) -> str:
    return f"`{name}`, of `{part.of}`" if isinstance(part, Hyper) and part.of else f"`{name}`"


def _default(part: Any) -> str:
    # At torch's surface None stands where a number that may be left out is 0.
    return "None" if isinstance(part, Hyper) and part.none and not part.default else written(part.default)


def written(value: Any) -> str:
    """A value as Python has it."""
    return str(value) if isinstance(value, bool) else value_text(value)


def _searched(part: Declared) -> tuple[str, str]:
    search = part.search if isinstance(part, Hyper | Decay) else None
    if search is None:
        return "", ""
    box = {
        "choice": ", ".join(f"{each:g}" for each in search.choices),
        "log": f"{search.low:g} to {search.high:g}, log",
        "one minus log": f"{1 - search.high:g} to {1 - search.low:g}, 1 - log",
    }[search.kind]
    return box + (f", divided by 1 - {search.over}" if search.over else ""), f"{search.trials}" if search.trials else ""


def _choices(part: Declared) -> str:
    if isinstance(part, Form):
        return f": {listed([*part.choices], 'or')}"
    return f": {', '.join(part.lists)}, or one's own" if isinstance(part, Coefficients) else ""


def conventions(rule: type[Rule]) -> Iterator[str]:
    """Who differs, by what: a row for each number and switch in which anybody does, in bold where it is not ours."""
    if not rule.conventions:
        return
    every = [*rule.conventions]
    changed = dict.fromkeys(name for given in rule.conventions.values() for name in given)
    if not changed:
        agreed = " and ".join(f'{WHOSE[name]} (`like="{name}"`)' for name in every)
        yield f"{agreed} ha{'s' if len(every) == 1 else 've'} the same formula and the same defaults."
        return
    usual = {name: _default(part) for name, part in settable(rule).items()} | {"decay": decay_kind(rule)}
    order = [name for name in (*settable(rule), "decay") if name in changed]
    found = {name: [_differs(given, name, usual[name]) for given in rule.conventions.values()] for name in order}
    rows = [(f"`{name}`", usual[name], *cells) for name, cells in found.items() if {*cells} != {usual[name]}]
    yield table(("number", "here", *(WHOSE[name] for name in every)), rows)
    columns = ", ".join(f'`like="{name}"`' for name in every)
    yield (
        f"In bold what differs; {columns} set a column, and an argument that is given counts more "
        f"([conventions]({link('docs/rules.md')}#conventions))."
    )
    yield from _converted(rule)


def _differs(given: Mapping[str, Any], name: str, usual: str) -> str:
    said = written(given[name]) if name in given else usual
    return said if said == usual else f"**{said}**"


def _converted(rule: type[Rule]) -> Iterator[str]:
    """The functions that turn numbers of one convention into those of another."""
    if any(given.get("decay") == "independent" for given in rule.conventions.values()):
        yield (
            "`thalweg.conventions.paper_to_torch_decay(weight_decay, lr)` turns the paper's decay into the one here, "
            "`torch_to_paper_decay` the other way."
        )
    if "heavy_ball" in parts(rule, Switch) and rule.family == "momentum":
        yield (
            "`thalweg.conventions.average_to_heavy_ball(lr, momentum)` gives the lr with which a running sum takes "
            "the same steps, `heavy_ball_to_average` the other way."
        )
    if "eps_hat" in parts(rule, Switch):
        yield (
            "`thalweg.conventions.eps_to_eps_hat(eps, beta2, step)` says which eps beside the uncorrected root counts "
            "as much at one step. No number does so at all of them."
        )
