"""How long a process waits for its first step, with an empty cache of object code and with a filled one."""

import os
import subprocess
import sys
import tempfile

_SCRIPT = """
import time, torch, thalweg
p = torch.nn.Parameter(torch.randn(1000))
p.grad = torch.randn(1000)
began = time.perf_counter()
thalweg.AdamW([p], clip_norm=1.0).step()
print(time.perf_counter() - began)
"""


def first_step() -> tuple[float, float]:
    """Seconds of the first `AdamW(clip_norm=1).step()` of a fresh process, imports of thalweg.optim included: cold, warm.

    torch is imported before the clock starts. Cold compiles two kernels and stores them; warm loads them.
    """
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = (_run(os.path.join(folder, "cache")) for _ in range(2))
    return cold, warm


def _run(cache: str) -> float:
    environment = {**os.environ, "THALWEG_CACHE": cache}
    done = subprocess.run([sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)
