"""A folder of DICOM as exported: series and the structures drawn on them find each other by their UIDs."""

import logging
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from shared_data import DATA
from small_files import mask_dice
from small_labels import MODEL
from small_series import small_series

from medseg.data.audit import audit
from medseg.data.description import DatasetDescription
from medseg.data.layouts import read_dataset
from medseg.data.overlapping_reference import read_combinations
from medseg.data.reading import read_case, read_channels, read_reference
from medseg.errors import ConfigError, GeometryMismatch, InputError
from medseg.io.dicom_results.rtstruct import write_rtstruct
from medseg.io.dicom_results.seg import write_seg
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable, Source

SARCOMA = DATA / "sarcoma"
NAMED = {"labels": {"tumor": {"value": 1, "structure": "GTV.*"}}}
BOTH = {**NAMED, "channels": {"CT": "CT", "PET": "PT"}, "resample_channels": True}


def ball(geometry: Geometry) -> LabelMap:
    array = np.zeros(geometry.shape, np.uint8)
    array[4:8, 3:7, 2:4] = 1
    array[9:11, 8:10, 3] = 2
    table = LabelTable((LabelClass(1, "GTV_1"), LabelClass(2, "spinal cord")))
    return LabelMap(array, geometry, table)


def patient(
    folder: Path, number: int, *, write=write_rtstruct, frames: tuple[str, str] | None = None, values=(1, 2)
) -> None:
    """Write CT and PET of one patient, flat in one folder, and structures drawn on the CT."""
    one, other = frames or (generate_uid(),) * 2
    told = {"PatientID": f"P{number}", "PatientName": f"Doe^{number}"}
    ct, geometry = small_series(folder / f"ct{number}", Modality="CT", FrameOfReferenceUID=one, **told)
    told |= {"Modality": "PT", "FrameOfReferenceUID": other}
    small_series(folder / f"pt{number}", shape=(7, 6, 6), spacing=(1.6, 1.2, 2.5), **told)
    ct = Source("dicom", ct.files, ct.study_uid, ct.series_uid, one)
    drawn = ball(geometry)
    table = LabelTable(tuple(c for c in drawn.table if c.value in values))
    drawn = LabelMap(np.where(np.isin(drawn.array, values), drawn.array, 0), geometry, table)
    write(drawn, ct, folder / f"drawn{number}.dcm", model=MODEL)
    for part in (f"ct{number}", f"pt{number}"):
        for file in (folder / part).iterdir():
            file.rename(folder / f"{part}_{file.name}")
        (folder / part).rmdir()


@pytest.fixture
def two(tmp_path) -> Path:
    for number in (1, 2):
        patient(tmp_path, number)
    return tmp_path


def test_channels_of_one_frame_and_the_structures_on_the_first(two):
    data = read_dataset(two, DatasetDescription.model_validate(BOTH))
    assert data.layout == "dicom"
    assert [channel.modality for channel in data.channels] == ["CT", "PT"]
    assert len({case.group for case in data.cases}) == 2
    for case in data.labeled:
        scan, reference = read_case(data, case)
        assert scan.array.shape == (2, 13, 11, 6)
        assert np.array_equal(reference.array, ball(scan.geometry).array == 1)
        # Every slice has its own value, and the planes of both series are the same.
        assert np.allclose(scan.array[1, 4, 4], scan.array[0, 4, 4])
    assert not any(finding.blocks or finding.kind == "unreferenced-file" for finding in audit(data).findings)


def test_no_name_of_a_patient_is_a_case_or_a_group(two):
    for case in read_dataset(two, DatasetDescription.model_validate(NAMED | {"channels": {"CT": "CT"}})).cases:
        assert case.case_id.startswith("ct-")
        assert not {"P1", "P2", "Doe"} & {case.case_id, str(case.group)}
        assert len(str(case.group)) == 16


def test_what_nobody_said_is_taken_from_the_structures(two):
    """Structures were drawn on CT alone, so that is the channel, and each of their names is a class."""
    data = read_dataset(two)
    assert [channel.name for channel in data.channels] == ["CT"]
    assert [c.name for c in data.table] == ["GTV_1", "spinal cord"]
    scan, reference = read_case(data, data.labeled[0])
    assert np.array_equal(reference.array, ball(scan.geometry).array)


def test_segments_lie_where_their_slices_are(tmp_path):
    """A DICOM SEG leaves out empty slices; its grid is a part of the scan's."""
    patient(tmp_path, 1, write=write_seg)
    data = read_dataset(tmp_path, DatasetDescription.model_validate(BOTH))
    scan, reference = read_case(data, data.labeled[0])
    assert np.array_equal(reference.array, ball(scan.geometry).array == 1)


@pytest.mark.parametrize("write", [write_rtstruct, write_seg])
def test_a_structure_that_one_patient_does_not_have_counts_as_not_annotated(tmp_path, write):
    patient(tmp_path, 1, write=write)
    patient(tmp_path, 2, write=write, values=(2,))
    data = read_dataset(tmp_path)
    assert sorted(str(case.annotated) for case in data.labeled) == ["('spinal cord',)", "None"]
    assert "1 of 2 cases have no mask or structure for 'GTV_1'" in data.ambiguous[0]
    for case in data.labeled:
        scan, reference = read_case(data, case)
        expected = ball(scan.geometry).array
        assert np.array_equal(reference.array, expected if case.annotated is None else np.where(expected == 2, 2, 0))
    assert not audit(data).blocked


@pytest.mark.parametrize("write", [write_rtstruct, write_seg])
@pytest.mark.parametrize("overlapping", [False, True])
def test_references_of_another_patient_than_their_series_are_refused(tmp_path, write, overlapping):
    patient(tmp_path, 1, write=write)
    drawn = tmp_path / "drawn1.dcm"
    dataset = pydicom.dcmread(drawn)
    dataset.PatientID = "OTHER"
    dataset.save_as(drawn)
    data = read_dataset(tmp_path, DatasetDescription.model_validate(BOTH))
    (case,) = data.labeled
    scan = read_channels(data, case)
    with pytest.raises(GeometryMismatch, match="another patient than the scan"):
        (read_combinations if overlapping else read_reference)(data, case, scan)


def test_series_of_another_frame_of_reference_are_no_channels(tmp_path, caplog):
    patient(tmp_path, 1)
    patient(tmp_path, 2, frames=(generate_uid(), generate_uid()))
    with caplog.at_level(logging.WARNING, "medseg"):
        data = read_dataset(tmp_path, DatasetDescription.model_validate(BOTH))
    assert len(data.cases) == 1
    assert "0 series of PET share its frame of reference" in caplog.text


def test_a_table_that_pairs_them_is_refused_too(tmp_path):
    """Nothing is resampled from one frame of reference to another, however the channels were named."""
    patient(tmp_path, 1, frames=(generate_uid(), generate_uid()))
    for part in ("ct", "pt"):
        (tmp_path / part).mkdir()
        for file in tmp_path.glob(f"{part}1_*"):
            file.rename(tmp_path / part / file.name)
    (tmp_path / "d.yaml").write_text(
        "channels: {CT: CT, PT: PT}\nresample_channels: true\nlabels: {tumor: {value: 1, structure: GTV.*}}\n"
        "cases: [{case: a, CT: ct, PT: pt, label: drawn1.dcm}]\n"
    )
    data = read_dataset(tmp_path / "d.yaml")
    with pytest.raises(GeometryMismatch, match="frames of reference"):
        read_case(data, data.cases[0])


def test_two_objects_on_one_series_are_not_chosen_between(two, caplog):
    (two / "again.dcm").write_bytes((two / "drawn1.dcm").read_bytes())
    with caplog.at_level(logging.WARNING, "medseg"):
        data = read_dataset(two, DatasetDescription.model_validate(BOTH))
    assert len(data.labeled) == 1
    assert "2 segmentation objects belong to it, so none is used" in caplog.text


def test_a_pattern_that_fits_nothing_names_what_there_is(two):
    said = DatasetDescription.model_validate({"labels": {"liver": {"value": 1}}, "channels": {"CT": None}})
    with pytest.raises(InputError, match="'GTV_1', 'spinal cord'"):
        read_dataset(two, said)


def test_only_what_files_do_not_say_can_be_said(tmp_path):
    (tmp_path / "d.yaml").write_text("cases: []\n")
    with pytest.raises(ConfigError, match="has its own description"):
        read_dataset(tmp_path / "d.yaml", DatasetDescription())


@pytest.mark.needs_data("data/sarcoma")
@pytest.mark.parametrize(("modality", "folder"), [("CT", "CT"), ("MR", "MR_T1"), ("PT", "PET")])
def test_public_contours_in_training_are_the_public_masks(modality, folder):
    """All 36 series of IBSI's second validation set, read as training does, against the masks beside them."""
    said = {**NAMED, "channels": {"scan": modality}}
    data = read_dataset(SARCOMA / "dicom", DatasetDescription.model_validate(said))
    assert len(data.labeled) == 12
    for case in data.labeled:
        _, reference = read_case(data, case)
        name = case.reference.relative_to(SARCOMA / "dicom").parts[0]
        assert mask_dice(SARCOMA / "nifti" / name / f"{folder}_mask.nii.gz", reference) > 0.999, name
