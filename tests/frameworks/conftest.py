import os
from collections.abc import Iterator

import pytest
import torch
from ranks import Ranks, together

# transformers reads it when it is imported: nothing here comes from the network.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A network of 160 weights has nothing to share: a team of threads that waits for work only slows it down."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    """Two processes that have trained together, with DistributedDataParallel and with FSDP."""
    return together(tmp_path_factory.mktemp("ranks"))
