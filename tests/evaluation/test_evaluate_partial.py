"""References that annotate some of the classes: what nobody marked is not measured, and that is said."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from medseg.cli.app import run
from medseg.engine.evaluate import evaluate
from medseg.errors import InputError
from medseg.evaluation.options import EvaluateOptions

QUICK = EvaluateOptions(n_bootstrap=100, worst=1)
LABELS = {"liver": 1, "kidney": 2}
ANNOTATED = {"lits_1": "liver", "lits_2": "liver", "full_1": ""}


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.asarray(array, np.uint8), np.eye(4)), path)


@pytest.fixture
def folder(tmp_path):
    """Predictions hold both organs everywhere, all right; two references have the liver only."""
    both = np.zeros((12, 10, 8), np.uint8)
    both[1:5, 2:8, 2:6], both[7:11, 2:8, 2:6] = 1, 2
    for name, annotated in ANNOTATED.items():
        save(tmp_path / "pred" / f"{name}.nii.gz", both)
        save(tmp_path / "data" / "labels" / f"{name}.nii.gz", np.where(both == 2, 0, both) if annotated else both)
        save(tmp_path / "data" / "images" / f"{name}.nii.gz", 40 * both)
    cases = [
        {"case": n, "CT": f"images/{n}.nii.gz", "label": f"labels/{n}.nii.gz"} | ({"annotated": a} if a else {})
        for n, a in ANNOTATED.items()
    ]
    (tmp_path / "data" / "dataset.yaml").write_text(json.dumps({"labels": LABELS, "cases": cases}))
    return tmp_path


@pytest.mark.parametrize("references", ["data", "data/dataset.yaml", "data/labels"])
def test_a_class_that_nobody_marked_is_not_measured(folder, references):
    found = evaluate(folder / "pred", folder / references, config=QUICK)
    dice = {(row.case_id, row.class_name): row.value for row in found.rows if row.metric == "dice"}
    assert dice == {(n, "liver"): 1 for n in ANNOTATED} | {("full_1", "kidney"): 1}
    kidney = found.summary["classes"]["kidney"]["dice"]
    assert (kidney["cases"], kidney["undefined"], kidney["mean"]) == (1, 0, 1)
    assert found.summary["not_annotated"] == {"kidney": ["lits_1", "lits_2"]}
    assert found.summary["pooled"]["kidney"]["objects_prediction"] == 1
    names, voxels = (found.summary["confusion"][key] for key in ("classes", "voxels"))
    assert voxels[names.index("background")][names.index("kidney")] == 0
    assert "does not annotate it: kidney" in found.notes["lits_1"][0]
    assert found.exit_code == 0


def test_without_the_table_the_same_files_count_as_false_positives(folder):
    (folder / "data" / "dataset.yaml").unlink()
    found = evaluate(folder / "pred", folder / "data" / "labels", config=QUICK)
    dice = {(row.case_id, row.class_name): row.value for row in found.rows if row.metric == "dice"}
    assert dice["lits_1", "class-2"] == 0


def test_it_is_said_and_a_region_of_it_is_not_measured_either(folder, capsys):
    verb = ["evaluate", str(folder / "pred"), str(folder / "data"), "--out", str(folder / "out")]
    assert run([*verb, "--region", "organs=1,2", "--set", "n_bootstrap=100"]) == 0
    shown = capsys.readouterr()
    assert "kidney: not measured in 2 cases, whose references do not annotate it" in shown.out
    frame = pd.read_csv(folder / "out" / "per_case.csv")
    assert set(frame[frame["class"] == "organs"].case_id) == {"full_1"}
    summary = json.loads((folder / "out" / "summary.json").read_text())
    assert summary["not_annotated"]["organs"] == ["lits_1", "lits_2"]
    assert "does not annotate it" in (folder / "out" / "report.html").read_text()


def test_references_that_are_no_label_maps_are_refused(folder):
    stated = json.loads((folder / "data" / "dataset.yaml").read_text())
    (folder / "data" / "dataset.yaml").write_text(json.dumps(stated | {"values": {"7": 1}}))
    with pytest.raises(InputError, match="'values' that differ"):
        evaluate(folder / "pred", folder / "data", config=QUICK)
