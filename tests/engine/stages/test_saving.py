import csv
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydantic import ValidationError

from medseg.engine.case_in_hand import start
from medseg.engine.outcomes import Work
from medseg.engine.pipeline import Pipeline, Step
from medseg.engine.stages.options import StageOptions
from medseg.engine.stages.saving import Save
from medseg.errors import FormatLimitation
from medseg.io import formats
from medseg.io.formats import Writer
from medseg.types import (
    Case,
    FoundScan,
    Geometry,
    LabelClass,
    LabelMap,
    LabelTable,
    ModelIdentity,
    Prediction,
    Scan,
    Source,
)
from medseg.types.quality import ClassQuality, Quality
from medseg.types.run import ClassVolume, Segmented, Volumes
from medseg.types.stage import RunContext

GRID = Geometry(np.eye(4), (4, 5, 6))


def segmented(kind: str = "dicom") -> Segmented:
    labels = LabelMap(np.ones(GRID.shape, np.uint8), GRID, LabelTable((LabelClass(1, "liver, whole"),)))
    scan = Scan(np.zeros((1, *GRID.shape), np.int16), GRID, source=Source(kind))
    volumes = Volumes((ClassVolume("liver, whole", 120, 0.12),))
    return Segmented(Case("a", (scan,)), Prediction(labels, ModelIdentity("m", "1", "0" * 64)), volumes)


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> list[Path]:
        raise FormatLimitation("the frames lie anywhere", fix="Use NIfTI.")

    monkeypatch.setitem(formats.WRITERS, "dicom-seg", Writer("labels.seg.dcm", True, refuse, ""))


def test_what_one_format_cannot_carry_is_noted_and_the_others_are_written(stubborn, tmp_path):
    saved = Save(Save.Options(formats=("nifti", "dicom-seg"))).run(segmented(), RunContext(tmp_path, "a"))
    assert saved.warnings == ("labels.seg.dcm is not written: the frames lie anywhere",)
    assert {p.name for p in (tmp_path / "a").iterdir()} == {"labels.nii.gz", "labels.tsv", "measurements.csv"}


@pytest.mark.parametrize("names", [("dicom-seg",), ("dicom-seg", "nifti")])
def test_a_case_that_no_format_can_carry_has_failed(stubborn, tmp_path, monkeypatch, names):
    monkeypatch.setitem(formats.WRITERS, "nifti", replace(formats.WRITERS["dicom-seg"], needs_dicom=False))
    for kind in ("dicom", "nifti")[: len(names)]:
        with pytest.raises(FormatLimitation, match="lie anywhere"):
            Save(Save.Options(formats=names)).run(segmented(kind), RunContext(tmp_path, "a"))


def test_a_scan_in_memory_that_no_format_can_be_written_for_is_refused(tmp_path):
    with pytest.raises(FormatLimitation, match="this scan is not DICOM"):
        Save(Save.Options(formats=("dicom-seg",))).run(segmented("array"), RunContext(tmp_path, "a"))


def test_at_least_one_format_is_written():
    with pytest.raises(ValidationError, match="at least 1"):
        Save.Options(formats=())


def test_a_format_that_needs_dicom_is_skipped_for_other_scans(stubborn, tmp_path):
    saved = Save(Save.Options()).run(segmented("nifti"), RunContext(tmp_path, "a"))
    assert saved.notes == ()
    with (tmp_path / "a" / "measurements.csv").open() as stream:
        assert list(csv.DictReader(stream)) == [{"class": "liver, whole", "voxels": "120", "volume_ml": "0.12"}]


def test_a_scan_that_no_format_can_be_written_for_fails_before_it_is_read(tmp_path):
    class Unread:
        options = StageOptions()

        def run(self, *_: object) -> None:
            raise AssertionError("the scan was read")

    save = Step("save", Save(Save.Options(formats=("dicom-seg", "rtstruct"))), "case", Segmented)
    read = Step("read", Unread(), "case", FoundScan)
    path = tmp_path / "a.nii"
    path.write_bytes(b"a scan")
    work = Work(Pipeline("p", read, (read, save), ()), tmp_path / "out", overwrite=True)
    case = start(FoundScan("a", "nifti", (path,)), work, [read])
    assert isinstance(case.error, FormatLimitation)
    assert case.error.what == "dicom-seg, rtstruct can be written for DICOM scans only, and this scan is not DICOM"
    assert isinstance(start(FoundScan("a", "dicom", (path,)), work, [read]).error, AssertionError)


@pytest.mark.parametrize("before", [True, False])
def test_the_mark_of_a_result_made_anyway_is_in_the_file_s_description(tmp_path, before):
    """Whether the scan was to be refused before the network, or the result after it."""
    item, mark = segmented("nifti"), "not what the model is for"
    if before:
        item = replace(item, prediction=replace(item.prediction, model=replace(item.model, mark=mark)))
    row = ClassQuality("liver, whole", None, None, 1, 1.0, False)
    item = replace(item, quality=Quality((row,), (), "" if before else mark))
    Save(Save.Options(formats=("nifti",))).run(item, RunContext(tmp_path, "a"))
    assert nib.load(tmp_path / "a" / "labels.nii.gz").header["descrip"].item() == b"medseg: not what the model is for"
