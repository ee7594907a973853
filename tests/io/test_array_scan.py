"""Files of plain arrays given as scans: found, looked at and read as they are in training."""

import io
import zipfile

import nibabel as nib
import numpy as np
import pytest
from array_files import write_arrays

from medseg.data.dataset import ArrayKeys
from medseg.data.reference_files import read_array_scan
from medseg.errors import InputError
from medseg.io.arrays import NO_SPACING
from medseg.io.discover import discover
from medseg.io.read import load_scan

VOLUME = np.random.default_rng(0).normal(size=(9, 8, 7)).astype(np.float32)
AFFINE = np.array([[-1.0, 0, 0, 5], [0, 2, 0, -7], [0, 0, 3, 1], [0, 0, 0, 1]])


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".hdf5"])
def test_a_case_of_a_dataset_is_predicted_as_it_was_trained_on(tmp_path, suffix):
    path = write_arrays(tmp_path / f"p1{suffix}", image=VOLUME, label=VOLUME > 0, affine=AFFINE)
    (found,) = discover([tmp_path]).found
    assert (found.case_id, found.format, found.n_channels) == ("p1", "arrays", 1)
    assert found.description == "array 'image', 9x8x7, 1 channel"
    scan, trained = load_scan(path), read_array_scan(path, ArrayKeys("image", "label"))
    assert np.array_equal(scan.array, trained.array)
    assert np.array_equal(scan.geometry.affine, AFFINE)
    assert scan.source.files == (path,)


def test_channels_are_known_by_their_number_or_by_the_label(tmp_path):
    both = np.stack([VOLUME, -VOLUME])
    for name, array in (("first", both), ("last", np.moveaxis(both, 0, -1))):
        path = write_arrays(tmp_path / f"{name}.npz", data=array, spacing=np.array([1.0, 2.0, 3.0]))
        assert discover([path]).found[0].n_channels == 2
        scan = load_scan(path)
        assert np.array_equal(scan.array, both)
        assert scan.geometry.spacing == (1, 2, 3)
    flat = write_arrays(tmp_path / "flat.npz", image=VOLUME[..., :3], gt=VOLUME[..., 0] > 0)
    assert load_scan(flat).array.shape == (3, 9, 8, 1)


def test_what_says_nothing_of_its_spacing_is_noted(tmp_path):
    assert NO_SPACING in load_scan(write_arrays(tmp_path / "p1.npy", image=VOLUME)).source.notes


def test_arrays_beside_scans_are_scans_only_where_they_are_named(tmp_path):
    nib.save(nib.Nifti1Image(VOLUME, np.eye(4)), tmp_path / "p1.nii.gz")
    path = write_arrays(tmp_path / "p1.npz", probabilities=VOLUME)
    found = discover([tmp_path])
    assert [scan.format for scan in found.found] == ["nifti"]
    assert [left.reason for left in found.skipped] == ["it is a file of arrays among scans"]
    assert [scan.format for scan in discover([path]).found] == ["arrays"]


def test_what_is_unclear_or_promises_too_much_is_refused_in_words(tmp_path):
    with pytest.raises(InputError, match=r"which of its arrays is the scan is unclear: it has 'a' 9 x 8 x 7, 'b'"):
        load_scan(write_arrays(tmp_path / "two.npz", a=VOLUME, b=VOLUME))
    np.savez(tmp_path / "objects.npz", image=np.array([[print]], dtype=object))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 15, 1 << 15, 1 << 10)}
    )
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("image.npy", header.getvalue())
    (tmp_path / "cut.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:400])
    found = discover([tmp_path])
    why = {left.path.name: left.reason for left in found.skipped}
    assert not found.found
    assert all(left.corrupt for left in found.skipped)
    assert "does not hold numbers" in why["objects.npz"]
    assert "its header promises" in why["bomb.npz"]
    assert "cannot be read as arrays" in why["cut.npz"]


def test_arrays_of_another_name_are_not_taken_for_a_scan(tmp_path):
    write_arrays(tmp_path / "p1.h5", layer=VOLUME).rename(tmp_path / "p1.weights")
    write_arrays(tmp_path / "p1.npy", image=VOLUME).rename(tmp_path / "p1.state")
    assert not discover([tmp_path]).found
