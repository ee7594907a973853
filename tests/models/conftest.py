"""The same draws in every test of models, and a store of its own."""

from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True)
def _same_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))
