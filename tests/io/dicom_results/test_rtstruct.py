"""RTSTRUCT: contours to labels and back, on every orientation, against a public set of contours with their masks."""

import logging

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from shared_data import DATA
from small_labels import MODEL, TABLE, some_labels, written
from small_series import AXIAL, CORONAL, OBLIQUE, SAGITTAL, small_multiframe, small_series

from medseg.errors import FormatLimitation, GeometryMismatch, InputError
from medseg.io.dicom_results.rtstruct import read_rtstruct, write_rtstruct
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable, Scan, Source

SARCOMA = DATA / "sarcoma"


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize("lean", [(0, 0, 0), (0.3, 0.9, 0)], ids=["upright", "tilted"])
def test_labels_come_back_voxel_for_voxel(tmp_path, orientation, lean):
    source, geometry = small_series(tmp_path / "in", orientation=orientation, lean=lean)
    labels, path = some_labels(geometry), tmp_path / "labels.dcm"
    measured = write_rtstruct(labels, source, path, model=MODEL)
    back = read_rtstruct(path, labels.geometry)
    assert np.array_equal(back.array, labels.array)
    assert [(c.value, c.name, c.color) for c in back.table] == [(c.value, c.name, c.color) for c in TABLE]
    assert back.table.classes[0].code == TABLE.classes[0].code
    assert measured == {"dice": {"liver": 1.0, "Größe α": 1.0, "never found": 1.0}}


def test_multi_frame_source(tmp_path):
    source, geometry = small_multiframe(tmp_path / "mr.dcm")
    labels = some_labels(geometry)
    write_rtstruct(labels, source, tmp_path / "labels.dcm", model=MODEL)
    assert np.array_equal(read_rtstruct(tmp_path / "labels.dcm", geometry).array, labels.array)
    contour = pydicom.dcmread(tmp_path / "labels.dcm").ROIContourSequence[0].ContourSequence[0]
    assert contour.ContourImageSequence[0].ReferencedFrameNumber == 5  # slice 1 of frames stored last first


def test_the_same_input_gives_the_same_file(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    for name in "ab":
        write_rtstruct(some_labels(geometry), source, tmp_path / f"{name}.dcm", model=MODEL)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()


def ragged(geometry: Geometry) -> LabelMap:
    """Labels whose outline on a slice has some ten thousand corners."""
    array = np.zeros(geometry.shape, np.uint8)
    array[2:-2, 2:-2] = np.random.default_rng(0).random((*np.subtract(geometry.shape[:2], 4), geometry.shape[2])) < 0.7
    return LabelMap(array, geometry, LabelTable((LabelClass(1, "lesion"),)))


def test_contours_of_more_than_64_kb(tmp_path):
    path, labels, _ = written(write_rtstruct, tmp_path, ragged, shape=(120, 120, 1))
    dataset = pydicom.dcmread(path)
    (roi,) = dataset.ROIContourSequence
    longest = max(roi.ContourSequence, key=lambda contour: len(contour.ContourData))
    assert len("\\".join(map(str, longest.ContourData))) > 65536
    assert longest["ContourData"].VR == "DS"
    assert np.array_equal(read_rtstruct(path, labels.geometry).array, labels.array)
    # Other writers call such an element one of unknown kind.
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with pytest.warns(UserWarning, match="to 'UN'"):
        pydicom.dcmwrite(tmp_path / "unknown.dcm", dataset, implicit_vr=False, little_endian=True)
    assert np.array_equal(read_rtstruct(tmp_path / "unknown.dcm", labels.geometry).array, labels.array)


def test_every_contour_names_the_image_it_lies_on(tmp_path):
    path, _, source = written(write_rtstruct, tmp_path)
    heights = {h.SOPInstanceUID: float(h.ImagePositionPatient[2]) for h in map(pydicom.dcmread, source.files)}
    contours = [c for roi in pydicom.dcmread(path).ROIContourSequence for c in roi.get("ContourSequence", [])]
    assert contours
    for contour in contours:
        assert set(contour.ContourData[2::3]) == {heights[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]}


def test_structures_are_chosen_by_name(tmp_path):
    path, labels, _ = written(write_rtstruct, tmp_path)
    back = read_rtstruct(path, labels.geometry, "gr.*")
    assert [c.name for c in back.table] == ["Größe α"]
    assert np.array_equal(back.array == 1, labels.array == 2)
    with pytest.raises(InputError, match="'liver', 'Größe α'"):
        read_rtstruct(path, labels.geometry, "spleen")
    with pytest.raises(InputError, match="regular expression"):
        read_rtstruct(path, labels.geometry, "(")


def test_overlapping_structures_are_refused(tmp_path):
    path, labels, _ = written(write_rtstruct, tmp_path)
    dataset = pydicom.dcmread(path)
    dataset.ROIContourSequence[1].ContourSequence = dataset.ROIContourSequence[0].ContourSequence
    dataset.save_as(tmp_path / "twice.dcm")
    with pytest.raises(FormatLimitation, match="overlap"):
        read_rtstruct(tmp_path / "twice.dcm", labels.geometry)


def test_contours_drawn_elsewhere_are_refused(tmp_path, caplog):
    path, labels, source = written(write_rtstruct, tmp_path)
    geometry = labels.geometry

    def read_elsewhere(shift):
        affine = geometry.affine.copy()
        affine[:3, 3] += shift
        return read_rtstruct(path, Geometry(affine, geometry.shape))

    with pytest.raises(GeometryMismatch, match="outside"):
        read_elsewhere(1000)
    with pytest.raises(FormatLimitation, match="slice"):
        read_elsewhere(geometry.affine[:3, 2] / 2)
    other = Source("dicom", source.files, frame_of_reference_uid="1.2.3")
    with pytest.raises(GeometryMismatch, match="frame of reference"):
        read_rtstruct(path, Scan(np.zeros((1, *geometry.shape)), geometry, source=other))
    with caplog.at_level(logging.WARNING, "medseg"):
        read_elsewhere(geometry.affine[:3, 2] * 2)
    assert "outside the scan" in caplog.text


def test_points_and_lines_enclose_nothing(tmp_path, caplog):
    path, labels, _ = written(write_rtstruct, tmp_path)
    dataset = pydicom.dcmread(path)
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        contour.ContourGeometricType = "OPEN_PLANAR"
    dataset.save_as(tmp_path / "open.dcm")
    with caplog.at_level(logging.WARNING, "medseg"):
        assert not (read_rtstruct(tmp_path / "open.dcm", labels.geometry).array == 1).any()
    assert "enclose nothing" in caplog.text


def test_damaged_files_are_errors_of_the_file(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    (tmp_path / "text.dcm").write_text("not DICOM")
    for path in (tmp_path / "text.dcm", source.files[0]):
        with pytest.raises(InputError):
            read_rtstruct(path, geometry)


def test_a_color_of_two_numbers_is_an_error_of_the_file(tmp_path):
    path, labels, _ = written(write_rtstruct, tmp_path)
    dataset = pydicom.dcmread(path)
    dataset.ROIContourSequence[0].ROIDisplayColor = [255, 0]
    dataset.save_as(path)
    with pytest.raises(InputError, match="a required part is missing or wrong"):
        read_rtstruct(path, labels.geometry)


def test_labels_that_are_all_background(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    nothing = LabelMap(np.zeros(geometry.shape, np.uint8), geometry, LabelTable((LabelClass(7, "lesion"),)))
    write_rtstruct(nothing, source, tmp_path / "labels.dcm", model=MODEL)
    assert not read_rtstruct(tmp_path / "labels.dcm", geometry).array.any()


@pytest.mark.needs_data("data/sarcoma")
@pytest.mark.parametrize("modality", ["CT", "MR_T1", "PET"])
def test_public_contours_give_their_public_masks(modality):
    """IBSI's second validation set: twelve patients, each contour with the mask IBSI made of it."""
    cases = sorted((SARCOMA / "dicom").iterdir())
    assert len(cases) == 12
    for case in cases:
        image = nib.load(SARCOMA / "nifti" / case.name / f"{modality}_mask.nii.gz")
        back = read_rtstruct(case / modality / "mask" / "RS.dcm", Geometry(image.affine, image.shape))
        assert np.array_equal(back.array, np.asarray(image.dataobj) > 0), case.name
