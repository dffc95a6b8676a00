"""The package as a user's script meets it: what an import costs, what it offers, a rule of one's own in one file."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import forked
import thalweg
from thalweg.rules import CATALOGUE


def written(text: str, folder: Path) -> Path:
    path = folder / "script.py"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def script(text: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script file in a process of its own, warnings as errors."""
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    return subprocess.run(
        [sys.executable, str(written(text, folder)), *arguments],
        capture_output=True, text=True, check=False, env=environment, cwd=folder, timeout=120,
    )  # fmt: skip


def test_importing_does_not_load_torch(tmp_path: Path) -> None:
    done = script(
        """
        import sys
        import thalweg
        print(thalweg.__version__, [m for m in ("torch", "numpy", "llvmlite", "scipy") if m in sys.modules])
        """,
        tmp_path,
    )
    assert done.stdout == f"{thalweg.__version__} []\n", done.stderr


def test_rules_alone_do_not_load_torch(tmp_path: Path) -> None:
    done = script("import sys, thalweg.rules; print('torch' in sys.modules)", tmp_path)
    assert done.stdout == "False\n", done.stderr


def test_a_release_has_one_version() -> None:
    root = Path(__file__).parents[1]
    cited = re.search(r"^version: (.*)$", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    changes = re.search(r"^## ([\d.]+)", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited is not None
    assert changes is not None
    assert cited[1] == changes[1] == thalweg.__version__


def test_dir_lists_every_optimizer() -> None:
    listed = dir(thalweg)
    for rule in CATALOGUE.values():
        assert rule.__name__ in listed
    assert {"Rule", "optimizer", "Optimizer", "NonFiniteGradient", "compare", "__version__"} <= set(listed)
    assert listed == sorted(set(listed))
    assert not {"Any", "TYPE_CHECKING", "import_module", "closest"} & {*listed}
    for name in listed:
        assert getattr(thalweg, name) is not None or name.startswith("__")


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match=r"module 'thalweg' has no attribute 'AdamZ'; did you mean Adam\w*\?"):
        thalweg.AdamZ  # noqa: B018
    with pytest.raises(AttributeError, match="'Sophia'; `thalweg rules` lists the optimizers"):
        thalweg.Sophia  # noqa: B018
    with pytest.raises(AttributeError, match=r"'LBFGS'; LBFGS is left to torch\.optim\.LBFGS"):
        thalweg.LBFGS  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute '_private'"):
        thalweg._private  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'AdamZ'"):
        from thalweg import AdamZ  # noqa: F401
    assert not hasattr(thalweg, "__wrapped__")


def test_names_are_the_same_objects_everywhere() -> None:
    import thalweg.formula
    import thalweg.optim

    assert thalweg.AdamW is thalweg.optim.AdamW is thalweg.optim.OPTIMIZERS["adamw"]
    assert thalweg.Rule is thalweg.formula.Rule
    assert thalweg.AdamW.rule is CATALOGUE["adamw"]


OWN_RULE = '''
    import copy, pickle
    import torch
    import thalweg
    from thalweg.formula import Hyper, State, Switch, sign, sqrt


    def blended(average, g, beta):
        return beta * average + (1 - beta) * g


    @thalweg.optimizer
    class SignMomentum(thalweg.Rule):
        """Steps of one size along the momentum's sign."""

        lr = Hyper(0.1)
        beta = Hyper(0.5, below=1.0)
        scaled = Switch(False)
        m = State("average")

        @staticmethod
        def prepare(t, lr):
            return {"rate": lr / sqrt(t)}

        @staticmethod
        def step(g, m, beta, rate, scaled):
            m = blended(m, g, beta)
            return rate * (m if scaled else sign(m)), m


    def main():
        model = torch.nn.Linear(3, 1, bias=False)
        with torch.no_grad():
            model.weight.copy_(torch.tensor([[1.0, 2.0, 3.0]]))
        optimizer = SignMomentum(model.parameters(), lr=0.5, clip_norm=100.0)
        for _ in range(2):
            model.weight.grad = torch.tensor([[4.0, 0.0, -4.0]])
            optimizer.step()
        print([round(w, 4) for w in model.weight.tolist()[0]])
        assert type(optimizer) is SignMomentum and isinstance(optimizer, torch.optim.Optimizer)
        twin = pickle.loads(pickle.dumps(optimizer))
        assert torch.equal(twin.param_groups[0]["params"][0], model.weight)
        optimizer.step(), twin.step
        print(optimizer.state_dict()["state"][0]["average"].tolist())
        print(SignMomentum.rule.__name__, "|", SignMomentum.__doc__)
        try:
            SignMomentum(model.parameters(), momentum=0.9)
        except TypeError as error:
            print(error)


    if __name__ == "__main__":
        main()
'''


def test_a_rule_of_ones_own(tmp_path: Path) -> None:
    done = forked.script(written(OWN_RULE, tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # Two steps of 0.5 and 0.5 / sqrt 2; then the third average of 4: 4 (1 - 1/8).
    assert done.stdout.splitlines() == [
        "[0.1464, 2.0, 3.8536]",
        "[[3.5, 0.0, -3.5]]",
        "SignMomentum | Steps of one size along the momentum's sign.",
        "SignMomentum takes no 'momentum'; it takes lr, beta, scaled, lr_scale, maximize, clip_value, ema, ema_warmup, "
        "clip_norm, clip_scope, clip_eps, nonfinite, clear, amp_fused, capturable, schedule, readouts",
    ]


def test_a_mistake_in_ones_own_rule(tmp_path: Path) -> None:
    """The script stops where the rule is defined, and the last line of the traceback says where and what."""
    text = OWN_RULE.replace("m = blended(m, g, beta)\n", "m += g\n")
    assert text != OWN_RULE
    done = forked.script(written(text, tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert not done.stdout
    last = done.stderr.strip().splitlines()[-1]
    number = next(i for i, line in enumerate(textwrap.dedent(text).splitlines(), 1) if line.strip() == "m += g")
    place = f"{tmp_path / 'script.py'}:{number}: in SignMomentum.step: write x = x + y"
    assert last.startswith(f"thalweg.formula.language.FormulaError: {place}")


def test_without_a_compiler_plain_torch_runs(tmp_path: Path) -> None:
    """llvmlite that cannot be imported: one warning, and the same numbers."""
    (tmp_path / "llvmlite").mkdir()
    (tmp_path / "llvmlite" / "__init__.py").write_text("raise ImportError('broken on purpose')\n")
    text = """
        import sys, warnings
        import torch, thalweg
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 40, dtype=torch.float64))
        made = thalweg.AdamW([weight], lr=0.1, clip_norm=1.0, nonfinite="raise")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(3):
                weight.grad = weight.detach() * 3 + 1
                made.step()
        print([str(w.message)[:24] for w in caught], weight.detach().sum().item().hex())
    """
    broken = script(text, tmp_path)
    assert broken.stdout.startswith("['llvmlite does not work h'] "), broken.stderr
    (tmp_path / "llvmlite" / "__init__.py").unlink()
    (tmp_path / "llvmlite").rmdir()
    whole = forked.script(written(text, tmp_path), cwd=tmp_path)
    assert whole.stdout.startswith("[] "), whole.stderr
    numbers = [float.fromhex(x.stdout.split()[-1]) for x in (broken, whole)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-12)


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    done = script(
        """
        import sys
        sys.modules["joblib"] = None
        import thalweg
        try:
            thalweg.compare
        except ImportError as error:
            print(error)
        """,
        tmp_path,
    )
    assert "thalweg.compare needs the package joblib" in done.stdout
    assert "pip install 'thalweg[all]'" in done.stdout
