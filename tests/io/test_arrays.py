import io
import zipfile

import numpy as np
import pytest
from array_files import write_arrays

from medseg.errors import InputError, ResourceLimit
from medseg.io.arrays import array_geometry, list_arrays, read_array

VOLUME = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".hdf5"])
def test_arrays_are_listed_and_read(tmp_path, suffix):
    path = write_arrays(tmp_path / f"a{suffix}", image=VOLUME, label=VOLUME > 5, spacing=np.array([1.0, 2.0, 3.0]))
    assert {key: info.shape for key, info in list_arrays(path).items()} == {
        "image": (2, 3, 4), "label": (2, 3, 4), "spacing": (3,)
    }  # fmt: skip
    assert np.array_equal(read_array(path, "image"), VOLUME)
    assert array_geometry(path, (2, 3, 4))[0].spacing == (1, 2, 3)
    with pytest.raises(InputError, match=r"there is no array 'mask'.*'image' 2 x 3 x 4"):
        read_array(path, "mask")


def test_groups_of_an_hdf5_file_are_looked_into(tmp_path):
    path = write_arrays(tmp_path / "a.h5", **{"case/image": VOLUME})
    assert list(list_arrays(path)) == ["case/image"]


def test_no_pickle_is_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", image=np.array([print], dtype=object))
    for path, key in ((tmp_path / "a.npy", ""), (tmp_path / "a.npz", "image")):
        with pytest.raises(InputError, match="does not hold numbers"):
            read_array(path, key)


def test_a_header_that_promises_too_much_costs_no_memory(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (100_000, 100_000, 1000)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("image.npy", header.getvalue())
    with pytest.raises(ResourceLimit, match="100000 x 100000 x 1000"):
        read_array(tmp_path / "a.npz", "image")


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.h5"])
def test_damaged_files_are_errors_of_the_file(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(InputError, match="cannot be read as arrays"):
        list_arrays(tmp_path / name)
