"""Running the programs that the page hands out."""

import ast
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

HOUSE = Path(__file__).parents[2]


def run(program):
    """Run a program; what it printed, lines of a name and numbers, by name."""
    said = StringIO()
    with redirect_stdout(said):
        exec(compile(program, "program", "exec"), {"__name__": "program"})
    lines = [line.rsplit("[", 1) for line in said.getvalue().splitlines()]
    return {name.strip(): ast.literal_eval(f"[{numbers}") for name, numbers in lines}


def complaints(program):
    """What ruff says of a program's format and code; nothing, if it is as the house has it."""
    calls = [("format", "--diff", "-"), ("check", "--quiet", "-")]
    done = [
        subprocess.run(
            [sys.executable, "-m", "ruff", *call], input=program, capture_output=True, text=True, check=False, cwd=HOUSE
        )
        for call in calls
    ]
    return "".join(each.stdout + (each.stderr if each.returncode > 1 else "") for each in done)
