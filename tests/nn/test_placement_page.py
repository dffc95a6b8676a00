"""The example of docs/placement.md runs, and each of its models learns."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "placement.md"


def test_the_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert list(printed) == ["pre", "post", "sandwich"]
    assert max(map(float, printed.values())) < 1.2  # a guess has ln 8 = 2.08
