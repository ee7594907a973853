from pathlib import Path

import pytest
from toy_stages import STAGES, STRUCTURE

from medseg.config.load import build
from medseg.engine import pipeline as pipeline_module
from medseg.engine.pipeline import PipelineFile


@pytest.fixture(autouse=True)
def toy_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "stage_class", STAGES.__getitem__)


@pytest.fixture
def structure() -> PipelineFile:
    return build(PipelineFile, STRUCTURE)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name, text in (("a", "one"), ("b", "unreadable"), ("c", "three"), ("d", "bug")):
        (folder / f"{name}.txt").write_text(text)
    (folder / "e.bad").write_text("")
    (folder / "f.pdf").write_text("")
    return folder
