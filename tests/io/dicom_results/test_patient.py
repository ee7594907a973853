"""Labels of another patient than the scan, or the other labels, that they are read with."""

import json
from contextlib import nullcontext

import numpy as np
import pydicom
import pytest
from small_labels import MODEL, some_labels
from small_series import small_series

from medseg.errors import GeometryMismatch
from medseg.evaluation.evaluate import EvaluationFiles, measure_folders
from medseg.evaluation.files.dicom_labels import read_pair
from medseg.evaluation.options import EvaluateOptions
from medseg.io.convert import convert
from medseg.io.dicom_results.rtstruct import write_rtstruct
from medseg.io.dicom_results.seg import write_seg
from medseg.review.export import export

OTHERS = "another patient than {}, by their Patient IDs"


@pytest.fixture
def objects(tmp_path):
    """Folder of a series, and a SEG and an RTSTRUCT of it."""
    source, geometry = small_series(tmp_path / "series")
    labels = some_labels(geometry)
    paths = {}
    for kind, writer in {"seg": write_seg, "rtstruct": write_rtstruct}.items():
        paths[kind] = tmp_path / kind / "case.dcm"
        paths[kind].parent.mkdir()
        writer(labels, source, paths[kind], model=MODEL)
    return tmp_path / "series", paths


def give(path, patient):
    ds = pydicom.dcmread(path)
    ds.PatientID = patient
    ds.save_as(path)


@pytest.mark.parametrize(("patient", "fits"), [("OTHER", False), ("", True), (None, True)])
def test_a_seg_and_its_series(tmp_path, objects, patient, fits):
    series, paths = objects
    give(paths["seg"], patient)
    done = convert([series, paths["seg"]], tmp_path / "out")
    assert done.exit_code == (0 if fits else 3)
    assert (OTHERS.format("the scan") in str([one.error for one in done.converted])) is not fits
    with nullcontext() if fits else pytest.raises(GeometryMismatch, match="another patient than the scan"):
        export(paths["seg"], tmp_path / "export", format="nifti", source=series, manual=True)


@pytest.mark.parametrize(("ours", "theirs"), [("seg", "seg"), ("seg", "rtstruct"), ("rtstruct", "seg")])
@pytest.mark.parametrize(("patient", "fits"), [("OTHER", False), ("", True)])
def test_labels_of_two_patients_are_not_compared(tmp_path, objects, ours, theirs, patient, fits):
    _, paths = objects
    other = tmp_path / "other" / "case.dcm"
    other.parent.mkdir()
    other.write_bytes(paths[theirs].read_bytes())
    give(other, patient)
    if fits:
        one, two = read_pair(paths[ours], other)
        assert np.array_equal(one.array > 0, two.array > 0)
        return
    with pytest.raises(GeometryMismatch, match="another patient than the reference"):
        read_pair(paths[ours], other)
    done = measure_folders(EvaluationFiles(paths[ours].parent, other.parent), EvaluateOptions())
    assert not done.rows
    assert OTHERS.format("the reference") in json.dumps(done.failed)
