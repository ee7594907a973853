"""DICOM SEG that does not state how far its slices are apart, or wrongly: volumes are right, or there is a warning."""

import json

import nibabel as nib
import numpy as np
import pydicom
import pytest
from small_labels import MODEL
from small_series import small_series

from medseg.errors import FormatLimitation
from medseg.evaluation.files.dicom_labels import read_pair
from medseg.io.convert import convert
from medseg.io.dicom_results.read_seg import read_seg
from medseg.io.dicom_results.seg import write_seg
from medseg.io.nifti import write_labels
from medseg.types import LabelMap, LabelTable

TRUE_ML = 4 * 4 * 0.8 * 0.6 * 5 / 1000


def without_spacing(folder, slices, thickness=5.0, *, in_frames=False, stated=None, step=5.0):
    """A SEG of 4 x 4 voxels on some slices of a series 5 mm apart; the labels, and where series and SEG lie."""
    source, geometry = small_series(folder / "in", shape=(13, 11, 9), spacing=(0.8, 0.6, step))
    array = np.zeros(geometry.shape, np.uint8)
    array[2:6, 3:7, slices] = 1
    labels = LabelMap(array, geometry, LabelTable.unnamed([1]))
    path = folder / "seg" / "labels.dcm"
    path.parent.mkdir()
    write_seg(labels, source, path, model=MODEL)
    ds = pydicom.dcmread(path)
    shared = ds.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    del measures.SpacingBetweenSlices
    if stated is not None:
        measures.SpacingBetweenSlices = stated
    if thickness is None:
        del measures.SliceThickness
    else:
        measures.SliceThickness = thickness
    if in_frames:
        for groups in ds.PerFrameFunctionalGroupsSequence:
            groups.PixelMeasuresSequence = shared.PixelMeasuresSequence
        del shared.PixelMeasuresSequence
    ds.save_as(path)
    return labels, path


def volume_ml(labels):
    return np.count_nonzero(labels.array) * labels.geometry.voxel_volume / 1000


@pytest.mark.parametrize("in_frames", [False, True])
@pytest.mark.parametrize("slices", [[4], [2, 4], [0, 2, 5], [1, 2, 3], [0, 3, 8]])
def test_thickness_says_it(tmp_path, slices, in_frames):
    _, path = without_spacing(tmp_path, slices, in_frames=in_frames)
    assert volume_ml(read_seg(path)) == pytest.approx(TRUE_ML * len(slices))


@pytest.mark.parametrize("thickness", [None, 3.0, 7.0])
@pytest.mark.parametrize("slices", [[1, 2, 3], [0, 2, 5], [0, 3, 5, 8]])
def test_the_step_all_have_in_common(tmp_path, slices, thickness):
    """Where there is no thickness, or one that is not the distance of slices."""
    _, path = without_spacing(tmp_path, slices, thickness)
    assert volume_ml(read_seg(path)) == pytest.approx(TRUE_ML * len(slices))


@pytest.mark.parametrize("thickness", [None, 2.5, 10.0])
@pytest.mark.parametrize("slices", [[4], [2, 4]])
def test_the_series_says_it(tmp_path, slices, thickness):
    without_spacing(tmp_path, slices, thickness)
    convert([tmp_path / "in", tmp_path / "seg"], tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("labels.nii.gz")
    image = nib.load(path)
    found = np.count_nonzero(np.asanyarray(image.dataobj)) * np.prod(image.header.get_zooms()) / 1000
    assert found == pytest.approx(TRUE_ML * len(slices))
    assert json.loads((path.parent / "conversion.json").read_text())["spacing_mm"][2] == pytest.approx(5)


def test_one_slice_of_unknown_thickness_is_refused(tmp_path):
    _, path = without_spacing(tmp_path, [4], None)
    with pytest.raises(FormatLimitation, match="neither how thick it is") as refused:
        read_seg(path)
    assert "Give the series" in str(refused.value)


@pytest.mark.parametrize("slices", [[4], [2, 4]])
def test_evaluated_on_the_grid_of_the_other(tmp_path, slices):
    labels, path = without_spacing(tmp_path, slices, None)
    write_labels(labels, tmp_path / "labels.nii.gz")
    for one, other in (read_pair(path, tmp_path / "labels.nii.gz"), read_pair(tmp_path / "labels.nii.gz", path)):
        assert np.array_equal(one.array, other.array)
        assert np.array_equal(one.array, labels.array)


def warned(path, *more):
    """Volume that `convert` makes of a SEG, and its warnings."""
    out = path.parent.parent / "out"
    convert([*more, path.parent], out)
    (labels,) = out.rglob("labels.nii.gz")
    image = nib.load(labels)
    found = np.count_nonzero(np.asanyarray(image.dataobj)) * np.prod(image.header.get_zooms()) / 1000
    return found / TRUE_ML, json.loads((labels.parent / "conversion.json").read_text())["warnings"]


@pytest.mark.parametrize("slices", [[4], [3, 4, 5], [2, 6]])
def test_the_series_contradicts_what_is_stated(tmp_path, slices):
    without_spacing(tmp_path, slices, stated=1.0)
    volume, warnings = warned(tmp_path / "seg" / "labels.dcm", tmp_path / "in")
    assert volume == pytest.approx(len(slices))
    assert warnings == [
        "It says that its slices are 1 mm apart; those of its series are 5 mm apart, as was taken",
    ]


def test_a_series_that_is_not_its_grid_says_nothing(tmp_path):
    """A SEG on a finer grid of its own refers to the series all the same."""
    _, path = without_spacing(tmp_path, [4], stated=1.0)
    ds = pydicom.dcmread(path)
    ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [0.5, 0.5]
    ds.save_as(path)
    volume, warnings = warned(path, tmp_path / "in")
    assert volume == pytest.approx(0.5 * 0.5 / (0.8 * 0.6) / 5)
    assert warnings == []


@pytest.mark.parametrize(
    ("slices", "stated", "thickness", "steps", "words"),
    [
        ([3, 4, 5], 1.0, 5.0, 1 / 5, "All its frames are 5 mm apart; it says that slices are 1 mm apart"),
        ([3, 4, 5], 7.0, None, 1, "It says that its slices are 7 mm apart; those of its frames are 5 mm apart"),
        ([3, 4, 5], None, 1.0, 1, "5 mm, the step its frames have in common"),
        ([2, 4, 6], None, 1.0, 2, "10 mm, the step its frames have in common"),
        ([2, 4, 6], None, None, 2, "10 mm, the step its frames have in common"),
        ([2, 4, 6], None, 5.0, 1, "5 mm, their thickness"),
        ([3, 4, 5], None, 5.0, 1, None),
        ([3, 4, 6], None, 5.0, 1, None),
        ([2, 4, 6], 5.0, 1.0, 1, "All its frames are 10 mm apart"),
        ([2, 4, 7], 5.0, 1.0, 1, None),
    ],
)
def test_what_contradicts_or_is_a_guess_is_a_warning(tmp_path, slices, stated, thickness, steps, words):
    _, path = without_spacing(tmp_path, slices, thickness, stated=stated)
    volume, warnings = warned(path)
    assert volume == pytest.approx(len(slices) * steps)
    assert [words in warning for warning in warnings] == ([] if words is None else [True])


@pytest.mark.parametrize("slices", [[2, 3, 4, 5, 6], [2, 3], [2, 3, 4, 6]])
def test_positions_rounded_to_a_tenth_do_not_change_the_step(tmp_path, slices, caplog):
    _, path = without_spacing(tmp_path, slices, 0.625, step=0.625)
    ds = pydicom.dcmread(path)
    for frame in ds.PerFrameFunctionalGroupsSequence:
        plane = frame.PlanePositionSequence[0]
        plane.ImagePositionPatient = [f"{float(v):.1f}" for v in plane.ImagePositionPatient]
    ds.save_as(path)
    read = read_seg(path)
    assert read.geometry.spacing[2] == pytest.approx(0.625)
    assert np.array_equal(np.flatnonzero(read.array.any(axis=(0, 1))) + slices[0], slices)
    assert "rounded to 0.1 mm" in caplog.text
