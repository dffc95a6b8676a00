"""Rules written to real files, as a user writes them: their text is what gets checked and compiled."""

import importlib.util
import itertools
import textwrap
from collections.abc import Callable

import pytest

from thalweg.formula import Rule

Define = Callable[..., type[Rule]]


@pytest.fixture(scope="session")
def define(tmp_path_factory: pytest.TempPathFactory) -> Define:
    """``define(body, above)``: the class R with that body, below the lines ``above``, from a file of its own."""
    folder, numbers = tmp_path_factory.mktemp("rules"), itertools.count()

    def made(body: str, above: str = "from thalweg.formula import *") -> type[Rule]:
        name = f"written_{next(numbers)}"
        lines = ["from thalweg.formula import Rule, Hyper, State, Switch, Scalar, Sum, Decay, log_uniform, choice"]
        lines += [
            textwrap.dedent(above).strip(),
            "class R(Rule):",
            textwrap.indent(textwrap.dedent(body).strip(), "    "),
        ]
        path = folder / f"{name}.py"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        rule: type[Rule] = module.R
        return rule

    return made
