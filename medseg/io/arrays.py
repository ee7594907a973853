"""Images and labels kept as plain arrays: NumPy's `.npy` and `.npz`, and HDF5. They say nothing of where voxels lie.

No pickled object is ever loaded: an array of objects is an error.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError, MedsegError, MissingDependency, first_line
from medseg.io.files.limits import check_size
from medseg.types.geometry import Geometry

SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")
# What an array file calls the distance of its voxels.
SPACING_KEYS = ("spacing", "voxel_spacing", "voxelspacing", "pixdim", "voxel_size", "resolution")
AFFINE_KEYS = ("affine",)
MOST_ARRAYS = 1000  # more are no case
NO_SPACING = "The file does not say how far its voxels are apart; 1 mm was taken."


@dataclass(frozen=True)
class ArrayInfo:
    """An array in a file, before it is read."""

    key: str
    shape: tuple[int, ...]
    kind: str  # NumPy's letter for the kind of number


def is_array_file(path: Path) -> bool:
    """Whether a file's name says that it holds arrays."""
    return path.name.lower().endswith(SUFFIXES)


def list_arrays(path: Path) -> dict[str, ArrayInfo]:
    """Arrays of a file by key, by their headers; the one of a `.npy` file has the key ``""``."""
    with _failing_in_words(path):
        if path.suffix.lower() == ".npy":
            with path.open("rb") as stream:
                return {"": _npy_header(stream, "")}
        if path.suffix.lower() == ".npz":
            found = {}
            with zipfile.ZipFile(path) as archive:
                if len(archive.namelist()) > MOST_ARRAYS:
                    raise InputError(
                        f"it holds {len(archive.namelist())} arrays", where=path, fix="Save each case as a file."
                    )
                for name in archive.namelist():
                    if name.endswith(".npy"):
                        with archive.open(name) as member:
                            found[name.removesuffix(".npy")] = _npy_header(member, name.removesuffix(".npy"))
            return found
        with _hdf5(path) as file:
            return {info.key: info for info in _datasets(file)}
    raise AssertionError


def read_array(path: Path, key: str) -> npt.NDArray[Any]:
    """Read one array, after its header was checked against memory.

    Raises `InputError` where the file has no such array or is damaged.
    """
    arrays = list_arrays(path)
    if key not in arrays:
        known = ", ".join(f"'{name}' {' x '.join(map(str, info.shape))}" for name, info in arrays.items()) or "none"
        raise InputError(f"there is no array '{key}'", where=path, fix=f"It has {known}.")
    info = arrays[key]
    if info.kind not in "iufb":
        raise InputError(f"its array '{key}' does not hold numbers", where=path, fix="Save it as plain numbers.")
    check_size(info.shape, 8, where=path)
    with _failing_in_words(path):
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return np.asarray(archive[key])
        with _hdf5(path) as file:
            return np.asarray(file[key][()])
    raise AssertionError


def array_geometry(path: Path, shape: tuple[int, int, int]) -> tuple[Geometry, tuple[str, ...]]:
    """Grid of the voxels of a file, from its affine or spacing where it has one, and notes."""
    arrays: Mapping[str, ArrayInfo] = list_arrays(path) if path.suffix.lower() != ".npy" else {}
    named = {key.lower().rsplit("/", 1)[-1]: info for key, info in arrays.items()}
    for name in AFFINE_KEYS:
        if name in named and named[name].shape == (4, 4):
            return Geometry(read_array(path, named[name].key).astype(np.float64), shape), ()
    for name in SPACING_KEYS:
        if name in named and named[name].shape == (3,):
            return Geometry(np.diag([*read_array(path, named[name].key).astype(np.float64), 1.0]), shape), ()
    return Geometry(np.eye(4), shape), (NO_SPACING,)


def _npy_header(stream: IO[bytes], key: str) -> ArrayInfo:
    version = np.lib.format.read_magic(stream)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = reader(stream)
    return ArrayInfo(key, tuple(int(n) for n in shape), dtype.kind)


@contextmanager
def _hdf5(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise MissingDependency("HDF5 is read by h5py", where=path, fix="pip install 'medseg[hdf5]'") from error
    with h5py.File(path, "r") as file:
        yield file


def _datasets(group: Any, prefix: str = "") -> Iterator[ArrayInfo]:
    for name in group:
        member = group.get(name, getlink=False)
        key = f"{prefix}{name}"
        if hasattr(member, "dtype"):
            kind = member.dtype.kind
            if math.prod(member.shape):
                yield ArrayInfo(key, tuple(int(n) for n in member.shape), kind)
        elif hasattr(member, "keys") and prefix.count("/") < 4:  # links may lead in circles
            yield from _datasets(member, f"{key}/")


@contextmanager
def _failing_in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except MedsegError:
        raise
    except Exception as error:  # NumPy, zipfile and h5py raise nearly anything on damaged files
        raise InputError(
            f"it cannot be read as arrays ({first_line(error)[:120]})", where=path, fix="Save it again."
        ) from error
