"""Headers of NIfTI files: what places the voxels, and what is refused before any voxel is read."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from damage import cut_short, flip, overwrite
from dicom_phantom import check
from small_nifti import OBLIQUE, STRAIGHT, header_of, ones, phantom, save

from medseg.errors import InputError, ResourceLimit
from medseg.io import nifti
from medseg.io.discover import discover
from medseg.io.read import load_scan, read_labels


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
