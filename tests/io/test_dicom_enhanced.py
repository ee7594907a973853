"""Enhanced multi-frame objects: frames go where they say, not where they come in the file."""

import numpy as np
import pydicom
import pytest
from dicom_phantom import ORIENTATIONS, check, grid, write_enhanced
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLSLossless
from shared_data import DATA

from medseg.errors import InputError
from medseg.io.discover import discover
from medseg.io.read import load_scan, read_scan

ENHANCED = DATA / "dicom" / "enhanced_mr"
needs_data = pytest.mark.needs_data("data/dicom/enhanced_mr")


@pytest.mark.parametrize("modality", ["CT", "MR"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_any_orientation(tmp_path, modality, orientation):
    write_enhanced(tmp_path / "x.dcm", grid(orientation), modality=modality)
    scan = load_scan(tmp_path / "x.dcm")
    check(scan)
    assert scan.modality == modality
    assert scan.source.files == (tmp_path / "x.dcm",)


def test_times_interleaved_in_the_file(tmp_path):
    write_enhanced(tmp_path / "x.dcm", grid(), frames=[(k, t) for k in range(9) for t in (1, 2, 3)])
    found = discover([tmp_path]).found
    assert [one.description for one in found] == [f"MR, 9 slices (TemporalPositionIndex {t})" for t in (1, 2, 3)]
    assert len({one.case_id for one in found}) == 3
    for number, one in enumerate(found):
        scan = read_scan(one)
        check(scan.with_array(scan.array - 100 * number, scan.geometry))
        assert f"TemporalPositionIndex {number + 1}" in scan.source.notes[0]


def test_orientation_of_each_frame(tmp_path):
    """What is the same for all frames may stand in each of them."""

    def move(ds: Dataset) -> None:
        shared = ds.SharedFunctionalGroupsSequence[0]
        for groups in ds.PerFrameFunctionalGroupsSequence:
            groups.PlaneOrientationSequence = shared.PlaneOrientationSequence
            groups.PixelMeasuresSequence = shared.PixelMeasuresSequence
        ds.SharedFunctionalGroupsSequence = Sequence([Dataset()])

    write_enhanced(tmp_path / "x.dcm", grid("oblique"), edit=move)
    check(load_scan(tmp_path))


def test_stacks_in_several_orientations(tmp_path):
    """A localizer-like object of two stacks, both read."""
    one, two = grid("axial"), grid("coronal", columns=14, rows=11)

    def turn(ds: Dataset) -> None:
        from dicom_phantom import _stored, encode, sequence  # type: ignore[attr-defined]

        pixels = [ds.PixelData]
        for k, position in enumerate(two.positions):
            groups = Dataset()
            groups.PlanePositionSequence = sequence(ImagePositionPatient=[round(float(v), 4) for v in position])
            groups.PlaneOrientationSequence = sequence(ImageOrientationPatient=[*two.row, *two.column])
            groups.FrameContentSequence = sequence(StackID="2", InStackPositionNumber=k + 1)
            ds.PerFrameFunctionalGroupsSequence.append(groups)
            pixels.append(_stored(encode(two.world(k)), 1, 0, False, 16).tobytes())
        ds.NumberOfFrames = 18
        ds.PixelData = b"".join(pixels)

    write_enhanced(tmp_path / "x.dcm", one, edit=turn)
    found = discover([tmp_path]).found
    assert len(found) == 2
    for scan in found:
        check(read_scan(scan))


@pytest.mark.parametrize(
    ("message", "written"),
    [
        ("share a place", {"frames": [*((k, 1) for k in range(9)), (4, 1)]}),
        ("states 8 frames and describes 9", {"edit": lambda ds: setattr(ds, "NumberOfFrames", 8)}),
        ("states 10 frames and describes 9", {"edit": lambda ds: setattr(ds, "NumberOfFrames", 10)}),
        ("states 1000000 frames and describes 9", {"edit": lambda ds: setattr(ds, "NumberOfFrames", 1_000_000)}),
        ("no position for its 9 frames", {"edit": lambda ds: delattr(ds, "PerFrameFunctionalGroupsSequence")}),
        ("cannot be decoded", {"edit": lambda ds: setattr(ds, "PixelData", ds.PixelData[:-308])}),
    ],
)
def test_contradictory_frames_are_refused(tmp_path, message, written):
    write_enhanced(tmp_path / "x.dcm", grid(), **written)
    with pytest.raises(InputError, match=message):
        load_scan(tmp_path)


def test_compressed(tmp_path):
    path = write_enhanced(tmp_path / "x.dcm", grid(), frames=[(k, 1) for k in range(8, -1, -1)])
    ds = pydicom.dcmread(path)
    ds.compress(JPEGLSLossless, generate_instance_uid=False)
    ds.save_as(path)
    check(load_scan(tmp_path))


@needs_data
def test_real_siemens():
    found = discover([ENHANCED / "Siemens"]).found
    assert len(found) == 4
    for one in found:
        scan = read_scan(one)
        assert scan.geometry.shape == (64, 64, 6)
        np.testing.assert_allclose(scan.geometry.spacing, (3.375, 3.375, 2.4), atol=1e-3)


@needs_data
def test_real_philips_keeps_magnitude_and_phase_apart():
    path = next((ENHANCED / "Philips").rglob("*.dcm"))
    found = discover([path]).found
    assert len(found) == 2
    theirs = pydicom.dcmread(path)
    for one in found:
        scan = read_scan(one)
        assert scan.geometry.shape == (64, 64, 32)
        for frame, groups in zip(theirs.pixel_array, theirs.PerFrameFunctionalGroupsSequence, strict=True):
            position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
            x, y, z = np.rint(scan.geometry.to_voxel(position * [-1, -1, 1])).astype(int)
            assert (x, y) == (0, 0)
            rescale = groups.PixelValueTransformationSequence[0]
            real = frame * float(rescale.RescaleSlope) + float(rescale.RescaleIntercept)
            if groups.MRImageFrameTypeSequence[0].ComplexImageComponent in one.description:
                np.testing.assert_allclose(scan.array[0, :, :, z], real.T, rtol=1e-5, atol=1e-3)


NEEDED = (
    *("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"),
    *("MREchoSequence", "MRImageFrameTypeSequence"),
)


def _alike(folder, without=(), *, grouped=True) -> None:
    """Write a Philips object without what the standard knows to tell its frames apart, in any order."""
    (path,) = (ENHANCED / "Philips").iterdir()
    ds = pydicom.dcmread(path)
    echo = ds.PerFrameFunctionalGroupsSequence[0].MREchoSequence[0].EffectiveEchoTime
    for groups in ds.PerFrameFunctionalGroupsSequence:
        kind = groups.MRImageFrameTypeSequence[0]
        kind.ComplexImageComponent, kind.FrameType = "MAGNITUDE", ["ORIGINAL", "PRIMARY", "T1", "M"]
        groups.MREchoSequence[0].EffectiveEchoTime = echo
        if not grouped:
            for element in [one for one in groups if one.keyword not in NEEDED]:
                del groups[element.tag]
    order = np.random.default_rng(1).permutation(int(ds.NumberOfFrames))
    ds.PixelData = ds.pixel_array[order].tobytes()
    ds.PerFrameFunctionalGroupsSequence = Sequence([ds.PerFrameFunctionalGroupsSequence[int(n)] for n in order])
    for keyword in without:
        delattr(ds, keyword)
    ds.save_as(folder / "x.dcm")


@needs_data
def test_private_dimensions_tell_volumes_apart(tmp_path):
    """Frames in any order, told apart by the maker's own dimensions alone: the volumes of the original come out."""
    truth = {one.description: read_scan(one) for one in discover([ENHANCED / "Philips"]).found}
    assert len(truth) == 2
    _alike(tmp_path)
    scans = [read_scan(one) for one in discover([tmp_path]).found]
    assert all("private dimension (2005," in scan.source.notes[0] for scan in scans)
    assert len(scans) == 2
    for original in truth.values():
        (same,) = [scan for scan in scans if np.array_equal(scan.array, original.array)]
        assert same.geometry.matches(original.geometry)


@needs_data
def test_frames_that_nothing_tells_apart_are_refused(tmp_path):
    """dcm2niix mixes magnitude and field map here without a word."""
    _alike(tmp_path, without=["DimensionIndexSequence"], grouped=False)
    with pytest.raises(InputError, match="share a place"):
        load_scan(tmp_path)
