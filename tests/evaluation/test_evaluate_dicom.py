"""Contours and DICOM SEG on either side of an evaluation, brought onto the other's grid."""

import numpy as np
import pytest
from small_labels import MODEL, some_labels
from small_series import small_series

from medseg.engine.evaluate import evaluate
from medseg.errors import GeometryMismatch, InputError
from medseg.evaluation.files.dicom_labels import read_pair
from medseg.evaluation.options import EvaluateOptions
from medseg.io.formats import WRITERS, Labeled
from medseg.types import LabelMap

QUICK = EvaluateOptions(n_bootstrap=100, surfaces=False, objects="none")


@pytest.fixture
def written(tmp_path):
    """One label map in every format, and another, with a slice less of class 1, as NIfTI."""
    source, geometry = small_series(tmp_path / "mr")
    labels = some_labels(geometry)
    paths = {}
    for name in ("nifti", "nrrd", "dicom-seg", "rtstruct"):
        paths[name] = tmp_path / name / WRITERS[name].file_name
        WRITERS[name].write(Labeled(labels, source, MODEL), paths[name])
    fewer = labels.array.copy()
    first = int(np.flatnonzero((fewer == 1).any(axis=(0, 1)))[0])
    fewer[:, :, first][fewer[:, :, first] == 1] = 0
    paths["fewer"] = tmp_path / "fewer" / "labels.nii.gz"
    WRITERS["nifti"].write(Labeled(LabelMap(fewer, geometry, labels.table), source, MODEL), paths["fewer"])
    whole, part = int((labels.array == 1).sum()), int((fewer == 1).sum())
    return paths, 2 * part / (whole + part)


def dice(prediction, reference):
    rows = evaluate(prediction, reference, config=QUICK).rows
    return {row.class_name: row.value for row in rows if row.metric == "dice"}


@pytest.mark.parametrize("name", ["nrrd", "dicom-seg", "rtstruct"])
def test_either_side(written, name):
    paths, truth = written
    assert dice(paths["nifti"], paths[name])["liver"] == 1
    assert dice(paths[name], paths["nifti"])["liver"] == 1
    assert dice(paths["fewer"], paths[name])["liver"] == pytest.approx(truth)
    assert dice(paths[name], paths["fewer"])["liver"] == pytest.approx(truth)


def test_contours_on_both_sides_are_refused(written):
    paths, _ = written
    with pytest.raises(InputError, match="both contours"):
        read_pair(paths["rtstruct"], paths["rtstruct"])


def test_a_seg_of_another_place_is_refused(written, tmp_path):
    paths, _ = written
    source, geometry = small_series(tmp_path / "elsewhere", shape=(8, 8, 6))
    WRITERS["nifti"].write(Labeled(some_labels(geometry), source, MODEL), tmp_path / "other.nii.gz")
    with pytest.raises(GeometryMismatch):
        read_pair(tmp_path / "other.nii.gz", paths["dicom-seg"])
