"""Does a test notice? Small changes of the code, drawn by a fixed seed, each against the fast tests that can reach it.

    make mutate                              of this commit; an interrupted run goes on from tests/mutants.json
    python tests/mutants.py --list           the mutants
    python tests/mutants.py --root ../old    in another checkout, with its own code and tests
    ... --root ../old --lived 85c73d6        only those that survived the tests of a commit

A mutant is killed by the first test that fails, or by 40 minutes without an end. One that survives is a test that is
missing, or a change that changes nothing.
"""

import argparse
import ast
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_suffix(".json")
SEED = 12
LIMIT = 2400
# How many are drawn, and which tests can reach them: those beside it first, then all others.
PACKAGES = {"formula": 20, "optim": 20, "nn": 12, "stats": 8}
REACH = {
    "formula": ("optim", "rules", "nn", "frameworks", "explore", "tasks", "study", "report", "speed", "."),
    "optim": ("rules", "frameworks", "explore", "tasks", "study", "report", "speed", "."),
    "nn": ("tasks", "study", "explore", "."),
    "stats": ("study", "report", "."),
}
OPERATORS = {ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "//", ast.Pow: "*"}
SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**"}
BOUNDS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "is": "is not", "in": "not in"}
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any",
         "sqrt": "abs", "ceil": "floor", "floor": "ceil"}  # fmt: skip
# Of LLVM's instructions; a comma or a type behind each keeps prose out.
INSTRUCTIONS = {"fadd": "fsub", "fsub": "fadd", "fmul": "fdiv", "fdiv": "fmul", "add": "sub", "sub": "add",
                "mul": "add", "ult": "ule", "ule": "ult", "ugt": "uge", "uge": "ugt", "slt": "sle", "sgt": "sge",
                "olt": "ole", "ogt": "oge", "oeq": "one", "eq": "ne", "ne": "eq", "shl": "lshr", "lshr": "shl",
                "and": "or", "or": "and"}  # fmt: skip
_EMITTED = re.compile(rf"\b({'|'.join(INSTRUCTIONS)})\b")
_EMITTING = ("llvm.py", "vectors.py", "loops.py", "lines.py", "columns.py", "driver.py", "between.py")


@dataclass(frozen=True)
class Mutant:
    """One change of one place of one file."""

    path: str
    line: int
    kind: str
    start: int
    end: int
    text: str
    before: str

    @property
    def name(self) -> str:
        return f"{self.path.removeprefix('src/thalweg/')}:{self.line} {self.kind}: {self.before!r} -> {self.text!r}"

    @property
    def package(self) -> str:
        return self.path.split("/")[2]


def mutants(root: Path) -> list[Mutant]:
    """As many of each package as `PACKAGES` says, of each kind in turn."""
    drawn: list[Mutant] = []
    for package, count in PACKAGES.items():
        kinds: dict[str, list[Mutant]] = {}
        for path in sorted((root / "src" / "thalweg" / package).rglob("*.py")):
            for mutant in _of_file(path, root):
                kinds.setdefault(mutant.kind, []).append(mutant)
        chance = random.Random(f"{SEED} {package}")
        for kind in sorted(kinds):
            chance.shuffle(kinds[kind])
        in_turn = zip_longest(*(kinds[kind] for kind in sorted(kinds)))
        drawn += [mutant for turn in in_turn for mutant in turn if mutant][:count]
    return drawn


def _of_file(path: Path, root: Path) -> Iterator[Mutant]:
    text = path.read_text(encoding="utf-8")
    name = str(path.relative_to(root))
    if path.name in _EMITTING:
        yield from _of_strings(name, text)
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    source = text.encode()

    def place(node: ast.AST) -> tuple[int, int]:
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    def changed(node: ast.AST, kind: str, start: int, end: int, new: str) -> Mutant:
        before = source[start:end].decode()
        at = len(source[:start].decode()), len(source[:end].decode())
        return Mutant(name, node.lineno, kind, *at, new, before)

    def between(left: ast.AST, right: ast.AST, word: str) -> tuple[int, int] | None:
        """Where an operator stands, or None where it cannot be told from what is around it."""
        a, b = place(left)[1], place(right)[0]
        found = source[a:b].decode()
        if found.count(word) != 1 or "#" in found or "\n" in found:
            return None
        at = a + found.index(word)
        return at, at + len(word)

    for node in _executed(ast.parse(text)):
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            if isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
                continue
            if at := between(node.left, node.right, SIGNS[type(node.op)]):
                kind = "sign" if isinstance(node.op, ast.Add | ast.Sub) else "product"
                yield changed(node, kind, *at, OPERATORS[type(node.op)])
                if not isinstance(node.op, ast.Add | ast.Mult):
                    (a, b), (c, d) = place(node.left), place(node.right)
                    left, right = source[a:b].decode(), source[c:d].decode()
                    if source[b:c].decode().strip() == SIGNS[type(node.op)]:
                        yield changed(node, "swapped", a, d, f"({right}) {SIGNS[type(node.op)]} ({left})")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
            word, kind = ("-", "sign") if isinstance(node.op, ast.USub) else ("not", "logic")
            yield changed(node, kind, place(node)[0], place(node)[0] + len(word), "")
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            word = source[place(node.left)[1] : place(node.comparators[0])[0]].decode().strip(" ()")
            if word in BOUNDS and (at := between(node.left, node.comparators[0], word)):
                yield changed(node, "bound", *at, BOUNDS[word])
        elif isinstance(node, ast.BoolOp):
            word = "and" if isinstance(node.op, ast.And) else "or"
            if at := between(node.values[0], node.values[1], word):
                yield changed(node, "logic", *at, "or" if word == "and" else "and")
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            yield changed(node, "off by one", *place(node), str(node.value + 1))
        elif isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
            yield changed(node, "extreme", *place(node), NAMES[node.id])


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """What computes: no annotations, no messages of errors, no declared search boxes."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "msg"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.Raise | ast.JoinedStr | ast.Assert):
                yield child
                yield from _executed(child)


def _of_strings(name: str, text: str) -> Iterator[Mutant]:
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.STRING or '"""' in token.string:
            continue
        for match in _EMITTED.finditer(token.string):
            start = starts[token.start[0] - 1] + token.start[1] + match.start()
            yield Mutant(
                name, token.start[0], "emitted", start, start + len(match[0]), INSTRUCTIONS[match[0]], match[0]
            )


def tried(mutant: Mutant, root: Path, folder: Path, jobs: int) -> dict[str, object]:
    """What became of a mutant: killed by which test, or survived; and the seconds that took."""
    tests = root / "tests"
    shutil.copytree(root / "src", folder / "src", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    target = folder / mutant.path
    text = target.read_text(encoding="utf-8")
    assert text[mutant.start : mutant.end] == mutant.before, mutant.name
    target.write_text(text[: mutant.start] + mutant.text + text[mutant.end :], encoding="utf-8")
    began = time.monotonic()
    try:
        rest = [tests / place for place in REACH[mutant.package] if place != "."]
        rest += sorted(tests.glob("test_*.py")) if "." in REACH[mutant.package] else []
        for places in ([tests / mutant.package], rest):
            if by := _failing(places, tests, folder, jobs):
                return {"killed": by, "seconds": round(time.monotonic() - began)}
        return {"killed": None, "seconds": round(time.monotonic() - began)}
    finally:
        target.write_text(text, encoding="utf-8")


def _failing(places: list[Path], tests: Path, folder: Path, jobs: int) -> str | None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "THALWEG_CACHE": str(folder / "kernels"),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=no", "-p", "no:cacheprovider", "-m", "not slow"]
    command += ["-n", str(jobs), *map(str, places)]
    process = subprocess.Popen(
        command, cwd=tests.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return f"no end within {LIMIT} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode == 0:
        return None
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    return failed[0].partition("@")[0] if failed else said.strip().splitlines()[-1]


def _commit(root: Path) -> str:
    """Under which name results are kept."""
    done = subprocess.run(
        ["git", "rev-parse", "--short=7", "HEAD"], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout whose code and tests these are")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--only", default="", help="words of the mutants to try again")
    parser.add_argument("--lived", help="only those that survived the tests of this commit")
    parser.add_argument("--list", action="store_true", help="name the mutants and end")
    asked = parser.parse_args()
    drawn = [mutant for mutant in mutants(asked.root.resolve()) if asked.only in mutant.name]
    if asked.list:
        print(*(mutant.name for mutant in drawn), sep="\n")
        return
    suite = _commit(asked.root)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if asked.lived:
        drawn = [
            mutant
            for mutant in drawn
            if mutant.name in known[asked.lived] and not known[asked.lived][mutant.name]["killed"]
        ]
    of_suite = known.setdefault(suite, {})
    with tempfile.TemporaryDirectory() as folder:
        for number, mutant in enumerate(drawn, 1):
            if mutant.name in of_suite and not asked.only:
                continue
            found = tried(mutant, asked.root.resolve(), Path(folder), asked.jobs)
            known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            of_suite = known.setdefault(suite, {})
            of_suite[mutant.name] = found
            RESULTS.write_text(json.dumps(known, indent=1) + "\n")
            print(f"{number:3} of {len(drawn)} {found['seconds']:4} s  {mutant.name}: {found['killed'] or 'SURVIVED'}")
            sys.stdout.flush()
    lived = [name for name, found in of_suite.items() if not found["killed"]]
    print(f"{len(of_suite) - len(lived)} killed, {len(lived)} survived", *lived, sep="\n")


if __name__ == "__main__":
    main()
