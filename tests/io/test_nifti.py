"""NIfTI in and out: the same voxels at the same place, and nothing taken on trust."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from damage import overwrite
from dicom_phantom import check
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_nifti import OBLIQUE, header_of, ones, phantom, save

from medseg.errors import GeometryMismatch, InputError, MedsegError
from medseg.io import nifti
from medseg.io.read import load_scan, read_labels
from medseg.types import Geometry, LabelMap, LabelTable

ORIENTATIONS = [
    "".join(codes[i] for i in order)
    for order in itertools.permutations(range(3))
    for codes in itertools.product("RL", "AP", "SI")
]


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_all_48_orientations(tmp_path, code):
    image = nib.Nifti1Image(phantom(), OBLIQUE)
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(nib.aff2axcodes(OBLIQUE)), nib.orientations.axcodes2ornt(code)
    )
    nib.save(image.as_reoriented(turn), tmp_path / "scan.nii")
    scan = load_scan(tmp_path / "scan.nii")
    assert scan.geometry.orientation == code
    assert scan.array.dtype == np.int16
    check(scan)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
)
def test_any_grid_there_and_back(tmp_path, angles, spacing, shape, flips):
    from scipy.spatial.transform import Rotation

    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * np.multiply(spacing, flips)
    affine[:3, 3] = 1, -2, 3
    array = np.arange(np.prod(shape)).reshape(shape).astype(np.uint16)
    labels = LabelMap(array, Geometry(affine, shape), LabelTable.unnamed(array))
    nifti.write_labels(labels, tmp_path / "labels.nii.gz")
    again = read_labels(tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(again.array, array)
    assert again.geometry.difference(labels.geometry) < 1e-4
    np.testing.assert_allclose(nib.load(tmp_path / "labels.nii.gz").affine, affine, atol=1e-5)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", "<>")
def test_types_and_byte_orders(tmp_path, dtype, order):
    array = (phantom() % 100).astype(dtype)
    content = header_of(array.shape, dtype, order) + array.astype(order + dtype).tobytes(order="F")
    (tmp_path / "scan.nii").write_bytes(content)
    scan = load_scan(tmp_path / "scan.nii")
    np.testing.assert_array_equal(scan.array[0], array)
    assert scan.array.dtype == (np.dtype(dtype) if dtype[0] != "f" else np.float32)
    assert scan.array.dtype.isnative


@pytest.mark.parametrize(
    ("array", "slope", "intercept", "expected"),
    [
        (phantom(), 0.25, -3, phantom() * np.float32(0.25) - 3),
        (np.full((2, 2, 2), 2**30 + 1, np.int32), 1, -(2**30), np.ones((2, 2, 2))),
    ],
)
def test_slope_and_intercept_give_float32_of_exact_results(tmp_path, array, slope, intercept, expected):
    path = save(tmp_path / "a.nii", array)
    # nibabel drops the scaling of an image made in memory, so it is written into the file.
    overwrite(path, 112, np.array([slope, intercept], "<f4").tobytes())
    scan = load_scan(path)
    assert scan.array.dtype == np.float32
    np.testing.assert_array_equal(scan.array[0], expected)


@pytest.mark.parametrize(
    ("array", "channels"),
    [
        (phantom()[..., None], 1),
        (np.stack([phantom(), phantom() + 1, phantom() + 2], axis=3), 3),
        (np.stack([phantom(), phantom() + 1], axis=3)[:, :, :, None], 2),
    ],
)
def test_fourth_axis_is_channels_or_the_fifth_where_the_fourth_is_one(tmp_path, array, channels):
    scan = load_scan(save(tmp_path / "a.nii.gz", array))
    assert scan.channels == channels
    check(scan)
    np.testing.assert_array_equal(scan.array[-1] - scan.array[0], channels - 1)


def test_two_dimensions(tmp_path):
    save(tmp_path / "a.nii.gz", phantom()[:, :, 0])
    scan = load_scan(tmp_path / "a.nii.gz")
    assert scan.geometry.shape == (9, 11, 1)
    check(scan)
    nifti.write_labels(ones(scan.geometry), tmp_path / "l.nii.gz", scan.source)
    assert nib.load(tmp_path / "l.nii.gz").shape == nib.load(tmp_path / "a.nii.gz").shape
    assert read_labels(tmp_path / "l.nii.gz").geometry.matches(scan.geometry)


def test_header_and_image_pair(tmp_path):
    nib.save(nib.Nifti1Pair(phantom(), OBLIQUE), tmp_path / "scan.hdr")
    scan = load_scan(tmp_path)
    check(scan)
    assert [p.name for p in scan.source.files] == ["scan.hdr", "scan.img"]
    (tmp_path / "scan.img").unlink()
    with pytest.raises(InputError, match=r"\.img file that holds its voxels is missing"):
        load_scan(tmp_path)


def test_nifti2(tmp_path):
    affine = OBLIQUE + np.pi * 1e-9 * np.array([[1, 1, 1, 1]] * 3 + [[0] * 4])
    nib.save(nib.Nifti2Image(phantom(), affine), tmp_path / "a.nii.gz")
    scan = load_scan(tmp_path / "a.nii.gz")
    check(scan)
    nifti.write_labels(ones(scan.geometry), tmp_path / "l.nii.gz", scan.source)
    assert (nib.load(tmp_path / "l.nii.gz").affine == nib.load(tmp_path / "a.nii.gz").affine).all()


def test_name_without_extension(tmp_path):
    save(tmp_path / "a.nii.gz", phantom())
    (tmp_path / "a.nii.gz").rename(tmp_path / "IM0001")
    check(load_scan(tmp_path / "IM0001"))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        *(
            (np.where(np.arange(8).reshape(2, 2, 2) == 3, value, 1).astype(np.float32), "1 voxels are NaN or infinite")
            for value in (np.nan, np.inf, -np.inf)
        ),
        (np.full((2, 2, 2), 1e200), "infinite"),  # in float32
        (np.zeros((3, 3, 3), np.complex64), "magnitude"),
        (np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "fourth dimension"),
        (np.zeros((3, 3, 3, 2, 2), np.uint8), "more than four dimensions"),
    ],
)
def test_values_that_are_no_finite_numbers_of_a_volume_are_refused(tmp_path, array, message):
    with pytest.raises(MedsegError, match=message):
        load_scan(save(tmp_path / "a.nii", array))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_labels_lie_exactly_where_the_source_does(tmp_path, suffix):
    source = save(tmp_path / f"scan{suffix}", phantom().astype(np.float32))
    scan = load_scan(source)
    labels = LabelMap((scan.array[0] > 2500).astype(np.uint8), scan.geometry, LabelTable.unnamed([1]))
    nifti.write_labels(labels, tmp_path / "labels.nii.gz", scan.source)
    written, original = nib.load(tmp_path / "labels.nii.gz"), nib.load(source)
    assert (written.affine == original.affine).all()
    assert (written.get_sform() == original.get_sform()).all()
    assert written.header["sform_code"] == original.header["sform_code"]
    assert written.header["qform_code"] == original.header["qform_code"]
    assert written.header.get_xyzt_units()[0] == "mm"
    assert written.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asanyarray(written.dataobj), labels.array)
    first = (tmp_path / "labels.nii.gz").read_bytes()
    nifti.write_labels(labels, tmp_path / "other-name.nii.gz", scan.source)
    assert (tmp_path / "other-name.nii.gz").read_bytes() == first
    assert first[3:8] == bytes(5)  # no name, no time


def test_labels_beyond_255_are_uint16(tmp_path):
    labels = LabelMap(np.full((2, 2, 2), 300, np.uint16), Geometry(np.eye(4), (2, 2, 2)), LabelTable.unnamed([300]))
    nifti.write_labels(labels, tmp_path / "l.nii.gz")
    assert nib.load(tmp_path / "l.nii.gz").get_data_dtype() == np.uint16
    assert read_labels(tmp_path / "l.nii.gz").table.largest == 300


def test_labels_on_another_grid_than_their_source_are_refused(tmp_path):
    scan = load_scan(save(tmp_path / "scan.nii", phantom()))
    shifted = scan.geometry.affine.copy()
    shifted[0, 3] += 1
    with pytest.raises(GeometryMismatch):
        nifti.write_labels(ones(Geometry(shifted, (9, 11, 7))), tmp_path / "l.nii.gz", scan.source)
    assert not list(tmp_path.glob("*l.nii.gz"))


def test_sheared_grid_has_no_qform(tmp_path):
    affine = np.array([[1, 0, 0.4, 0], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]])
    nifti.write_labels(ones(Geometry(affine, (4, 4, 4))), tmp_path / "l.nii.gz")
    written = nib.load(tmp_path / "l.nii.gz")
    assert written.header["qform_code"] == 0
    np.testing.assert_allclose(written.affine, affine, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((2, 2, 2), 0.5, np.float32), "fractions"),
        (np.full((2, 2, 2), -1, np.int16), "between 0 and 65535"),
        (np.full((2, 2, 2), 70000, np.int32), "between 0 and 65535"),
        (np.full((2, 2, 2), np.nan, np.float32), "between 0 and 65535"),
        (np.zeros((2, 2, 2, 3), np.uint8), "one value for each voxel"),
    ],
)
def test_what_labels_cannot_be(tmp_path, array, message):
    save(tmp_path / "a.nii", array)
    with pytest.raises(InputError, match=message):
        read_labels(tmp_path / "a.nii")


def test_float_labels_of_whole_numbers(tmp_path):
    save(tmp_path / "a.nii", np.full((2, 2, 2), 3, np.float64))
    labels = read_labels(tmp_path / "a.nii")
    assert labels.array.dtype == np.uint8
    assert [c.name for c in labels.table] == ["class-3"]


def test_scan_there_and_back(tmp_path):
    save(tmp_path / "a.nii.gz", np.stack([phantom(), phantom() + 1], axis=3))
    scan = load_scan(tmp_path / "a.nii.gz")
    nifti.write_scan(scan, tmp_path / "b.nii.gz")
    again = load_scan(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(again.array, scan.array)
    assert again.array.dtype == scan.array.dtype
    assert (again.geometry.affine == scan.geometry.affine).all()
