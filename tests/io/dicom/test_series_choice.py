"""Of a study, the series a model wants is taken, or the user is asked."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from dicom_phantom import check, grid, write_series
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from medseg.cli.app import run
from medseg.errors import UsageError
from medseg.io.dicom.series_choice import CHOOSE, NONE_FITS, choose_series, named_series
from medseg.io.discover import discover
from medseg.io.read import read_scan
from medseg.types import Discovery
from medseg.types.series_criteria import SeriesCriteria

MR = SeriesCriteria(modalities=("MR",), spacing=((1, 1, 2), (1.5, 1.5, 3)), extent=((10, 10, 15), (30, 30, 40)))

HEADS = SeriesCriteria(modalities=("MR",), body_parts=("HEAD",), spacing=MR.spacing)


def series(folder: Path, name: str, number: int, *, modality: str = "MR", where=None, **attributes: object) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.StudyInstanceUID, ds.SeriesNumber = "2.25.1", number
        ds.SeriesDescription = attributes.get("SeriesDescription", name)
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)

    write_series(folder, grid() if where is None else where, modality=modality, name=name, edit=edit)


def chosen(discovery: Discovery) -> list[int | None]:
    return [scan.series_number for scan in discovery.found]


def asked(discovery: Discovery, fix: str = CHOOSE) -> str:
    (left,) = [left for left in discovery.skipped if left.corrupt]
    assert left.fix == fix
    return left.reason


def test_modality(tmp_path):
    series(tmp_path, "ct", 1, modality="CT")
    series(tmp_path, "t1", 2)
    got = choose_series(discover([tmp_path]), MR, [tmp_path])
    assert chosen(got) == [2]
    check(read_scan(got.found[0]))
    (note,) = got.found[0].notes
    assert "chosen among 2 volumes of its study (all as the model expects)" in note
    assert "CT, not MR" in note
    assert ["not the one that fits" in left.reason for left in got.skipped] == [True]


@pytest.mark.parametrize(
    ("criteria", "one", "other"),
    [
        (SeriesCriteria(body_parts=("HEAD", "BRAIN")), {"BodyPartExamined": "BRAIN"}, {"BodyPartExamined": "KNEE"}),
        (SeriesCriteria(body_parts=("HEAD",)), {"BodyPartExamined": "HEAD"}, {}),
        (SeriesCriteria(contrast=True), {"ContrastBolusAgent": "Gd"}, {}),
        (SeriesCriteria(contrast=False), {}, {"ContrastBolusAgent": "Gd"}),
        (MR, {}, {"where": grid(step=7)}),
        (MR, {"where": grid("sagittal")}, {"where": grid("sagittal", slices=40)}),
        (MR, {}, {"where": grid().without(3)}),
        (MR, {}, {"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"]}),
        # A crop of a series, which says less of itself, before slices that the gate would withhold.
        (HEADS, {"ImageType": ["DERIVED", "SECONDARY"]}, {"where": grid(step=7), "BodyPartExamined": "HEAD"}),
    ],
)
def test_what_fits_better_is_taken(tmp_path, criteria, one, other):
    series(tmp_path, "other", 1, **other)
    series(tmp_path, "one", 2, **one)
    assert chosen(choose_series(discover([tmp_path]), criteria, [tmp_path])) == [2]


def test_several_that_fit_equally_are_asked_about_and_named_without_their_descriptions(tmp_path):
    series(tmp_path, "a", 4, SeriesDescription="T1 of Jane Doe")
    series(tmp_path, "b", 5)
    series(tmp_path, "c", 6, modality="CT")
    got = choose_series(discover([tmp_path]), MR, [tmp_path])
    assert got.found == ()
    reason = asked(got)
    assert reason.startswith("2 volumes of this study fit the model equally well: mr-")
    assert "number 4, MR, 9 slices" in reason
    assert "number 5" in reason
    assert "Jane" not in reason


def test_none_that_fits_is_asked_about(tmp_path):
    series(tmp_path, "a", 1, modality="CT")
    series(tmp_path, "b", 2, modality="PT")
    assert "none of the 2 volumes" in asked(choose_series(discover([tmp_path]), MR, [tmp_path]), NONE_FITS)


def test_one_study_in_doubt_leaves_others_alone(tmp_path):
    for name, number in (("a", 1), ("b", 2)):
        series(tmp_path / "uncertain", name, number)
    series(tmp_path / "clear", "c", 3, StudyInstanceUID="2.25.2")
    got = choose_series(discover([tmp_path]), MR, [tmp_path])
    assert chosen(got) == [3]
    asked(got)


def test_a_single_volume_and_volumes_named_one_by_one_stay(tmp_path):
    series(tmp_path / "a", "a", 1, modality="CT")
    series(tmp_path / "b", "b", 2)
    for inputs in ([tmp_path / "a"], [tmp_path / "a", tmp_path / "b"]):
        found = discover(inputs)
        assert choose_series(found, MR, inputs).found == found.found


@pytest.mark.parametrize("pattern", ["2", "t1*post", "T1 sag post", "uid", "case"])
def test_named(tmp_path, pattern):
    series(tmp_path, "a", 1, SeriesDescription="T1 sag")
    series(tmp_path, "b", 2, SeriesDescription="T1 sag post")
    found = discover([tmp_path])
    meant = next(scan for scan in found.found if scan.series_number == 2)
    pattern = {"uid": meant.series_uid, "case": meant.case_id}.get(pattern, pattern)
    got = named_series(found, pattern)
    assert chosen(got) == [2]
    assert got.found[0].notes == ("chosen by --series",)
    assert len(got.skipped) == 1
    assert len(named_series(found, "*").found) == 2


def test_naming_a_series_where_there_is_none_is_refused_and_other_scans_beside_dicom_are_named(tmp_path, caplog):
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.eye(4)), tmp_path / "scan.nii")
    with pytest.raises(UsageError, match=r"--series 2: there is no DICOM series among the inputs\. Omit"):
        named_series(discover([tmp_path]), "2")
    series(tmp_path, "a", 2)
    with caplog.at_level("INFO", "medseg"):
        assert len(named_series(discover([tmp_path]), "2").found) == 2
    assert "--series chooses among DICOM series only" in caplog.text


def test_a_patient_s_name_names_nothing(tmp_path):
    series(tmp_path, "a", 1)
    for pattern in ("Doe^Jane", "*Doe*", "MRN-4711"):
        with pytest.raises(UsageError, match="none of 1 volume matches"):
            named_series(discover([tmp_path]), pattern)


def test_by_command(tmp_path, capsys):
    """What was chosen or allowed is in status.json; series that fit equally are asked about in one line."""
    study, out = tmp_path / "study", tmp_path / "out"
    where = grid(columns=36, rows=52, slices=36, spacing=(1, 1), step=1)
    series(study, "ct", 1, modality="CT", where=where)
    series(study, "t1", 2, where=where.without(7))
    series(study, "again", 3, where=where.without(9))
    command = ["predict", str(study), "--model", "hippocampus", "--out", str(out), "--overlap", "0", "--mirror", "none"]
    run([*command, "--dry-run"])
    assert "2 volumes of this study fit the model equally well" in capsys.readouterr().out
    assert run([*command, "--series", "9"]) == 2
    assert run([*command, "--series", "2", "--allow-uneven", "--anyway"]) == 0
    (path,) = out.glob("*/status.json")
    status = json.loads(path.read_text())
    notes = " ".join([*status["warnings"], *status["notes"]])
    assert "chosen by --series" in notes
    assert "resampled to 36 slices" in notes
    assert "DICOM objects are on the slices of the source" in notes
    assert (path.parent / "labels.seg.dcm").exists()


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, ExplicitVRLittleEndian])
def test_of_series_that_fit_equally_one_that_cannot_be_read_is_none_to_choose_and_a_warning(syntax, tmp_path):
    series(tmp_path, "t1", 1)
    series(tmp_path / "twin", "again", 2)
    for file in (tmp_path / "twin").rglob("*"):
        header = pydicom.dcmread(file)
        header.file_meta.TransferSyntaxUID = syntax
        header.PixelData = encapsulate([b"no image" * 20]) if syntax.is_encapsulated else header.PixelData[:10]
        header["PixelData"].is_undefined_length = syntax.is_encapsulated
        header.save_as(file)
    got = choose_series(discover([tmp_path]), MR, [tmp_path])
    assert chosen(got) == [1]
    check(read_scan(got.found[0]))
    (warning,) = got.found[0].warnings
    assert "(number 2, MR, " in warning
    assert "fits the model equally well and cannot be read (its pixels cannot be decoded" in warning
    assert ["not the one that fits" in left.reason for left in got.skipped] == [True]
    series(tmp_path, "t2", 3)
    assert "2 volumes of this study fit the model equally well" in asked(
        choose_series(discover([tmp_path]), MR, [tmp_path])
    )
