"""Scans and labels on their way to the browser and back: every voxel at its place, in every order of axes."""

from __future__ import annotations

import gzip
import itertools
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from small_nifti import OBLIQUE, STRAIGHT

from medseg.errors import GeometryMismatch, InputError
from medseg.review.server.byte_range import NotThere, asked_range
from medseg.review.server.transport import pack, pack_image, unpack
from medseg.types import Geometry
from medseg.types.axis_order import nearest_ras

SHAPE = (5, 4, 3)
ORDERS = [
    np.array([[sign if axis == row else 0 for axis, sign in zip(order, signs, strict=True)] for row in range(3)])
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize("world", [STRAIGHT, OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize(
    "turn", ORDERS, ids=lambda turn: nib.aff2axcodes(np.block([[turn, np.zeros((3, 1))], [0, 0, 0, 1]]))
)
def test_both_ways_are_exact_in_all_orientations(turn, world) -> None:
    affine = world.copy()
    affine[:3, :3] = world[:3, :3] @ turn
    geometry = Geometry(affine, SHAPE)
    labels = np.random.default_rng(1).choice([0, 1, 300, 65535], SHAPE).astype(np.uint16)
    sent = nib.Nifti1Image.from_bytes(bytes(pack(labels, geometry)))
    assert nib.aff2axcodes(sent.affine) == tuple("RAS")
    # The same value is at the same place in the world, as nibabel, which knows nothing of medseg, reads the file.
    for voxel in np.ndindex(*sent.shape):
        here = np.linalg.inv(affine) @ sent.affine @ [*voxel, 1]
        assert labels[tuple(np.rint(here[:3]).astype(int))] == np.asanyarray(sent.dataobj)[voxel]
    back = unpack(bytes(pack(labels, geometry)), geometry)
    assert np.array_equal(back.labels, labels)
    assert back.ids is None


@pytest.mark.parametrize(
    ("dtype", "largest", "sent"),
    [
        (np.uint8, 255, np.int16),
        (np.int16, -1024, np.int16),
        (np.uint16, 40000, np.float32),
        (np.int32, 70000, np.float32),
        (np.float32, 0.5, np.float32),
    ],
)
def test_values_of_a_scan_are_the_scans_own(dtype, largest, sent) -> None:
    array = np.zeros((1, *SHAPE), dtype)
    array[0, 2, 1, 1] = largest
    image = nib.Nifti1Image.from_bytes(bytes(pack_image(array, Geometry(STRAIGHT, SHAPE))))
    assert image.get_data_dtype() == sent
    assert image.dataobj[2, 1, 1] == largest
    assert (image.dataobj.slope, image.dataobj.inter) == (1, 0)


def test_a_color_image_is_shown_as_the_mean_of_its_colors() -> None:
    array = np.stack([np.full(SHAPE, value, np.uint8) for value in (10, 20, 60)])
    image = nib.Nifti1Image.from_bytes(bytes(pack_image(array, Geometry(np.eye(4), SHAPE))))
    assert (np.asanyarray(image.dataobj) == 30).all()


GRID = Geometry(OBLIQUE, SHAPE)
GRID_ORDER = nearest_ras(GRID)


def image(array=None, affine=None) -> bytes:
    like = nib.Nifti1Image.from_bytes(bytes(pack(np.zeros(SHAPE, np.uint16), GRID)))
    array = np.zeros(like.shape, np.uint16) if array is None else array
    return nib.Nifti1Image(array, like.affine if affine is None else affine).to_bytes()


def test_ids_of_objects_come_as_a_second_volume() -> None:
    volumes = np.zeros((*SHAPE, 2), np.int32)
    volumes[1, 2, 0] = 300, 100_000
    drawn = unpack(image(volumes), GRID)
    assert (drawn.labels == 300).sum() == (drawn.ids == 100_000).sum() == 1
    assert drawn.labels.max() == 300


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whole_numbers_in_a_file_of_floats_are_labels(dtype) -> None:
    array = np.zeros(SHAPE, dtype).transpose(GRID_ORDER.permutation)
    array[1, 1, 1], array[0, 0, 1] = 65535, 300
    drawn = unpack(image(array), GRID)
    assert drawn.labels.dtype == np.uint16
    assert np.array_equal(GRID_ORDER.apply(drawn.labels), array)


def moved() -> np.ndarray:
    affine = OBLIQUE.copy()
    affine[0, 3] += 1
    return affine


def swapped() -> bytes:
    file = bytearray(image())
    file[70:72] = (32).to_bytes(2, "little")  # as if it were complex
    return bytes(file)


def flat() -> bytes:
    file = bytearray(image())
    file[280:328] = bytes(48)  # all three rows of the affine
    return bytes(file)


WRONG = {
    "another shape": (image(np.zeros((5, 4, 4), np.uint8)), GeometryMismatch, "is not the case's"),
    "another place": (image(affine=moved()), GeometryMismatch, "do not match"),
    "no affine": (flat(), GeometryMismatch, "affine"),
    "fractions": (image(np.full(SHAPE, 0.5, np.float32)), InputError, "whole numbers"),
    "negative": (image(np.full(SHAPE, -1, np.int16)), InputError, "between 0 and 65535"),
    "too large": (image(np.full(SHAPE, 65536, np.int32)), InputError, "between 0 and 65535"),
    "cut off": (image()[:-1], InputError, "does not hold"),
    "too long": (image() + b"\0", InputError, "does not hold"),
    "nothing": (b"", InputError, "no NIfTI-1 file"),
    "something else": (b"\x89PNG" * 200, InputError, "no NIfTI-1 file"),
    "another size of header": (b"\0" + image()[1:], InputError, "no NIfTI-1 file"),
    "another type": (swapped(), InputError, "whole numbers"),
    "gzip of nothing": (gzip.compress(b""), InputError, "no NIfTI-1 file"),
    "gzip cut off": (gzip.compress(image())[:-9], InputError, "not of the length|damaged"),
    "gzip with more behind": (gzip.compress(image()) + b"more", InputError, "not of the length"),
    "gzip damaged": (gzip.compress(image())[:40] + b"\xff" * 40, InputError, "damaged|no NIfTI|not of the length"),
    "gzip of a longer file": (gzip.compress(image() + bytes(10)), InputError, "not of the length"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_labels_of_the_case_is_refused(name: str, caplog) -> None:
    body, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        unpack(body, GRID)
    assert not caplog.records


def test_gzip_and_plain_are_the_same() -> None:
    array = np.arange(60).reshape(SHAPE).astype(np.uint8)
    plain, packed = unpack(image(array), GRID), unpack(gzip.compress(image(array)), GRID)
    assert np.array_equal(plain.labels, packed.labels)
    assert plain.labels.any()


def test_a_bomb_takes_no_memory() -> None:
    huge = nib.Nifti1Image(np.zeros((1, 1, 1), np.uint8), np.eye(4))
    huge.header.set_data_shape((30000, 30000, 30000))
    lies = gzip.compress(huge.header.binaryblock + bytes(4) + bytes(300 << 20))  # 300 MB of zeros
    honest = gzip.compress(image() + bytes(300 << 20))
    for bomb in (lies, honest):
        assert len(bomb) < 1 << 20
        tracemalloc.start()
        with pytest.raises((InputError, GeometryMismatch)):
            unpack(bomb, GRID)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 5 << 20


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-351", (0, 352)),
        ("bytes=990-", (990, 1000)),
        ("bytes=990-5000", (990, 1000)),
        ("bytes=-10", (990, 1000)),
        ("bytes=-5000", (0, 1000)),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("voxels=0-1", None),
    ],
)
def test_a_range_is_what_the_standard_says(header, part) -> None:
    assert asked_range(header, 1000) == part


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-1001", "bytes=-0"])
def test_a_range_beyond_the_end_is_an_error(header: str) -> None:
    with pytest.raises(NotThere):
        asked_range(header, 1000)
