"""DICOM SEG that does not state how far its slices are apart: volumes are right, or it is refused."""

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
from medseg.io.dicom_results.seg import read_seg, write_seg
from medseg.io.nifti import write_labels
from medseg.types import LabelMap, LabelTable

TRUE_ML = 4 * 4 * 0.8 * 0.6 * 5 / 1000


def without_spacing(folder, slices, thickness=5.0, *, in_frames=False):
    """A SEG of 4 x 4 voxels on some slices of a series 5 mm apart; the labels, and where series and SEG lie."""
    source, geometry = small_series(folder / "in", shape=(13, 11, 9), spacing=(0.8, 0.6, 5.0))
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
