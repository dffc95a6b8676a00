"""README and docs are true: their Python runs, their commands can be given, what they quote is what is printed today.

Documents are read as they are: a new block, command, path or link is covered without a line here. What cannot be run,
or is run elsewhere, is listed with the reason, and a line of these lists that nothing needs any more fails too.
"""

import ast
import importlib
import json
import os
import re
import shlex
import sys
import textwrap
import tomllib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest
import torch

import api_page
import broken_optimizers
import demo_runs
import thalweg
import thalweg.study.run.conduct
from thalweg.cli import app, asking, main, studies
from thalweg.explore.figures import NAMES
from thalweg.rules import CATALOGUE
from thalweg.study import Serial
from thalweg.study.ask.spec import resolve
from thalweg.study.ask.task_references import check_task
from thalweg.study.run import devices
from thalweg.study.run.worker import run_cell
from thalweg.testing.judging import case
from thalweg.testing.subject import Subject
from thalweg.verify.check import CELLS, Measured, checked
from thalweg.verify.published import SingleRun
from thalweg.verify.wording import as_markdown
from thalweg.wrappers import WRAPPERS

ROOT = Path(__file__).parents[1]
DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), ROOT / "tests" / "README.md")
    if "_build" not in path.parts  # the site that is made of them
}


# -- what stands in a document


@dataclass(frozen=True)
class Block:
    """What stands between two fences: under which heading, of which language, from which line on."""

    document: str
    heading: str
    language: str
    line: int
    text: str

    @property
    def name(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def place(self) -> tuple[str, str]:
        return self.document, self.heading


def blocks_of(document: str) -> Iterator[Block]:
    heading, opened, lines = "", 0, DOCUMENTS[document].splitlines()
    for number, line in enumerate(lines, 1):
        if line.startswith("```") and not opened:
            opened, language = number + 1, line.removeprefix("```")
        elif line.startswith("```"):
            text = "".join(f"{each}\n" for each in lines[opened - 1 : number - 1])
            yield Block(document, heading, language, opened, text)
            opened = 0
        elif line.startswith("#") and not opened:
            heading = line.lstrip("# ")
    assert not opened, f"{document}:{opened}: the block is not closed"


BLOCKS = [block for document in DOCUMENTS for block in blocks_of(document)]


def prose(text: str) -> str:
    """What stands outside of blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


PROSE = {document: prose(text) for document, text in DOCUMENTS.items()}
# What stands between backticks in running text.
INLINE = [(document, code) for document, text in PROSE.items() for code in re.findall(r"`([^`]+)`", text)]
PROGRAMS = {
    *("thalweg", "make", "pip", "python", "python3", "pytest"),
    *(f".venv/bin/{each}" for each in ("thalweg", "pip", "python")),
}


def is_commands(block: Block) -> bool:
    return not block.language and block.text.split()[0] in PROGRAMS


def is_output(block: Block) -> bool:
    return not block.language and not is_commands(block)


COMMANDS = [(block, line) for block in BLOCKS if is_commands(block) for line in block.text.splitlines()]


def without_spaces(text: str) -> str:
    return " ".join(text.split())


def missing_from(whole: str, quote: str) -> str:
    """The first piece of a quote that does not stand there after the one before; "" if all do. [...] is left out."""
    at, whole = 0, without_spaces(whole)
    for piece in map(without_spaces, re.split(r"\[\.\.\.\]|^\.\.\.$", quote, flags=re.MULTILINE)):
        at = whole.find(piece, at)
        if at < 0:
            return piece
        at += len(piece)
    return ""


# -- Python

# What stands for the reader's own: by document and heading, run before the first block under it.
STANDINS = {
    ("README.md", "Drop in"): """
        import torch
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 2))
        """,
    ("docs/comparison.md", "Your own script"): """
        import torch, thalweg
        from torch.nn.functional import cross_entropy
        from my_script import Net, batches
        """,
    ("docs/formula.md", "The language of rules"): """
        import torch, thalweg
        from thalweg.formula import *
        model = torch.nn.Linear(2, 2)
        """,
    ("docs/groups.md", "Parameter groups"): """
        import torch, thalweg
        from standin_models import T5, Bottleneck, ResNet, TimmVisionTransformer
        model, resnet, t5 = TimmVisionTransformer(), ResNet(), T5()
        resnet.layer3, resnet.layer4 = (torch.nn.Sequential(Bottleneck(), Bottleneck()) for _ in range(2))
        """,
    ("docs/groups.md", "What is not decayed"): """
        model.text_projection = torch.nn.Parameter(torch.ones(8, 8))
        model.blocks[0].attn.rel_pos_h = torch.nn.Parameter(torch.ones(3, 8))
        """,
    ("docs/index.md", "thalweg"): """
        import torch
        model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
        """,
    ("docs/joined.md", "Several rules in one optimizer"): """
        import torch, thalweg
        model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))
        """,
    ("docs/joined.md", "Checkpoints"): """
        first, second = ([*part.parameters()] for part in model[:2])
        optimizer = thalweg.LAMB([{"params": first}, {"params": second, "rule": "AdamW"}])
        by_lamb, by_adamw = thalweg.LAMB(first), torch.optim.AdamW(second)
        """,
    ("docs/muon.md", "Which Muon is which"): """
        import torch, thalweg
        model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
        """,
    ("docs/norms.md", "Normalisation layers"): """
        import torch
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LayerNorm(8))
        x, residual = torch.randn(2, 512), torch.randn(2, 512)
        """,
    ("docs/optimizers.md", "The chain"): """
        import torch, thalweg
        from torch import nn
        model = nn.Linear(4, 4)
        """,
    ("docs/optimizers.md", "Averaged weights"): """
        batches = [torch.randn(8, 4)]
        model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        optimizer = thalweg.AdamW(model.parameters(), ema=0.999, clip_norm=1.0)
        def evaluate(model): model(batches[0])
        def more():
            for _ in range(10):
                optimizer.zero_grad()
                model(batches[0]).square().sum().backward()
                optimizer.step()
        more()
        """,
    ("docs/routing.md", "Overruling"): """
        import torch, thalweg
        block = lambda: torch.nn.ModuleDict({"qkv": torch.nn.Linear(8, 16), "projection": torch.nn.Linear(8, 8)})
        model = torch.nn.Module()
        model.blocks = torch.nn.ModuleList(block() for _ in range(2))
        model.head = torch.nn.Linear(8, 2)
        attention = model.blocks[0]
        """,
    ("docs/rules.md", "Conventions"): """
        import torch, thalweg
        model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
        """,
}
# What is not run here, and why.
FRAMEWORKS = "loads a framework: run by tests/frameworks/test_integrations_page.py"
NOT_RUN = {
    **{
        ("docs/integrations.md", heading): FRAMEWORKS
        for heading in (
            "The Trainer",
            "Accelerate",
            "DDP",
            "FSDP2 and checkpoints",
            "skorch",
            "Comparisons beside trackers, Optuna, Ray",
        )
    },
    **{
        ("docs/migrating.md", f"From {library}"): "trained with by tests/rules/test_migrating_page.py"
        for library in ("torch.optim", "torch-optimi", "timm", "pytorch_optimizer", "optax")
    },
    ("docs/placement.md", "Try it"): "run and judged by tests/nn/test_placement_page.py",
    ("docs/gpu.md", "CUDA graphs"): "needs a card: tests/gpu/test_triton_graphs.py records without one",
    ("docs/routing.md", "GPT-2"): "needs transformers: compared by tests/frameworks/test_routed_architectures.py",
}
# After a document's last block: what it only defines, or claims in a comment of the page.
AFTERWARDS = {
    "docs/comparison.md": """
        found = thalweg.train(train, "adamw")
        assert found.status == "done", found.message
        """,
    "docs/explorer.md": "assert f'# shapes {path.weights.shape} and {path.losses.shape}, float64' in page, path",
}
# The names that a document's script leaves to its reader.
SCRIPT = """
import torch
from torch.nn.functional import cross_entropy

class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(4, 3)

def batches(seed):
    return [(torch.ones(2, 4), torch.zeros(2, dtype=torch.long))]

"""


class NotTrained(Exception):
    """All was well until a training would have begun."""


class Idle(Serial):
    """An engine that looks at a user's script, and trains nothing."""

    def map(self, fn: Callable[[Any], Any], items: Sequence[Any]) -> Generator[tuple[Any, Any], None, None]:
        if fn is not check_task:
            raise NotTrained
        yield from super().map(fn, items)


def block_with(text: str, document: str = "README.md") -> str:
    """The one block of a document that this stands in."""
    (found,) = (block.text for block in blocks_of(document) if text in block.text)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, with the files that documents speak of, made of what they say; nothing is trained there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("my_script", "my_rules"):  # another test may have trained a file of that name
        monkeypatch.delitem(sys.modules, name, raising=False)
    script, rule = (
        block_with("def train(trial)", "docs/comparison.md").replace("=...", "=0.5"),
        block_with("@thalweg.optimizer"),
    )
    Path("my_script.py").write_text(SCRIPT + script)
    Path("my_rules.py").write_text(f"import torch\nmodel = torch.nn.Linear(2, 2)\n{rule}")
    Path("study.toml").write_text(block_with("tasks = [", "docs/comparison.md"))
    Path("examples").symlink_to(ROOT / "examples")
    monkeypatch.setattr(
        thalweg, "compare", lambda *given, _compare=thalweg.compare, **named: _compare(*given, engine=Idle(), **named)
    )
    monkeypatch.setattr(
        studies, "chosen_engine", lambda *given, **named: (asking.chosen_engine(*given, **named), Idle())[1]
    )
    yield tmp_path
    for name in ("my_script", "my_rules"):
        sys.modules.pop(name, None)


class Filled(ast.NodeTransformer):
    """Where a document leaves something out: a statement ... is more of the same, a value ... some number."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if isinstance(node.value, ast.Constant) and node.value.value is ...:
            return ast.copy_location(ast.Expr(ast.parse("more()", mode="eval").body), node)
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.copy_location(ast.Constant(0.5), node) if node.value is ... else node


RUN = [block for block in BLOCKS if block.language == "python" and block.place not in NOT_RUN]


@pytest.mark.parametrize("document", dict.fromkeys(block.document for block in RUN))
def test_python_runs_and_prints_what_is_quoted(document: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one module, which has its lines where the document has them: rules look for their own text."""
    module, path = ModuleType("document"), folder / f"{Path(document).stem}_md.py"
    module.__file__ = str(path)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    lines = [""] * len(DOCUMENTS[document].splitlines())
    said, prepared, before = "", set(), None
    for block in blocks_of(document):
        if block in RUN:
            code = textwrap.dedent(block.text).splitlines()
            lines[block.line - 1 : block.line - 1 + len(code)] = code
            path.write_text("\n".join(lines))
            if block.place not in prepared:
                exec(textwrap.dedent(STANDINS.get(block.place, "")), vars(module))
                prepared.add(block.place)
            said = printed_by(block, module)
        elif is_output(block) and before in RUN:
            gone = missing_from(said, block.text)
            assert not gone, f"{block.name}: {gone!r} is not what is printed:\n{said}"
        before = block
    exec(textwrap.dedent(AFTERWARDS.get(document, "")), {**vars(module), "page": DOCUMENTS[document]})


def printed_by(block: Block, module: ModuleType) -> str:
    """Run a block, and compare what a comment says that a line prints, to its last digit."""
    text = textwrap.dedent(block.text)
    tree = Filled().visit(ast.parse("\n" * (block.line - 1) + text))
    with case(block.name), redirect_stdout(StringIO()) as out:
        try:
            exec(compile(ast.fix_missing_locations(tree), str(module.__file__), "exec"), vars(module))
        except NotTrained:
            assert "thalweg.compare(" in text.splitlines()[-1], "what comes after the comparison was not run"
    said = out.getvalue()
    for number in re.findall(r"^print\(.*\) +# (-?\d+\.\d+)", text, re.MULTILINE):
        digits = len(number.partition(".")[2])
        assert f"{float(said.split()[0]):.{digits}f}" == number, f"{block.name}: it prints {said}"
    return said


def test_every_study_is_planned(folder: Path) -> None:
    for block in BLOCKS:
        if block.language == "toml":
            with case(block.name):
                Path("study.toml").write_text(block.text)
                with pytest.raises(NotTrained):
                    main(["compare", "study.toml"])


# -- commands


def commands_of(program: str) -> list[tuple[str, list[str]]]:
    """Every line of a block of commands that begins with the program, in words, with where it stands."""
    return [
        (f"{block.document}: {line}", words[1:])
        for block, line in COMMANDS
        if line.split()[0].removeprefix(".venv/bin/") == program
        for words in [shlex.split(line, comments=True)]
    ]


def test_commands_can_be_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Up to the first training: what they name is there, and every option has such a value."""

    def conduct(*given: object) -> None:
        raise NotTrained

    monkeypatch.setattr(thalweg.study.run.conduct, "conduct", conduct)
    # Documents speak of a machine with eight CPUs and two graphics cards.
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {*range(8)})
    monkeypatch.setattr(devices, "_listed_here", lambda: ("Stand-in", "Stand-in"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for where, words in commands_of("thalweg"):
        with case(where):
            assert not {*"|;&<>$`"} & {*"".join(words)}, "a shell would read that otherwise"
            app.parse_args(words, exit_on_error=False, print_error=False)
            if words[0] in ("compare", "lr-find", "train"):
                capsys.readouterr()
                try:
                    main(words)
                except NotTrained:
                    continue
                pytest.fail(capsys.readouterr().err)
            elif words[0] == "explore":
                assert {word for word in words[1:2] if not word.startswith("-")} <= {*NAMES}
            elif words[0] in ("rules", "show", "tasks"):
                assert main(words) == 0


def test_options_in_running_text_exist() -> None:
    """Also of what is no whole command: `thalweg train --schedule cosine`, `--engine serial`."""
    options = {
        verb: {name for each in app[verb].assemble_argument_collection() for name in each.names}
        for verb in app
        if not verb.startswith("-")
    }
    every = {"--help"}.union(*options.values())
    for document, code in INLINE:
        for verb in re.findall(r"^thalweg ([a-z][a-z-]*)", code):
            assert verb in options, f"{document}: `{code}`"
        verb = code.split()[1] if code.startswith("thalweg ") else ""
        known = {*app.help_flags, *app.version_flags} if verb.startswith("-") else options[verb] if verb else every
        if code.startswith(("thalweg ", "--")):
            own, _, _ = code.partition(" -- ")  # what follows is for a script
            wrong = {*re.findall(r"(?<!\S)--?[a-z][a-z-]*", own)} - known
            assert not wrong, f"{document}: `{code}` has no {wrong}"


def test_other_commands_exist(folder: Path) -> None:
    targets = {*re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    written = [(f"{block.document}: {line}", line.partition("#")[0]) for block, line in COMMANDS]
    assert all(line.split()[0] in PROGRAMS for _, line in COMMANDS), "among commands stands what is none"
    for where, line in (*written, *((f"{document}: {code}", code) for document, code in INLINE)):
        # Two commands may stand beside each other, with what each does: two spaces end one.
        for words in re.findall(r"\bmake ([a-z-]+(?: [a-z-]+)*)", line):
            assert {*words.split()} <= targets, where
        for names in re.findall(r"pip install '[^']*\[(.*?)\]'", line):
            assert {*names.split(",")} <= extras.keys(), where
        for program in re.findall(r"python (\S+\.py)", line):
            # The explorer saves a figure's program under the figure's name.
            assert (ROOT / program).is_file() or Path(program).stem in NAMES, where
        for tests in re.findall(r"^pytest (\S+\.py)", line):
            assert (ROOT / tests).is_file() or any(block.text.startswith(f"# {tests}\n") for block in BLOCKS), where


# -- what is quoted


def the_suites_sentence() -> str:
    """What the suite says of an optimizer that takes memory for flat."""
    subject = Subject(broken_optimizers.WalksFlatMemory, {})
    with pytest.raises(pytest.fail.Exception) as failure:
        broken_optimizers.TestWalksFlatMemory().test_layout(subject)
    return f"Failed: {failure.value.msg}"


def the_tree() -> str:
    """The block, if all that it names is there."""
    (block,) = (block for block in BLOCKS if block.place == ("docs/design.md", "The house"))
    folder = ROOT
    for line in block.text.splitlines():
        # Further words on one's line stand under the first ones.
        if found := re.match(r"( {0,2})([a-z]\S*)(?: |$)", line):
            folder = folder if found[1] else ROOT
            assert (folder / found[2]).exists(), f"{block.name}: there is no {found[2]}"
            folder = ROOT / found[2] if found[2].startswith("src") else folder
    return block.text


# What blocks quote that no Python before them prints: who prints it.
QUOTED: dict[tuple[str, str], Callable[[], str] | str] = {
    ("docs/routing.md", "GPT-2"): "compared by tests/frameworks/test_routed_architectures.py",
    ("docs/rules.md", "The catalogue"): "compared by tests/terminal/test_catalogue.py",
    ("docs/testing.md", "Testing an optimizer of your own"): the_suites_sentence,
    ("docs/design.md", "The house"): the_tree,
}


def test_what_blocks_quote_is_printed() -> None:
    before = None
    for block in BLOCKS:
        if is_output(block) and not (before in RUN and before.document == block.document):
            assert block.place in QUOTED, f"{block.name}: what prints this?"
            prints = QUOTED[block.place]
            if not isinstance(prints, str):
                gone = missing_from(said := prints(), block.text)
                assert not gone, f"{block.name}: {gone!r} is not what is printed:\n{said}"
        before = block


def test_the_lists_name_nothing_that_is_gone() -> None:
    python = {block.place for block in BLOCKS if block.language == "python"}
    assert {*STANDINS} <= {block.place for block in RUN}
    assert {*NOT_RUN} <= python
    assert {*AFTERWARDS} <= {block.document for block in RUN}
    assert {*QUOTED} <= {block.place for block in BLOCKS if is_output(block)}
    assert {block.language for block in BLOCKS} <= {"", "bash", "python", "toml"}, "nothing here looks at this language"


def test_the_demo_says_what_is_quoted() -> None:
    """From its kept runs: what the same command plans today, judged and said as today. No other verdict is quoted."""
    plan, kept = demo_runs.planned(), demo_runs.kept()
    for rule in plan.rules:
        drawn = [demo_runs.drawn(rule, trial) for trial in range(plan.trials)]
        assert [line["drawn"] for line in kept[rule.label]] == drawn, (
            f"{rule.label}: make demo, and see tests/demo_runs.py"
        )
    said, compared = demo_runs.printed(demo_runs.judged(plan, kept)), []
    for document, text in PROSE.items():
        for before, quote in re.findall(r"^(.*)\n\n?((?:> .*\n)+)", text, re.MULTILINE):
            quoted = re.sub("^> ", "", quote, flags=re.MULTILINE)
            if without_spaces(quoted) != app.help:
                assert "(`make demo`" in before, f"{document}: who says {quoted}"
                gone = missing_from(said, quoted)
                assert not gone, f"{document}: {gone!r} is not what is printed:\n{said}"
                compared.append(document)
    assert compared == ["README.md", "docs/verdict.md", "docs/verdict.md"]


def test_a_verdict_of_options_begins_as_quoted(folder: Path) -> None:
    plan = resolve(asking.asked_for("my_script.py:train", {"rules": ["adamw"], "vary": ["norm=batch,layer"]}))
    chance = Random(0)
    made = {
        label: [
            {
                "ranked": [chance.random(), 0.0],
                "again": [chance.random() for _ in range(5)],
                "test": [mean + 0.01 * chance.random() for _ in range(6)],
            }
            for _ in range(plan.trials)
        ]
        for label, mean in (("norm=batch", 0.5), ("norm=layer", 0.9))
    }
    first = demo_runs.judged(plan, made).verdict.answer.partition(": ")[0]
    assert f'"{first}' in without_spaces(PROSE["docs/comparison.md"])


def test_the_demo_s_kept_runs_are_what_it_gives() -> None:
    """Three of its runs, which are half a second. Another processor rounds otherwise: 2 points are allowed."""
    plan, kept = demo_runs.planned(), demo_runs.kept()
    for label, trial in (("sgd", 0), ("lion", 0), ("adamw", 1)):
        rule = next(rule for rule in plan.rules if rule.label == label)
        found = run_cell(plan.cell(rule, trial, plan.fresh_seeds[0])).curves[demo_runs.JUDGED].values[-1]
        assert found == pytest.approx(kept[label][trial]["test"][1], abs=0.02), (
            f"{label}: make demo, and see tests/demo_runs.py"
        )


def test_the_table_of_verification_is_what_verify_prints() -> None:
    """But for our losses, which it judges itself: they are within what the page says is allowed."""
    page = DOCUMENTS["docs/verification.md"]
    rows = [
        line.strip("| ").split(" | ") for line in page.splitlines() if re.match(r"\| .* (yes|differs|NO) \|$", line)
    ]
    found = []
    for cell, row in zip(CELLS, rows, strict=True):
        ours, _, deviation = row[6].partition(" ± ")
        # Ten numbers with this mean and deviation, or the one.
        spread = [float(deviation) * 0.9**0.5 * sign for sign in (-1, 1) * 5] if deviation else [0.0]
        found.append(checked(cell, [Measured(float(row[4]), float(ours) + each) for each in spread]))
        assert isinstance(cell, SingleRun) != bool(deviation)
        assert found[-1].gap == pytest.approx(float(row[7]), rel=0.5, abs=1e-8), row
    without_gaps = [
        re.sub(r"[+-]\de[+-]\d\d \| (\w+) \|$", r"\1", text, flags=re.MULTILINE) for text in (as_markdown(found), page)
    ]
    assert without_gaps[0] in without_gaps[1]


def rows_of(text: str) -> list[list[str]]:
    """The rows of Markdown's tables."""
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def numbers_in(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


def test_the_table_of_norms_is_that_of_the_benchmark() -> None:
    """To the digit that is shown: torch's time over ours, of forward and backward, for each allocator."""
    measured: dict[tuple[str, ...], float] = {}
    for part in (ROOT / "benchmarks" / "NORMS.md").read_text().split("\n## ")[1:]:
        for row in rows_of(part.partition("\n### forward + backward\n")[2])[2:]:
            measured[part.split()[0].lower(), *row[:3]] = float(row[5])
    rows = rows_of(DOCUMENTS["docs/norms.md"].partition("## How much faster")[2])
    shown = [row for row in rows[2:] if row[1] != "small"]
    assert len(shown) > 5
    for layer, sizes, *columns in shown:
        name = layer.removesuffix(", channels last")
        layout = "channels_last" if layer != name else "contiguous"
        for allocator, column in zip(("default", "warm"), columns, strict=True):
            for size, faster in zip(sizes.split(" / "), column.split(" / "), strict=True):
                found = measured[allocator, name, size, layout]
                assert found == pytest.approx(float(faster), abs=0.051), f"{layer}, {size}, {allocator}"
    said = faster_by_readme("RMSNorm, forward and backward")
    large = [found for (_, name, size, _), found in measured.items() if name == "RMSNorm" and size != "64x128"]
    assert numbers_in(said) == pytest.approx([min(large), max(large)], rel=0.1)


def faster_by_readme(what: str) -> str:
    """How many times faster, of a row of its table."""
    (said,) = (row[2] for row in rows_of(DOCUMENTS["README.md"]) if row[0] == what)
    return said


def test_the_ranges_of_speed_are_those_of_the_benchmark() -> None:
    """The least and the most of `benchmarks/RESULTS.md`, both allocators, a tenth either way."""
    measured: dict[tuple[str, str, str], list[float]] = {}
    for part in (ROOT / "benchmarks" / "RESULTS.md").read_text().split("\n### "):
        for row in rows_of(part)[2:]:
            if len(row) > 7 and re.fullmatch(r"[\d.]+ to [\d.]+", row[8]):  # another library's lines are shorter
                measured.setdefault((part.split("\n")[0], *row[:2]), []).append(float(row[7]))
    small = [
        each for (chain, rule, size), each in measured.items() if (chain, rule) == ("step", "AdamW") and "500" in size
    ]
    clipped = [
        each
        for (chain, _, size), each in measured.items()
        if chain == "clip + step" and not size.startswith(("500", "MLP"))
    ]
    unfused = [each for (chain, rule, _), each in measured.items() if chain == "step" and rule in ("RMSprop", "Lion")]
    rows = {"AdamW, 500 small tensors": small, "AdamW, clipped by norm": clipped, "RMSprop, Lion": unfused}
    for row, lines in rows.items():
        quoted, found = faster_by_readme(row), [ratio for each in lines for ratio in each]
        assert numbers_in(quoted) == pytest.approx([min(found), max(found)], rel=0.1), quoted


def test_calibration_is_quoted_from_the_benchmark() -> None:
    """Every row of docs/calibration.md's tables stands in the benchmark's page; README has the least and the most."""
    page = (ROOT / "benchmarks" / "CALIBRATION.md").read_text(encoding="utf-8")
    lines, quoted = (
        page.splitlines(),
        [line for line in DOCUMENTS["docs/calibration.md"].splitlines() if line[:2] == "| "],
    )
    assert len(quoted) > 20
    assert not [line for line in quoted if line not in lines]
    shares = []
    for size in ("(17, 5)", "(33, 5)"):
        # By world: name, half, and how often the intervals of one rule and of two that are the same hold the truth.
        by_world = rows_of(page.partition(f"### {size}\n")[2].partition("\n#")[0])
        rough = ("fail", "best in")
        smooth = [row for row in by_world if row[1] == "judging" and not any(word in row[0] for word in rough)]
        assert len(smooth) > 15
        shares += [numbers_in(row[column])[0] for row in smooth for column in (2, 6)]
    said = f"hold in {min(shares):.0f} to {max(shares):.0f}% of simulated studies"
    assert said in without_spaces(DOCUMENTS["README.md"])


def test_what_a_size_tells_is_quoted_from_the_worlds() -> None:
    """docs/verdict.md, of two rules with 5 seeds: what `thalweg plan` has where no runs are stored."""
    told = json.loads((ROOT / "src" / "thalweg" / "study" / "run" / "told.json").read_text(encoding="utf-8"))
    page = without_spaces(DOCUMENTS["docs/verdict.md"].partition("## How many trials")[2])
    for trials, budget in ((9, 4), (17, 5), (33, 5), (65, 5)):
        low, high = told[f"{trials},{budget},5"]["1"]["errors"]
        assert re.search(rf"\| {trials}\b[^|]*\| searches of {budget}\b[^|]*\| {low:.1f} to {high:.1f} times", page), (
            trials
        )


def test_the_interval_of_switching_is_quoted_from_the_benchmark() -> None:
    page = (ROOT / "benchmarks" / "SWITCHING.md").read_text(encoding="utf-8")
    rows = rows_of(page)[2:]
    held, widths = ([numbers_in(row[column])[0] for row in rows] for column in (3, 4))
    truth = f"holds the truth in {min(held):.0f} to {max(held):.0f}% of 600 studies; "
    width = f"its width is {min(widths):.1f} to {max(widths):.1f}"
    said = without_spaces(DOCUMENTS["docs/valley.md"])
    assert truth + width in without_spaces(page)
    assert f"In {len(rows)} simulated worlds it {truth}{width} times" in said
    assert numbers_in(page.partition("Student's t alone makes it ")[2])[:4] == [1.42, 5, 1.15, 10]
    assert "of which Student's t alone is 1.15 to 1.42" in said


def test_the_valley_is_quoted_from_its_findings() -> None:
    kept, html = (ROOT / "examples" / "valley" / f"findings.{kind}" for kind in ("md", "html"))
    sentences = kept.read_text(encoding="utf-8")
    page = without_spaces(re.sub(r"<[^>]+>", " ", html.read_text(encoding="utf-8").partition("<script")[0]))
    said = without_spaces(DOCUMENTS["docs/valley.md"].partition("## What was found")[2])
    leads = re.findall(r"^- (.*?\.) ", sentences, re.MULTILINE)
    assert len(leads) == 5
    for lead in leads:
        assert f"**{lead}**" in said
        assert lead in page
    tasks = "tabular|regression|digits-mlp|autoencoder|quadratic-deep"
    figures = re.findall(rf"(?:{tasks}) \S+(?: times the errors)? \([^)]+\)", said)
    assert len(figures) == 23
    for figure in figures:
        assert figure in sentences, figure
    (core_hours,) = re.findall(r"[\d.]+ core-hours", said)
    assert core_hours in page
    # Of Adam on the last task: its places, and the losses, by budget.
    (places,) = re.findall(r"of 15 first with \d+% best mean: \w+ quadratic-deep (.*?) task better", page)
    (losses,) = re.findall(r"quadratic-deep: test loss rule default 5 trials 32 trials adam (.*?) nag", page)
    _, middle, last = re.findall(r"\d+ of 15", places)
    default, five, many = numbers_in(losses)[::3]
    assert f"loss of {default:.1f}, searches of 5 trials {five:.1f}, of 32 trials {many:.1f}, " in said
    assert f"from {middle} to {last}" in said


def test_intervals_that_guides_quote_stand_in_what_they_link_to() -> None:
    quoted = 0
    for name in ("which", "regularisation", "schedules"):
        text = DOCUMENTS[f"docs/{name}.md"]
        linked = {link.partition("#")[0] for link in re.findall(r"\]\(([^()\s]+\.md[^()\s]*)\)", text)}
        sources = without_spaces(" ".join(DOCUMENTS.get(f"docs/{link}", "") for link in linked))
        for interval in re.findall(r"[-+]?\d+\.\d+ to [-+]?\d+\.\d+", without_spaces(text)):
            assert interval in sources, f"docs/{name}.md: {interval}"
            quoted += 1
    assert quoted > 8
    shares = {*re.findall(r"\d+\.\d%", DOCUMENTS["docs/verdict.md"] + DOCUMENTS["docs/faq.md"])}
    assert len(shares) > 6
    assert not [share for share in shares if f" {share}" not in DOCUMENTS["docs/calibration.md"]]


def test_public_names_are_those_of_the_code() -> None:
    assert DOCUMENTS["docs/api.md"] == api_page.page(), "run: python tests/api_page.py > docs/api.md"


def test_what_is_counted() -> None:
    met = sum(not (isinstance(cell, SingleRun) and cell.differs) for cell in CELLS)
    for document, sentence in (
        ("README.md", f"{len(CATALOGUE)} rules and {len(WRAPPERS)} wrappers"),
        ("docs/verification.md", f"{met} of {len(CELLS)} published figures are met"),
        ("CHANGELOG.md", f"{len(CATALOGUE)} rules"),
    ):
        assert sentence in without_spaces(DOCUMENTS[document]), document


# -- where documents lead


def anchors_of(document: Path) -> set[str]:
    """As GitHub makes them: small letters, without punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", prose(document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    for document, text in PROSE.items():
        for link in re.findall(r"\]\(([^()\s]+)\)", text):
            path, _, anchor = link.partition("#")
            if not path.startswith("https://"):
                target = (ROOT / document).parent / path if path else ROOT / document
                assert target.exists(), f"{document}: {link}"
                assert not anchor or anchor in anchors_of(target), f"{document}: {link}"


ELSEWHERE = {"results_main/oneshot"}  # of the repository of Crowded Valley


def test_files_and_names_in_running_text_exist() -> None:
    """`formula/chain.py`, from here, from the package or from the page; `thalweg.stats.pool`."""
    for document, code in INLINE:
        where, folders = (
            f"{document}: `{code}`",
            (ROOT, ROOT / "src", ROOT / "src" / "thalweg", ROOT / "tests", (ROOT / document).parent),
        )
        for name in {*re.findall(r"^(?:\w+/)+(?:[\w.]+)?$", code)} - ELSEWHERE:
            assert any((folder / f"{name}{end}").exists() for folder in folders for end in ("", ".py")), where
        for dotted in re.findall(r"^thalweg(?:\.[A-Za-z_]\w*)+", code):
            assert found_under(dotted), where


def found_under(dotted: str) -> bool:
    found: Any = thalweg
    for number, name in enumerate(parts := dotted.split(".")[1:], 2):
        if not hasattr(found, name):
            try:
                importlib.import_module(".".join(["thalweg", *parts][:number]))
            except ModuleNotFoundError:
                return False
        found = getattr(found, name)
    return True
