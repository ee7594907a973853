import csv
import json
import logging
import stat
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import user_stages
from user_stages import median, noisy

from medseg.engine import pipeline as pipeline_module
from medseg.engine.pipeline import assemble, load_pipeline
from medseg.engine.registry import stage_class
from medseg.engine.runner import RunOptions, run
from medseg.engine.schedule import Schedule
from medseg.errors import PipelineError
from medseg.types.run import BatchResult, Inputs

PIPELINE = """
description: A filter between reading and the network.
gather: {name: discover, stage: discover, from: inputs}
each:
  - {name: read, stage: read, from: case}
  - {name: filter, stage: FILTER, from: read}
  - {name: segment, stage: threshold, from: filter}
  - {name: refine, stage: refine, from: {case: read, prediction: segment}}
  - {name: measure, stage: measure, from: refine}
  - {name: save, stage: save, from: {case: read, prediction: refine, volumes: measure}}
finish:
  - {name: report, stage: report, from: batch}
"""


@pytest.fixture(autouse=True)
def stages(monkeypatch: pytest.MonkeyPatch) -> None:
    own = user_stages.STAGES
    monkeypatch.setattr(pipeline_module, "stage_class", lambda name: own.get(name) or stage_class(name))


def go(folder: Path, stage: str = "median", **options: Any) -> BatchResult:
    file = folder / "own.yaml"
    file.write_text(PIPELINE.replace("FILTER", stage))
    pipeline = assemble("own", load_pipeline(file), {})
    return run(pipeline, Inputs((folder / "scans",)), folder / "out", RunOptions(**{"isolate": False, **options}))


@pytest.fixture
def arrays(tmp_path: Path) -> dict[str, np.ndarray]:
    (tmp_path / "scans" / "sub").mkdir(parents=True)
    return {name: noisy(tmp_path / "scans" / "sub" / f"{name}.nii.gz", n) for n, name in enumerate("abc")}


@pytest.mark.parametrize(("stage", "ahead"), [("median", ["read"]), ("median-ahead", ["read", "filter"])])
def test_a_filter_between_reading_and_the_network_gives_the_labels_of_filtered_scans(tmp_path, arrays, stage, ahead):
    result = go(tmp_path, stage)
    assert [outcome.state for outcome in result.outcomes] == ["done"] * 3
    for name, array in arrays.items():
        labels = np.asarray(nib.load(tmp_path / "out" / name / "labels.nii.gz").dataobj)
        assert np.array_equal(labels, median(array) > 50)
        assert not np.array_equal(labels, array > 50)
    schedule = Schedule.from_steps(assemble("own", load_pipeline(tmp_path / "own.yaml"), {}).each)
    assert [step.name for step in schedule.ahead] == ahead
    assert schedule.main[-1].name == "segment"
    assert [step.name for step in schedule.aside] == ["refine", "measure", "save"]


def test_what_stages_report_is_in_the_outcome_whatever_they_are_called(tmp_path, arrays):
    result = go(tmp_path)
    status = json.loads((tmp_path / "out" / "a" / "status.json").read_text())
    assert (status["state"], status["warnings"], status["notes"]) == ("done", ["made by a threshold"], ["above 50"])
    assert status["review_priority"] == 2.0
    voxels = int((median(arrays["a"]) > 50).sum())
    assert status["volumes"] == {"bright": {"voxels": voxels, "volume_ml": pytest.approx(voxels * 0.002)}}
    assert ("model", "threshold 1") in result.identity
    [row, *_] = csv.DictReader((tmp_path / "out" / "cases.csv").open())
    assert (row["state"], row["warnings"], row["notes"]) == ("done", "made by a threshold", "above 50")
    assert float(row["bright.volume_ml"]) == pytest.approx(voxels * 0.002)
    again = go(tmp_path)
    assert [outcome.state for outcome in again.outcomes] == ["current"] * 3
    first, second = ([(o.warnings, o.notes, o.volumes) for o in each.outcomes] for each in (result, again))
    assert first == second
    written = (path.read_text() for kind in ("*.json", "*.csv") for path in (tmp_path / "out").rglob(kind))
    assert "current" not in "".join(written)


def test_sources_lead_back_to_the_scans_and_are_the_owner_s_alone(tmp_path, arrays):
    go(tmp_path)
    sources = tmp_path / "out" / "sources.csv"
    assert stat.S_IMODE(sources.stat().st_mode) == 0o600
    rows = list(csv.DictReader(sources.open()))
    told = [(row["case_id"], row["state"], row["path"]) for row in rows]
    assert told == [(name, "done", f"sub/{name}.nii.gz") for name in "abc"]
    status = json.loads((tmp_path / "out" / "a" / "status.json").read_text())
    assert rows[0]["input_sha256"] == status["input_sha256"]


def test_results_of_an_earlier_version_are_made_again_and_it_is_said(tmp_path, arrays, caplog):
    go(tmp_path)
    record = tmp_path / "out" / "a" / "status.json"
    status = json.loads(record.read_text())
    old = {key: value for key, value in status.items() if key not in ("format", "warnings")}
    record.write_text(json.dumps({**old, "notes": ["undecided"], "volumes": [["bright", 1, 0.002, None]]}))
    with caplog.at_level(logging.INFO, logger="medseg.run"):
        result = go(tmp_path)
    assert [outcome.state for outcome in result.outcomes] == ["done", "current", "current"]
    assert "segmenting 1 case of an earlier version again" in caplog.text
    assert json.loads(record.read_text()) == status


def test_a_stage_that_runs_nowhere_known_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(user_stages.Median, "runs", "sideways", raising=False)
    with pytest.raises(PipelineError, match=r"'median' declares that it runs 'sideways'.*ahead, main, aside"):
        (tmp_path / "own.yaml").write_text(PIPELINE.replace("FILTER", "median"))
        assemble("own", load_pipeline(tmp_path / "own.yaml"), {})


def test_a_model_is_resolved_once_a_run(tmp_path, monkeypatch):
    from medseg.engine.predict import predict
    from medseg.engine.stages import segment

    resolved: list[str] = []
    resolve = segment.resolve_model
    monkeypatch.setattr(segment, "resolve_model", lambda name: resolved.append(name) or resolve(name))
    noisy(tmp_path / "a.nii.gz", 0)
    predict(tmp_path / "a.nii.gz", "hippocampus", tmp_path / "out", dry_run=True)
    assert resolved == ["hippocampus"]
