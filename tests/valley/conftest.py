"""The modules of examples/valley, which its scripts find beside them."""

import sys
from pathlib import Path

VALLEY = Path(__file__).parents[2] / "examples" / "valley"
sys.path.insert(0, str(VALLEY))
