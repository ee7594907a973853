"""What an evaluation notices by itself: ids of objects taken for classes, and cases the model was trained on."""

import json
import logging

import nibabel as nib
import numpy as np
import pytest

from medseg.cli.app import run
from medseg.engine.evaluate import evaluate
from medseg.evaluation.files.object_ids import numbered_objects
from medseg.evaluation.options import EvaluateOptions
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable

QUICK = EvaluateOptions(n_bootstrap=100, surfaces=False)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.asarray(array, np.uint16), np.eye(4)), path)


def boxes(count):
    """So many boxes, each with a number of its own."""
    array = np.zeros((4 * count, 6, 6), np.uint16)
    for number in range(count):
        array[4 * number : 4 * number + 3, 1:4, 1:4] = number + 1
    return array


def label_map(array, names=None):
    table = tuple(LabelClass(v, (names or {}).get(v, f"class-{v}")) for v in range(1, int(array.max()) + 1))
    return LabelMap(array, Geometry(np.eye(4), array.shape), LabelTable(table))


def test_many_unnamed_values_of_one_component_each_look_like_objects():
    assert numbered_objects(label_map(boxes(9))) == tuple(range(1, 10))
    assert numbered_objects(label_map(boxes(5))) == (), "as few as classes are"
    assert numbered_objects(label_map(boxes(9), {v: f"organ {v}" for v in range(1, 10)})) == (), "classes with names"
    scattered = np.concatenate([boxes(9), boxes(9)])
    assert numbered_objects(label_map(scattered)) == (), "classes of two components each"


def test_objects_measured_as_classes_are_noticed(tmp_path, caplog):
    for name, count in (("a", 7), ("b", 9)):
        save(tmp_path / "ref" / f"{name}.nii.gz", boxes(count))
        save(tmp_path / "pred" / f"{name}.nii.gz", boxes(count)[::-1].copy())
    caplog.set_level(logging.WARNING, "medseg.evaluate")
    found = evaluate(tmp_path / "pred", tmp_path / "ref", config=QUICK)
    assert "The values of 2 cases, such as a, look like ids of objects" in caplog.text
    assert "7 values look like ids of objects" in " ".join(found.notes["a"])
    assert "--objects instances" in " ".join(found.summary["notes"]["b"])
    caplog.clear()
    evaluate(tmp_path / "pred", tmp_path / "ref", config=QUICK, objects="instances")
    evaluate(tmp_path / "pred", tmp_path / "ref", config=QUICK, objects="components")
    assert "look like ids" not in caplog.text, "whoever chose knows"


def test_equal_values_in_every_case_are_classes(tmp_path, caplog):
    for name in ("a", "b"):
        for folder in ("ref", "pred"):
            save(tmp_path / folder / f"{name}.nii.gz", boxes(8))
    evaluate(tmp_path / "pred", tmp_path / "ref", config=QUICK)
    assert "look like ids" not in caplog.text


# What `medseg predict` records of a card, before it had the training data too.
SUMMARY = {
    "title": "Cubes in noise", "limits": ["No spheres."], "dice": {"class-1": 0.5}, "n_cases": 2, "split": "a fold",
}  # fmt: skip


@pytest.fixture
def three(tmp_path):
    """Cases a to c, of which the prediction of c is poor."""
    for name in "abc":
        truth = np.zeros((10, 8, 8))
        truth[2:6, 2:6, 2:6] = 1
        save(tmp_path / "ref" / f"{name}_label.nii.gz", truth)
        save(tmp_path / "pred" / name / "labels.nii.gz", np.roll(truth, 2 * (name == "c"), 0))
    return tmp_path


@pytest.mark.parametrize("trained_on", [[], ["A", "b"], ["a", "b", "c"], ["d"]])
def test_cases_the_model_was_trained_on_are_reported_apart(trained_on, three, caplog, capsys):
    (three / "pred" / "run.json").write_text(json.dumps({"trained_on": trained_on, "models": [SUMMARY]}))
    out = three / "out"
    assert run(["evaluate", str(three / "pred"), str(three / "ref"), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    groups = json.loads((out / "summary.json").read_text())["groups"]
    report = (out / "report.html").read_text()
    assert "Cubes in noise" in report
    assert "No spheres." in report
    known = len(trained_on) if trained_on != ["d"] else 0
    assert (f"Of 3 cases, {known} ha" in caplog.text) == bool(known)
    assert ("By use in training" in report) == bool(known)
    assert (f"{known} of these cases have names of those that the model was trained on" in report) == bool(known)
    if not known:
        assert groups == {}
        assert "trained on" not in printed
        return
    apart = groups["use in training"]
    assert apart["trained on"]["class-1"]["dice"]["mean"] == (1 if known == 2 else pytest.approx((1 + 1 + 0.5) / 3))
    assert f"trained on, {known} cases:" in printed
    if known == 2:
        assert apart["not trained on"]["class-1"]["dice"]["mean"] == 0.5
        assert "not trained on, 1 case:" in printed
