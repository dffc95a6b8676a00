"""The language of rules, checked on the source text when a rule is defined."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import FunctionType, MappingProxyType
from typing import Any, NoReturn

from thalweg.closest import did_you_mean

from . import matrices, vocabulary

ALLOWED = (
    "assignment, numbers, + - * / **, comparisons (< <= > >=) inside where, an `if` on a switch, "
    "plain helper functions in this same language, and " + " ".join(vocabulary.__all__)
)
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
# What a formula returns, if not a dictionary.
_RETURNS = {
    "step": "the step, and states by their names", "evaluate": "the weights to test", "factor": "the factor",
}  # fmt: skip
_WORDS = {name: getattr(vocabulary, name) for name in vocabulary.__all__}
_OF_MATRICES = {word.__name__: word for word in matrices.WORDS}
# What those take, beside the one value that all others do.
_REPEAT = (
    "repeat(body, coefficients, x): a helper function, a list of coefficients or a part of it, and what it starts as"
)


class FormulaError(Exception):
    """A rule is not written in the language of rules. Says the file, the line, and what to write instead."""


@dataclass(frozen=True)
class Formula:
    """One function of a rule, read: what it asks for, what it returns, and what its `if`s test."""

    function: FunctionType
    parameters: tuple[str, ...]
    returned: tuple[str, ...]
    """The keys of the dictionary it returns, or the names after the first value of the tuple it returns."""
    tested: frozenset[str]
    helpers: tuple[FunctionType, ...] = ()
    """The functions that it calls, and those that they call."""

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Its value; the arguments are taken from ``values`` by name."""
        return self.function(*(values[name] for name in self.parameters))


def read(
    function: FunctionType,
    rule: str,
    *,
    names: Collection[str],
    switches: Collection[str],
    forms: Mapping[str, Collection[Callable[..., Any]]] = MappingProxyType({}),
    lists: Collection[str] | None = None,
) -> Formula:
    """Read a function, or raise `FormulaError` unless it is written in the language of rules.

    ``names`` are what its parameters may ask for, ``switches`` the ones an `if` may test, ``forms`` those that stand
    for one of several functions, to be called. ``lists``: it is of whole matrices, and these are lists of coefficients.
    """
    check = _Check(function, rule, frozenset(switches), [], forms, lists)
    tree = check.run(frozenset(names))
    tests = [node.test for node in ast.walk(tree) if isinstance(node, ast.If | ast.IfExp)]
    tested = {node.id for test in tests for node in ast.walk(test) if isinstance(node, ast.Name)}
    last = tree.body[-1]
    assert isinstance(last, ast.Return)
    wanted = _RETURNS.get(function.__name__, "a dictionary")
    if isinstance(last.value, ast.Dict) != (wanted == "a dictionary"):
        raise FormulaError(f"{rule}.{function.__name__} returns {wanted}")
    returned: list[str] = []
    if isinstance(last.value, ast.Dict):
        returned = [str(key.value) for key in last.value.keys if isinstance(key, ast.Constant)]
    elif isinstance(last.value, ast.Tuple):
        returned = [name.id if isinstance(name, ast.Name) else "" for name in last.value.elts[1:]]
    asked = tuple(a.arg for a in tree.args.args)
    return Formula(function, asked, tuple(returned), frozenset(tested), tuple(dict.fromkeys(check.helpers)))


class _Check(ast.NodeVisitor):
    """One walk over one function; helpers it calls are walked in turn."""

    def __init__(
        self,
        function: FunctionType,
        where: str,
        switches: frozenset[str],
        seen: list[FunctionType],
        forms: Mapping[str, Collection[Callable[..., Any]]] = MappingProxyType({}),
        lists: Collection[str] | None = None,
    ) -> None:
        self.function, self.where, self.switches, self.seen = function, where, switches, [*seen, function]
        self.forms, self.lists = forms, lists
        self.local: set[str] = set()
        self.helpers: list[FunctionType] = []

    def run(self, names: frozenset[str] | None) -> ast.FunctionDef:
        try:
            text = textwrap.dedent(inspect.getsource(self.function))
        except OSError as error:
            raise FormulaError(
                f"{self.where}.{self.function.__name__}: its source text cannot be read. Write the rule in a file "
                "or a notebook cell: the formula is compiled from its text."
            ) from error
        tree = ast.parse(text).body[0]
        if not isinstance(tree, ast.FunctionDef):
            raise FormulaError(f"{self.where}: a formula is written with def, not {type(tree).__name__}")
        wanted = tree.args
        if wanted.vararg or wanted.kwarg or wanted.kwonlyargs or wanted.defaults:
            self.refuse(tree, "a formula takes plain parameters: no *, no **, no defaults")
        for parameter in wanted.args:
            if names is not None and parameter.arg not in names:
                self.refuse(tree, f"it asks for {parameter.arg!r}, which is none of: {', '.join(sorted(names))}")
            if parameter.arg not in self.forms and parameter.arg not in (self.lists or ()):
                self.local.add(parameter.arg)
        body = tree.body
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):  # a docstring
            body = body[1:]
        for statement in body:
            self.visit(statement)
        if not body or not isinstance(body[-1], ast.Return):
            self.refuse(tree, "a formula ends with return")
        return tree

    def refuse(self, node: ast.AST, what: str) -> NoReturn:
        line = self.function.__code__.co_firstlineno + getattr(node, "lineno", 1) - 1
        raise FormulaError(
            f"{self.function.__code__.co_filename}:{line}: in {self.where}.{self.function.__name__}: {what}"
        )

    def generic_visit(self, node: ast.AST) -> None:
        name = type(node).__name__
        self.refuse(node, f"{name} is not in the language of rules. Allowed: {ALLOWED}")

    def visit_all(self, *nodes: ast.AST) -> None:
        for node in nodes:
            self.visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            for name in target.elts if isinstance(target, ast.Tuple) else [target]:
                if not isinstance(name, ast.Name):
                    self.refuse(node, "assign to plain names")
                self.local.add(name.id)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.refuse(node, "write x = x + y: an update in place has no meaning in a formula")

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            self.refuse(node, "return a value")
        elif isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
                    self.refuse(node, "the keys of a returned dictionary are plain strings")
                self.visit(value)
        else:
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        self.switch(node, node.test)
        for statement in (*node.body, *node.orelse):
            if isinstance(statement, ast.Return):
                self.refuse(statement, "a formula has one return, at its end")
            self.visit(statement)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.switch(node, node.test)
        self.visit_all(node.body, node.orelse)

    def switch(self, node: ast.AST, test: ast.expr) -> None:
        """The test of an `if`: a switch, or its opposite."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test = test.operand
        if not isinstance(test, ast.Name) or test.id not in self.switches:
            named = test.id if isinstance(test, ast.Name) else ""
            self.refuse(
                node,
                "an `if` may only test a switch, or a hyperparameter for being 0 (if nesterov: / if not momentum:); "
                f"on a weight or a number write where(condition, x, y){did_you_mean(named, self.switches)}",
            )

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.refuse(node, "`and` and `or` are not in the language: put one where(condition, x, y) inside another")

    def visit_For(self, node: ast.For) -> None:
        self.refuse(node, "`for` is not in the language: write the formula for one weight; totals are declared as Sum")

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.refuse(node, "write x = ..., without a type: everything is a number per weight")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.MatMult) and self.lists is None:
            self.refuse(node, "@ is of whole matrices: write it in matrix(...), which a rule may have before its step")
        if not isinstance(node.op, (*_OPERATORS, ast.MatMult)):
            self.refuse(node, f"the operator {type(node.op).__name__} is not in the language. Allowed: {ALLOWED}")
        self.visit_all(node.left, node.right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if not isinstance(node.op, _OPERATORS):
            self.refuse(node, f"the operator {type(node.op).__name__} is not in the language. Allowed: {ALLOWED}")
        self.visit(node.operand)

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) != 1 or not isinstance(node.ops[0], _OPERATORS):
            self.refuse(
                node, "compare two values with < <= > or >=; == and chains like 0 < x < 1 are not in the language"
            )
        self.visit_all(node.left, *node.comparators)

    def visit_Tuple(self, node: ast.Tuple) -> None:
        self.visit_all(*node.elts)

    def visit_Constant(self, node: ast.Constant) -> None:
        if not isinstance(node.value, int | float):
            self.refuse(node, f"{node.value!r} is not a number")

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in (self.lists or ()):
            self.refuse(node, f"{node.id!r} is a list of coefficients; write {_REPEAT}")
        if node.id not in self.local and not isinstance(self.outside(node.id), int | float):
            self.refuse(node, f"{node.id!r} is not a parameter, a variable assigned above, or a constant")

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and node.func.attr in _WORDS:
            word = node.func.attr
            self.refuse(node, f"write {word}(...), with from thalweg.formula import {word}, instead of .{word}(...)")
        if not isinstance(node.func, ast.Name) or node.keywords:
            self.refuse(node, f"call functions by their plain name, without keywords. Allowed: {ALLOWED}")
        if node.func.id not in self.local and self.outside(node.func.id) in _OF_MATRICES.values():
            self.of_matrices(node, node.func)
            return
        for called in self.forms.get(node.func.id) or [self.outside(node.func.id)]:
            self.call(node, node.func, called)
        self.visit_all(*node.args)

    def of_matrices(self, node: ast.Call, named: ast.Name) -> None:
        """A call of a word of `matrices`."""
        if self.lists is None:
            self.refuse(node, f"{named.id!r} is of whole matrices: write it in matrix(...), which a rule may have")
        if self.outside(named.id) is not matrices.repeat:
            if len(node.args) != 1:
                self.refuse(node, f"{named.id!r} takes 1 value, got {len(node.args)}")
            self.visit_all(*node.args)
            return
        if len(node.args) < 3:
            self.refuse(node, f"write {_REPEAT}")
        body, entries, *values = node.args
        called = self.outside(body.id) if isinstance(body, ast.Name) else None
        if not isinstance(called, FunctionType):
            self.refuse(node, f"write {_REPEAT}; its body is no function that stands above the rule")
        self.helper(node, ast.unparse(body), called)
        if isinstance(entries, ast.Subscript) and isinstance(entries.slice, ast.Slice) and entries.slice.step is None:
            ends = [end for end in (entries.slice.lower, entries.slice.upper) if end is not None]
            if not all(isinstance(end, ast.Constant) and isinstance(end.value, int) for end in ends):
                self.refuse(entries, "a part of a list is written with whole numbers: coefficients[:2]")
            entries = entries.value
        if not isinstance(entries, ast.Name) or entries.id not in (self.lists or ()):
            known = f"the lists are {', '.join(self.lists)}" if self.lists else "only matrix itself knows the lists"
            self.refuse(node, f"write {_REPEAT}; {known}")
        self.visit_all(*values)

    def helper(self, node: ast.AST, name: str, called: FunctionType) -> None:
        """A call of a function of the author's own."""
        if called in self.seen:
            self.refuse(node, f"{name!r} calls itself")
        inside = _Check(called, self.where, frozenset(), self.seen, lists=None if self.lists is None else ())
        inside.run(names=None)
        self.helpers += [called, *inside.helpers]

    def call(self, node: ast.Call, named: ast.Name, called: Any) -> None:
        """A call of one function."""
        if called is vocabulary.mean and self.seen[0].__name__ != "after":
            self.refuse(node, "mean is over the rows or columns of a matrix, which are known in after(...) only")
        if called is not abs and called not in _WORDS.values():
            if not isinstance(called, FunctionType):
                word = f"; import it: from thalweg.formula import {named.id}"
                if named.id in _OF_MATRICES and self.lists is not None:
                    self.refuse(node, f"{named.id!r} is not known here{word.replace('formula', 'formula.matrices')}")
                if named.id in ("sum", "mean", "norm", "dot"):
                    self.refuse(node, f"{named.id!r} is over many weights: declare a Sum and add it up in sums(...)")
                hint = word if named.id in _WORDS else "; define a helper above the rule" if called is None else ""
                self.refuse(node, f"{named.id!r} is not a function of the language{hint}. Allowed: {ALLOWED}")
            else:
                self.helper(node, named.id, called)
        wanted = 1 if called is abs else len(inspect.signature(called).parameters)
        if len(node.args) != wanted:
            self.refuse(node, f"{named.id!r} takes {wanted} values, got {len(node.args)}")

    def outside(self, name: str) -> Any:
        """What a name means where the function was written."""
        closure = inspect.getclosurevars(self.function)
        return {**closure.builtins, **closure.globals, **closure.nonlocals}.get(name)
