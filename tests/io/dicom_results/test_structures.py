"""Structures of an RTSTRUCT that are not as they should be: skipped, taken once, or with a warning."""

import json
from copy import deepcopy

import nibabel as nib
import numpy as np
import pydicom
import pytest
from small_labels import MODEL, some_labels
from small_series import small_multiframe, small_series

from medseg.errors import FormatLimitation, GeometryMismatch, InputError
from medseg.evaluation.files.dicom_labels import read_pair
from medseg.io.convert import convert
from medseg.io.dicom.frame import frames_of
from medseg.io.dicom.header import read_header
from medseg.io.dicom_results.drawn_images import DrawnImages
from medseg.io.dicom_results.rtstruct import NEW_IMAGES, drawn_on, read_rtstruct, write_rtstruct
from medseg.io.dicom_results.seg import write_seg
from medseg.io.dicom_results.structures import read_structures
from medseg.io.nifti import write_labels
from medseg.types import Scan


def drawing(folder, change=None, **series):
    """A series and an RTSTRUCT of three structures on it, the last without contours; labels, source and path."""
    source, geometry = small_series(folder / "in", **series)
    labels = some_labels(geometry)
    path = folder / "rt" / "rt.dcm"
    path.parent.mkdir(parents=True)
    write_rtstruct(labels, source, path, model=MODEL)
    if change is not None:
        ds = pydicom.dcmread(path)
        change(ds)
        ds.save_as(path)
    return labels, source, path


def elsewhere(*numbers):
    """Say that some structures are drawn in another frame of reference."""

    def change(ds):
        for number in numbers:
            ds.StructureSetROISequence[number].ReferencedFrameOfReferenceUID = "2.25.99"

    return change


def converted(*inputs, out):
    """Exit code, and of each label map its voxels, names and warnings."""
    done = convert(inputs, out)
    maps = []
    for path in sorted(out.rglob("labels.nii.gz")):
        record = json.loads((path.parent / "conversion.json").read_text())
        maps.append((np.asanyarray(nib.load(path).dataobj), record["classes"], record["warnings"]))
    return done, maps


OTHER_FRAME = "'Größe α' is drawn in another frame of reference than the scan's and was skipped"


def test_a_structure_of_another_frame_is_left_out(tmp_path, caplog):
    labels, source, path = drawing(tmp_path, elsewhere(1))
    only = np.where(labels.array == 1, 1, 0)
    scan = Scan(np.zeros((1, *labels.geometry.shape)), labels.geometry, source=source)
    # With a scan, with a grid alone (the file itself refers to one frame), and with a grid whose frame is known.
    for read in (
        read_rtstruct(path, scan),
        read_rtstruct(path, labels.geometry),
        read_rtstruct(path, labels.geometry, frame=source.frame_of_reference_uid),
    ):
        assert np.array_equal(read.array, only)
        assert [entry.name for entry in read.table] == ["liver", "never found"]
    assert OTHER_FRAME in caplog.text
    done, maps = converted(tmp_path, out=tmp_path / "out")
    assert done.exit_code == 0
    ((array, classes, warnings),) = maps
    assert np.array_equal(array, only)
    assert classes == {"1": "liver", "3": "never found"}
    assert OTHER_FRAME in warnings


def test_all_of_another_frame_are_refused(tmp_path):
    labels, source, path = drawing(tmp_path, elsewhere(0, 1, 2))
    with pytest.raises(GeometryMismatch, match="another frame of reference"):
        read_rtstruct(path, labels.geometry)
    done, maps = converted(tmp_path, out=tmp_path / "out")
    assert (done.exit_code, maps) == (3, [])
    write_labels(labels, tmp_path / "labels.nii.gz")
    write_seg(labels, source, tmp_path / "labels.seg.dcm", model=MODEL)
    for other in ("labels.nii.gz", "labels.seg.dcm"):
        with pytest.raises(GeometryMismatch, match="another frame of reference"):
            read_pair(tmp_path / other, path)


def test_evaluated_on_a_seg_of_another_frame(tmp_path):
    """The SEG says in which frame its grid is, a NIfTI does not."""
    labels, source, path = drawing(tmp_path)
    write_seg(labels, source, tmp_path / "labels.seg.dcm", model=MODEL)
    ds = pydicom.dcmread(tmp_path / "labels.seg.dcm")
    ds.FrameOfReferenceUID = "2.25.98"
    ds.save_as(tmp_path / "labels.seg.dcm")
    with pytest.raises(GeometryMismatch, match="another frame of reference"):
        read_pair(tmp_path / "labels.seg.dcm", path)


def test_two_frames_without_a_scan_are_refused(tmp_path):
    def change(ds):
        elsewhere(1)(ds)
        more = deepcopy(ds.ReferencedFrameOfReferenceSequence[0])
        more.FrameOfReferenceUID = "2.25.99"
        ds.ReferencedFrameOfReferenceSequence.append(more)

    labels, _, path = drawing(tmp_path, change)
    with pytest.raises(GeometryMismatch, match="2 frames of reference"):
        read_rtstruct(path, labels.geometry)


@pytest.mark.parametrize("again", ["as it is", "backwards", "from another corner", "rounded"])
def test_a_contour_given_twice_does_not_vanish(tmp_path, again):
    def change(ds):
        for contour in list(ds.ROIContourSequence[0].ContourSequence):
            copy = deepcopy(contour)
            points = np.reshape([float(v) for v in contour.ContourData], (-1, 3))
            points = {
                "as it is": points,
                "backwards": points[::-1],
                "from another corner": np.roll(points, 1, 0),
                "rounded": points + np.array([0.02, -0.02, 0]),
            }[again]
            copy.ContourData = [f"{v:.4f}" for v in points.ravel()]
            ds.ROIContourSequence[0].ContourSequence.append(copy)

    labels, _, path = drawing(tmp_path, change)
    read = drawn_on(labels.geometry, None, read_structures(path), path)
    assert np.array_equal(read.labels.array, labels.array)
    assert "3 contours of 'liver' are given twice and were taken once" in read.warnings


def test_gaps_and_emptiness_are_warnings(tmp_path):
    def change(ds):
        contours = ds.ROIContourSequence[0].ContourSequence
        heights = sorted({float(c.ContourData[2]) for c in contours})
        ds.ROIContourSequence[0].ContourSequence = [c for c in contours if float(c.ContourData[2]) != heights[1]]
        for contour in ds.ROIContourSequence[1].ContourSequence:
            x, y, z = (float(v) for v in contour.ContourData[:3])
            contour.ContourData = [f"{v:.4f}" for v in (x, y, z, x + 0.01, y, z, x + 0.01, y + 0.01, z)]

    labels, _, path = drawing(tmp_path, change)
    warnings = drawn_on(labels.geometry, None, read_structures(path), path).warnings
    assert warnings == (
        "'liver' has no contour on 1 of the slices between its first and its last",
        "The contours of 'Größe α' enclose the center of no voxel: it is empty",
        "'never found' has no closed contours and is empty",
    )
    _, ((_, _, written),) = converted(tmp_path, out=tmp_path / "out")
    assert tuple(written) == warnings


def test_overlapping_structures_become_channels_of_one_file(tmp_path):
    def change(ds):
        ds.ROIContourSequence[1].ContourSequence = deepcopy(ds.ROIContourSequence[0].ContourSequence)

    labels, _, _ = drawing(tmp_path, change)
    done, maps = converted(tmp_path, out=tmp_path / "out")
    assert done.exit_code == 0
    ((array, classes, _),) = maps
    assert classes == {"1": "liver", "2": "Größe α", "3": "never found"}
    inside = labels.array == 1
    assert np.array_equal(array, np.stack([inside, inside, 0 * inside], axis=-1))


def two_series(folder, refers):
    """Two series in one frame of reference, on grids of their own, and structures drawn on the first of them."""
    labels, source, path = drawing(folder)
    other, _ = small_series(folder / "other", shape=(15, 12, 7), FrameOfReferenceUID=source.frame_of_reference_uid)

    def both(ds):
        study = ds.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
        more = deepcopy(study.RTReferencedSeriesSequence[0])
        more.SeriesInstanceUID = other.series_uid
        study.RTReferencedSeriesSequence = [more, study.RTReferencedSeriesSequence[0]]
        if not refers:
            for item in ds.ROIContourSequence:
                for contour in item.get("ContourSequence") or ():
                    del contour.ContourImageSequence

    ds = pydicom.dcmread(path)
    both(ds)
    ds.save_as(path)
    return labels


def test_two_series_of_one_frame_are_distinguished_by_the_images_contours_refer_to(tmp_path):
    labels = two_series(tmp_path, refers=True)
    _, maps = converted(tmp_path, out=tmp_path / "out")
    # A structure without contours may belong to either, and says nothing.
    ((array, _, _),) = [one for one in maps if one[0].any()]
    assert np.array_equal(array, labels.array)


def test_two_series_that_nothing_distinguishes_are_refused(tmp_path):
    two_series(tmp_path, refers=False)
    done, maps = converted(tmp_path, out=tmp_path / "out")
    assert (done.exit_code, maps) == (3, [])
    assert "may have been drawn on any of 2 volumes" in " ".join(str(one.error) for one in done.converted)


def test_without_its_series(tmp_path):
    _, _, path = drawing(tmp_path)
    done = convert(path, tmp_path / "out")
    assert "none of the volumes given is the one" in str(done.converted[0].error)


def test_a_contour_without_points_is_refused(tmp_path):
    def change(ds):
        ds.ROIContourSequence[0].ContourSequence[0].ContourData = None

    labels, _, path = drawing(tmp_path, change)
    with pytest.raises(InputError, match="no valid points"):
        read_rtstruct(path, labels.geometry)


def test_contours_of_one_structure_in_several_items_are_all_its(tmp_path):
    def change(ds):
        first = ds.ROIContourSequence[0]
        rest, nothing = deepcopy(first), deepcopy(first)
        rest.ContourSequence, first.ContourSequence = first.ContourSequence[1:], first.ContourSequence[:1]
        del nothing.ContourSequence
        ds.ROIContourSequence += [rest, nothing]

    labels, _, path = drawing(tmp_path, change)
    assert np.array_equal(read_rtstruct(path, labels.geometry).array, labels.array)


@pytest.mark.parametrize(
    ("sequence", "keyword", "words"),
    [
        ("StructureSetROISequence", "ROINumber", "2 structures have the number 1"),
        ("ROIContourSequence", "ReferencedROINumber", "contours of a structure 99, which it does not describe"),
    ],
)
def test_numbers_that_do_not_say_whose_contours_are_whose(tmp_path, sequence, keyword, words):
    labels, _, path = drawing(tmp_path, lambda ds: setattr(ds[sequence][1], keyword, 1 if words[0] == "2" else 99))
    with pytest.raises(InputError, match=words):
        read_rtstruct(path, labels.geometry)


@pytest.mark.parametrize("patient", ["OTHER", "", None])
def test_structures_of_another_patient_are_refused(tmp_path, patient):
    labels, source, path = drawing(tmp_path, lambda ds: setattr(ds, "PatientID", patient))
    scan = Scan(np.zeros((1, *labels.geometry.shape)), labels.geometry, source=source)
    done, maps = converted(tmp_path, out=tmp_path / "out")
    if patient:
        assert (done.exit_code, maps) == (3, [])
        assert "another patient than the scan" in " ".join(str(one.error) for one in done.converted)
        with pytest.raises(GeometryMismatch, match="another patient"):
            read_rtstruct(path, scan)
    else:
        assert np.array_equal(maps[0][0], labels.array)
        assert np.array_equal(read_rtstruct(path, scan).array, labels.array)


def test_images_that_contours_name_are_looked_at(tmp_path, caplog):
    def change(ds):
        one, two, *_ = ds.ROIContourSequence[0].ContourSequence
        one.ContourImageSequence[0].ReferencedSOPInstanceUID = "2.25.77"
        two.ContourImageSequence = deepcopy(ds.ROIContourSequence[0].ContourSequence[2].ContourImageSequence)

    labels, source, path = drawing(tmp_path, change)
    expected = [
        "1 contour of 'liver' was drawn on an image that is not among the scan's",
        "1 contour of 'liver' lies on another slice than the image it names; it was taken where it lies",
    ]
    _, ((array, _, warnings),) = converted(tmp_path, out=tmp_path / "out")
    assert np.array_equal(array, labels.array)
    assert warnings[:2] == expected
    read = read_rtstruct(path, Scan(np.zeros((1, *labels.geometry.shape)), labels.geometry, source=source))
    assert np.array_equal(read.array, labels.array)
    assert all(warning in caplog.text for warning in expected)


def test_contours_that_all_name_other_images_are_one_note_of_the_file(tmp_path, caplog):
    """As where series and structures were de-identified apart: a fact of the file, and no mistake of each structure."""

    def change(ds):
        for number, contour in enumerate(
            c for item in ds.ROIContourSequence for c in item.get("ContourSequence") or ()
        ):
            contour.ContourImageSequence[0].ReferencedSOPInstanceUID = f"2.25.{77 + number}"

    labels, source, path = drawing(tmp_path, change)
    _, ((array, _, warnings),) = converted(tmp_path, out=tmp_path / "out")
    assert np.array_equal(array, labels.array)
    assert warnings == ["'never found' has no closed contours and is empty"]
    (record,) = (json.loads(p.read_text()) for p in (tmp_path / "out").glob("rtstruct*/conversion.json"))
    assert record["notes"] == [NEW_IMAGES]
    with caplog.at_level("INFO"):
        read_rtstruct(path, Scan(np.zeros((1, *labels.geometry.shape)), labels.geometry, source=source))
    assert caplog.text.count(NEW_IMAGES) == 1


def test_frames_of_one_object_are_slices_of_it(tmp_path):
    source, geometry = small_multiframe(tmp_path / "mr.dcm")
    frames = frames_of(read_header(source.files[0]))
    assert list(DrawnImages.on(geometry, frames).slices_of.values()) == [frozenset(range(geometry.shape[2]))]


@pytest.mark.parametrize("vector", [[0, 0, 2.5], [0, 0, 0], None])
def test_contours_that_an_offset_moves_are_refused(tmp_path, vector):
    def change(ds):
        ds.ROIContourSequence[0].ContourSequence[0].ContourOffsetVector = vector

    labels, _, path = drawing(tmp_path, change)
    if vector and any(vector):
        with pytest.raises(FormatLimitation, match="Contour Offset Vector"):
            read_rtstruct(path, labels.geometry)
    else:
        assert np.array_equal(read_rtstruct(path, labels.geometry).array, labels.array)


def test_contours_that_overlap_or_cross_themselves_are_warnings(tmp_path):
    def change(ds):
        contours = ds.ROIContourSequence[0].ContourSequence
        moved, crossed = deepcopy(contours[0]), contours[1]
        points = np.reshape([float(v) for v in moved.ContourData], (-1, 3)) + np.array([1.6, 0, 0])
        moved.ContourData = [f"{v:.4f}" for v in points.ravel()]
        (x0, y0), (x1, y1) = np.reshape([float(v) for v in crossed.ContourData], (-1, 3))[:, :2][[0, 4]]
        z = float(crossed.ContourData[2])
        crossed.ContourData = [f"{v:.4f}" for v in (x0, y0, z, x1, y1, z, x1, y0, z, x0, y1, z)]
        contours.append(moved)

    labels, _, path = drawing(tmp_path, change)
    read = drawn_on(labels.geometry, None, read_structures(path, "liver"), path)
    warnings = read.warnings
    assert warnings[0] == "2 contours of 'liver' overlap each other in part and were taken as one area"
    assert warnings[1] == "1 contour of 'liver' crosses itself; check the voxels where it does"
    assert (read.labels.array[2:9, 3:6, 1] == 1).all()
