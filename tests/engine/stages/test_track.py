import logging
import sqlite3
from pathlib import Path

from medseg.engine.stages.track import Track
from medseg.types.run import BatchResult, CaseOutcome
from medseg.types.stage import RunContext


def batch(out: Path, *states: str) -> BatchResult:
    outcomes = tuple(
        CaseOutcome(f"DOE^JANE-{n}", state, f"{n}.nii.gz", out, seconds=2.0) for n, state in enumerate(states)
    )
    return BatchResult(out, outcomes, (), (("model", "liver 1"),), "batch-segmentation")


def test_a_batch_is_one_run_with_counts_and_no_names(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Track(Track.Options()).run(batch(tmp_path, "done", "done", "failed"), RunContext(tmp_path))
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("select count(*) from runs").fetchone() == (1,)
        metrics = dict(database.execute("select key, value from latest_metrics").fetchall())
        assert metrics["cases_done"] == 2
        assert metrics["cases_failed"] == 1
        assert ("model", "liver 1") in database.execute("select key, value from params").fetchall()
        assert database.execute("select artifact_location from experiments where name = 'medseg'").fetchone()[0]
    assert b"DOE^JANE" not in (tmp_path / "mlflow.db").read_bytes()


def test_nothing_is_recorded_where_nothing_happened_or_nobody_wants_it(tmp_path):
    Track(Track.Options()).run(batch(tmp_path, "current"), RunContext(tmp_path))
    Track(Track.Options(enabled=False)).run(batch(tmp_path, "done"), RunContext(tmp_path))
    assert not (tmp_path / "mlflow.db").exists()


def test_a_place_that_cannot_be_written_costs_the_record_and_not_the_results(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    result = batch(tmp_path, "done")
    with caplog.at_level(logging.WARNING, logger="medseg.run"):
        assert Track(Track.Options()).run(result, RunContext(tmp_path)) is result
    assert "run is not recorded" in caplog.text
