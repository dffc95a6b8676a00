"""How long a process waits for its first step, with an empty cache of object code and with a filled one."""

import os
import subprocess
import sys
import tempfile

_SCRIPT = """
import time, torch, thalweg
p = torch.nn.Parameter(torch.randn(1000))
p.grad = torch.randn(1000)
optimizer = thalweg.AdamW([p], clip_norm=1.0)
began = time.perf_counter()
optimizer.step()
print(time.perf_counter() - began)
"""


def first_step() -> tuple[float, float]:
    """Seconds of the first `step()` of AdamW with clip_norm in a fresh process: cold, warm.

    Cold traces, compiles and stores two kernels; warm loads them. Imports, and torch's constructor (which imports
    torch._dynamo, a second), stand before the clock.
    """
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = (_run(os.path.join(folder, "cache")) for _ in range(2))
    return cold, warm


def _run(cache: str) -> float:
    environment = {**os.environ, "THALWEG_CACHE": cache}
    done = subprocess.run([sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)
