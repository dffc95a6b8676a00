import os
from collections.abc import Iterator

import pytest
import torch

# transformers reads it when it is imported: nothing here comes from the network.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A network of 160 weights has nothing to share: a team of threads that waits for work only slows it down."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
