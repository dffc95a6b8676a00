"""What would be released, tried as somebody has it: python tests/release.py dist

Each file of the folder, wheel and sdist, is installed in an environment that has nothing else, once as it is and once
with its extra, and used from a folder that knows nothing of this one.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

OPTIMIZER = """
import torch, thalweg
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 4), thalweg.nn.RMSNorm(4), torch.nn.Linear(4, 1))
optimizer = thalweg.AdamW(model.parameters(), lr=1e-2, clip_norm=1.0)
twin = torch.optim.AdamW([torch.nn.Parameter(p.detach().clone()) for p in model.parameters()], lr=1e-2)
for _ in range(3):
    optimizer.zero_grad()
    model(torch.ones(2, 8)).square().mean().backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])
    for theirs, ours in zip(twin.param_groups[0]["params"], model.parameters()):
        theirs.grad = ours.grad * min(1.0, 1.0 / (float(norm) + 1e-6))
    optimizer.step()
    twin.step()
for theirs, ours in zip(twin.param_groups[0]["params"], model.parameters()):
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
assert "compiled" in str(optimizer.explain()), optimizer.explain()
"""

TRAIN = """
import torch

def train(trial):
    torch.manual_seed(trial.seed("init"))
    weight = torch.nn.Parameter(torch.randn(3))
    optimizer = trial.optimizer([weight])
    for _ in trial.epochs(20):
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        optimizer.step()
        trial.report(valid_loss=loss.item(), test_loss=loss.item())
"""


def run(*command: str | Path, cwd: Path, expected: int = 0) -> str:
    """What a command prints; it must end as expected, without a traceback."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL"))}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    said = done.stdout + done.stderr
    if done.returncode != expected or "Traceback" in said:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}, not {expected}:\n{said}")
    return said


def installed(what: str, folder: Path) -> Path:
    """The programs of a new environment with this, and what it asks for, alone."""
    venv.create(folder, with_pip=True)
    index = os.environ.get("TORCH_INDEX")
    more = ["--extra-index-url", index] if index else []
    pip = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "-c", ROOT / "constraints.txt", *more, what, cwd=folder)
    return folder / "bin"


def tried(programs: Path, folder: Path, whole: bool) -> None:
    """Use it; ``whole``: with what comparisons need."""
    thalweg = programs / "thalweg"
    version = run(thalweg, "--version", cwd=folder).strip()
    name = run(
        programs / "python", "-I", "-c", "import importlib.metadata as m; print(m.version('thalweg'))", cwd=folder
    )
    assert version == name.strip(), (version, name)
    run(programs / "python", "-I", "-W", "error", "-c", OPTIMIZER, cwd=folder)
    assert "AdamW" in run(thalweg, "show", "adamw", cwd=folder)
    run(thalweg, "doctor", cwd=folder)
    run(thalweg, "explore", "--out", folder / "public", cwd=folder)
    assert (folder / "public" / "index.html").stat().st_size > 100_000
    (folder / "script.py").write_text(TRAIN)
    compare = (thalweg, "compare", "script.py:train", "-r", "sgd,adamw", "--trials", "6", "--seeds", "3")
    if whole:
        said = run(*compare, "--store", folder / "study.sqlite", "--report", folder / "report.html", cwd=folder)
        assert "AdamW" in said, said
        assert (folder / "report.html").exists()
    else:
        assert "thalweg[compare]" in run(*compare, cwd=folder, expected=2)


def main(folder: Path) -> None:
    """Try all of them, and say which."""
    files = sorted(path.resolve() for path in folder.iterdir() if path.suffix in (".whl", ".gz"))
    assert len(files) == 2, f"a wheel and an sdist, and nothing else: {files}"
    for path in files:
        for extra in ("", "[all]"):
            with tempfile.TemporaryDirectory() as made:
                programs = installed(f"thalweg{extra} @ {path.as_uri()}", Path(made) / "environment")
                (work := Path(made) / "work").mkdir()
                tried(programs, work, whole=bool(extra))
                print(f"{path.name}{extra}: works", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
