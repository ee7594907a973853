"""NIfTI in and out: the same voxels at the same place, and nothing taken on trust."""

import gzip
import itertools

import nibabel as nib
import numpy as np
import pytest
from damage import cut_short, flip, overwrite
from dicom_phantom import check, truth
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medseg.errors import GeometryMismatch, InputError, MedsegError, ResourceLimit
from medseg.io import nifti
from medseg.io.discover import discover
from medseg.io.read import load_scan, read_labels
from medseg.types import Geometry, LabelMap, LabelTable

ORIENTATIONS = [
    "".join(codes[i] for i in order)
    for order in itertools.permutations(range(3))
    for codes in itertools.product("RL", "AP", "SI")
]
STRAIGHT = np.diag([2.0, 1.5, 2.5, 1])
OBLIQUE = np.array([[1.9, -0.3, 0.2, -40], [0.4, 1.4, -0.5, -30], [-0.1, 0.6, 2.4, -25], [0, 0, 0, 1.0]])


def phantom(shape=(9, 11, 7), affine=OBLIQUE, dtype=np.int16):
    return np.rint(truth(Geometry(affine, shape))).astype(dtype)


def save(path, array, affine=OBLIQUE):
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def header_of(shape, dtype="f4", order="<"):
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(dtype))
    header.set_data_shape(shape)
    header.set_sform(OBLIQUE, 1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    return header.binaryblock + bytes(4)


def ones(geometry):
    return LabelMap(np.ones(geometry.shape, np.uint8), geometry, LabelTable.unnamed([1]))


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


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


# --- where it lies


def test_qform_alone(tmp_path):
    image = nib.Nifti1Image(phantom(affine=STRAIGHT), STRAIGHT)
    image.set_sform(None, 0)
    image.set_qform(STRAIGHT, 1)
    nib.save(image, tmp_path / "a.nii")
    check(load_scan(tmp_path / "a.nii"))


def test_sform_wins_and_a_disagreement_is_noted(tmp_path):
    image = nib.Nifti1Image(phantom(), OBLIQUE)
    image.set_qform(np.diag([-2.0, 1.5, 2.5, 1]), 1)
    image.set_sform(OBLIQUE, 1)
    nib.save(image, tmp_path / "a.nii")
    scan = load_scan(tmp_path / "a.nii")
    check(scan)
    assert "sform and qform put corners" in scan.source.warnings[0]
    assert "call the axes RAS and LAS" in scan.source.warnings[0]


@pytest.mark.parametrize(("voxels", "noted"), [(0.05, False), (0.2, True), (3.0, True)])
def test_a_shift_of_more_than_a_tenth_of_a_voxel_is_noted(tmp_path, voxels, noted):
    """Of the finest spacing, 1.5 mm."""
    image = nib.Nifti1Image(phantom(affine=STRAIGHT), STRAIGHT)
    moved = STRAIGHT.copy()
    moved[0, 3] = 1.5 * voxels
    image.set_qform(moved, 1)
    image.set_sform(STRAIGHT, 1)
    nib.save(image, tmp_path / "a.nii")
    source = load_scan(tmp_path / "a.nii").source
    assert any(f"corners {1.5 * voxels:.3g} mm apart" in warning for warning in source.warnings) == noted


def test_no_orientation_is_refused(tmp_path):
    image = nib.Nifti1Image(phantom(), None)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(InputError, match="gives no orientation of the patient"):
        load_scan(tmp_path / "a.nii")


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000), ("micron", 0.001), ("unknown", 1)])
def test_units_of_length(tmp_path, unit, factor):
    image = nib.Nifti1Image(phantom(), np.diag([1 / factor] * 3 + [1]) @ OBLIQUE)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    scan = load_scan(tmp_path / "a.nii")
    check(scan)
    nifti.write_labels(ones(scan.geometry), tmp_path / "l.nii", scan.source)
    check(scan.with_array(scan.array, read_labels(tmp_path / "l.nii").geometry))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([np.nan], "affine is not a finite"),
        ([np.inf], "affine is not a finite"),
        (OBLIQUE[1], "cannot be inverted"),  # x runs where y does
    ],
)
def test_affine_that_is_not_finite_or_cannot_be_inverted(tmp_path, row, message):
    path = save(tmp_path / "a.nii", phantom())
    overwrite(path, 280, np.array(row, "<f4").tobytes())
    with pytest.raises(InputError, match=message):
        load_scan(path)


# --- damage


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 0.999])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated_is_an_error_never_zeros(tmp_path, share, suffix):
    path = save(tmp_path / f"a{suffix}", phantom((30, 30, 30)))
    cut_short(path, share)
    with pytest.raises(InputError) as error:
        load_scan(path)
    assert error.value.where == str(path)
    assert error.value.fix


def test_checksum_is_checked(tmp_path):
    path = save(tmp_path / "a.nii.gz", phantom())
    flip(path, -6)  # in the CRC
    with pytest.raises(InputError, match="damaged"):
        load_scan(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_more_data_than_promised_is_refused(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", phantom())
    raw = path.read_bytes() if suffix == ".nii" else gzip.decompress(path.read_bytes())
    raw = bytearray(raw)
    raw[46:48] = (6).to_bytes(2, "little")  # one slice fewer
    path.write_bytes(raw if suffix == ".nii" else gzip.compress(raw))
    with pytest.raises(InputError, match="more than the"):
        load_scan(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_header_that_promises_terabytes(tmp_path, suffix):
    raw = header_of((4000, 4000, 4000), "f8") + bytes(1000)
    (tmp_path / f"lie{suffix}").write_bytes(raw if suffix == ".nii" else gzip.compress(raw))
    with pytest.raises(ResourceLimit, match="4000 x 4000 x 4000 voxels"):
        nifti.read_scan(tmp_path / f"lie{suffix}")
    left = discover([tmp_path]).skipped[0]
    assert "4000 x 4000 x 4000 voxels, 476.8 GiB" in left.reason
    assert left.corrupt


def test_header_that_promises_more_than_deflate_can_hold(tmp_path):
    (tmp_path / "lie.nii.gz").write_bytes(gzip.compress(header_of((500, 500, 500)) + bytes(1000)))
    with pytest.raises(InputError, match="compressed bytes cannot hold"):
        load_scan(tmp_path / "lie.nii.gz")


def test_bomb_is_not_inflated(tmp_path):
    """A small grid with a gigabyte of zeros behind it: refused after its own bytes."""
    import tracemalloc

    path = save(tmp_path / "a.nii", phantom())
    with gzip.open(tmp_path / "bomb.nii.gz", "wb", compresslevel=1) as stream:
        stream.write(path.read_bytes())
        for _ in range(64):
            stream.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(InputError, match="more than the"):
        load_scan(tmp_path / "bomb.nii.gz")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


@pytest.mark.parametrize("offset", [-1.0, 12.0, np.nan, np.inf, 1e30])
def test_absurd_offsets(tmp_path, offset):
    path = save(tmp_path / "a.nii", phantom())
    overwrite(path, 108, np.array([offset], "<f4").tobytes())
    with pytest.raises(InputError):
        load_scan(path)


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


# --- labels


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
