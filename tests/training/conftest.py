from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_dataset import write_msd


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset of six cases."""
    return write_msd(tmp_path_factory.mktemp("balls") / "dataset")
