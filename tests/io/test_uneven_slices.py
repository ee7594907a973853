"""Labels of a scan resampled from uneven slices come back to the slices of the files."""

import numpy as np
import pydicom
import pytest
from dicom_phantom import check, encode, grid, mixed_spacing, write_series
from small_labels import MODEL, TABLE

from medseg.errors import FormatLimitation
from medseg.io.dicom_results.key_images import write_key_images
from medseg.io.dicom_results.rtstruct import write_rtstruct
from medseg.io.dicom_results.seg import write_seg
from medseg.io.read import load_scan
from medseg.types import LabelMap

THRESHOLD = 2500.0


def _uneven(kind: str):
    if kind == "mixed":
        return mixed_spacing(orientation="oblique", tilt=10)
    return grid("oblique", tilt=10, slices=12, step=4, reverse=kind == "reversed").without(2, 3, 7)


@pytest.mark.parametrize("kind", ["missing", "reversed", "mixed"])
def test_each_source_slice_gets_its_own_plane(tmp_path, kind):
    where = _uneven(kind)
    paths = write_series(tmp_path / "series", where)
    scan = load_scan(tmp_path / "series", allow_uneven=True)
    check(scan)
    assert scan.source.slice_places is not None
    assert len(scan.source.slice_places) == len(paths)
    labels = LabelMap((scan.array[0] > THRESHOLD).astype(np.uint8), scan.geometry, TABLE)
    write_seg(labels, scan.source, tmp_path / "labels.seg.dcm", model=MODEL)
    seg = pydicom.dcmread(tmp_path / "labels.seg.dcm")
    pixels = seg.pixel_array
    sources = {str(pydicom.dcmread(path).SOPInstanceUID): k for k, path in enumerate(paths)}
    told = {}
    for frame, groups in zip(pixels, seg.PerFrameFunctionalGroupsSequence, strict=True):
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        k = sources[str(image.ReferencedSOPInstanceUID)]
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose([float(v) for v in position], where.positions[k], atol=2e-3)
        told[k] = frame
    step = float(np.linalg.norm(scan.geometry.affine[:3, 2]))
    for k in range(len(paths)):
        truth = encode(where.world(k)) > THRESHOLD
        got = told.get(k, np.zeros_like(truth))
        # Even slices that replace missing ones coincide with those there are; others may be half a step off.
        off = np.abs(encode(where.world(k)) - THRESHOLD) < (0.51 if kind != "mixed" else 0.51 + 0.5 * step * 10.4)
        assert (got.astype(bool) == truth)[~off].all()
    # The spacing between slices is no single number.
    assert "SpacingBetweenSlices" not in seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]


def test_key_images_show_a_slice_there_is(tmp_path):
    write_series(tmp_path / "series", _uneven("missing"))
    scan = load_scan(tmp_path / "series", allow_uneven=True)
    array = np.zeros(scan.geometry.shape, np.uint8)
    array[4:9, 3:8, -1] = 1
    (path,) = write_key_images(
        LabelMap(array, scan.geometry, TABLE), scan.source, tmp_path / "labels.key.dcm", model=MODEL
    )
    shown = pydicom.dcmread(path).SourceImageSequence[0].ReferencedSOPInstanceUID
    assert shown == pydicom.dcmread(scan.source.files[-1]).SOPInstanceUID


def test_contours_are_refused(tmp_path):
    write_series(tmp_path / "series", _uneven("missing"))
    scan = load_scan(tmp_path / "series", allow_uneven=True)
    labels = LabelMap(np.ones(scan.geometry.shape, np.uint8), scan.geometry, TABLE)
    with pytest.raises(FormatLimitation, match="unevenly spaced"):
        write_rtstruct(labels, scan.source, tmp_path / "labels.rtstruct.dcm", model=MODEL)
