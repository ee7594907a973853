import nibabel as nib
import numpy as np
import pytest

from medseg.cli.app import run
from medseg.engine.evaluate import evaluate
from medseg.errors import UsageError
from medseg.evaluation.options import EvaluateOptions
from medseg.tracking.runs import OpenRun, Tracker

# SQLAlchemy about a relation of MLflow's tables.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")
QUICK = EvaluateOptions(n_bootstrap=100, surfaces=False)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Predictions with a training run's database beside them, as `medseg predict` leaves one."""
    root = tmp_path_factory.mktemp("tracked")
    for side, stop in (("pred", 4), ("ref", 6)):
        (root / side).mkdir()
        array = np.zeros((8, 8, 8), np.uint8)
        array[2:stop, 2:6, 2:6] = 1
        nib.save(nib.Nifti1Image(array, np.eye(4)), root / side / "jansen.nii.gz")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracker = Tracker(root / "pred", name="train liver", parameters={"seed": 0})
        tracker.end()
    return root, tracker


def recorded(tracker):
    run = tracker._client.get_run(tracker.run_id)
    files = [f.path for f in tracker._client.list_artifacts(tracker.run_id, "evaluation")]
    return run.data.metrics, run.data.tags, files


def test_figures_go_to_the_run_named(folders, tmp_path, capsys):
    root, tracker = folders
    named = ("--out", str(tmp_path / "out"), "--mlflow-run", tracker.run_id, "--class", "1=liver & co")
    code = run(["evaluate", str(root / "pred"), str(root / "ref"), *named])
    assert code == 0, capsys.readouterr().err
    metrics, tags, files = recorded(tracker)
    assert metrics["evaluation/dice/mean/liver _ co"] == pytest.approx(2 / 3)
    assert metrics["evaluation/nsd_at_2mm/mean/liver _ co"] > 0
    assert metrics["evaluation/pq/pooled/liver _ co"] == pytest.approx(0.5)
    assert metrics["evaluation/cases"] == 1
    assert '"tolerances_mm"' in tags["evaluation.options"]
    assert files == ["evaluation/summary.tex"]
    assert b"jansen" not in (root / "pred" / "mlflow.db").read_bytes()


def test_figures_go_to_the_run_the_environment_names(folders, monkeypatch):
    root, tracker = folders
    monkeypatch.setenv("MLFLOW_RUN_ID", tracker.run_id)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracker.uri)
    evaluate(root / "pred", root / "ref", config=QUICK)
    assert recorded(tracker)[0]["evaluation/dice/mean/class-1"] == pytest.approx(2 / 3)


def test_figures_go_to_the_run_this_process_has_open(folders):
    import mlflow

    root, tracker = folders
    mlflow.set_tracking_uri(tracker.uri)
    try:
        with mlflow.start_run(run_id=tracker.run_id):
            evaluate(root / "pred", root / "ref", config=QUICK)
    finally:
        mlflow.set_tracking_uri(None)
    assert recorded(tracker)[0]["evaluation/iou/mean/class-1"] == pytest.approx(0.5)


def test_without_a_run_nothing_is_recorded_and_a_wrong_one_is_said_first(folders, tmp_path):
    root, _ = folders
    assert OpenRun.find(None, [root / "pred"]) is None
    with pytest.raises(UsageError, match=r"does not know the run 1234.*MLFLOW_TRACKING_URI"):
        evaluate(root / "pred", root / "ref", tmp_path / "out", config=QUICK, mlflow_run="1234")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match=r"there is no mlflow\.db"):
        OpenRun.find("1234", [tmp_path])
