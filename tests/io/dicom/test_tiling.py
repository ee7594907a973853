"""Slices tiled into one image are refused by name, never read as a slice."""

import numpy as np
import pytest
from dicom_phantom import check, grid, write_series
from pydicom.dataset import Dataset
from scipy.ndimage import gaussian_filter

from medseg.errors import InputError
from medseg.io.dicom.tiled_pixels import is_tiled
from medseg.io.read import load_scan
from medseg.review.inspect import inspect


def private(group: int, owner: str, element: int, vr: str, value: int):
    def edit(ds: Dataset, k: int) -> None:
        ds.private_block(group, owner, create=True).add_new(element, vr, value)

    return edit


def by_type(ds: Dataset, k: int) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]


def by_matrix(ds: Dataset, k: int) -> None:
    """6 x 6 tiles of 64 pixels and 3 mm."""
    ds.AcquisitionMatrix = [64, 0, 0, 64]


def by_csa_header(ds: Dataset, k: int) -> None:
    """What is left where de-identification replaced the image type: the number of tiles in Siemens' own header."""
    number = b"\x02\0\0\0" * 2 + b"\xcd\0\0\0\x02\0\0\0" + b"36\0\0"
    tag = b"NumberOfImagesInMosaic".ljust(64, b"\0") + b"\1\0\0\0US\0\0\x06\0\0\0\x06\0\0\0\xcd\0\0\0" + number
    header = b"SV10\4\3\2\1" + b"\1\0\0\0M\0\0\0" + tag
    ds.private_block(0x29, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", header)


def by_montage(ds: Dataset, k: int) -> None:
    ds.ImageType = ["DERIVED", "SECONDARY", "MONTAGE"]


@pytest.mark.parametrize(
    ("edit", "where", "kind"),
    [
        (by_type, grid(slices=1), "a Siemens MOSAIC"),
        (by_type, grid(slices=4), "a Siemens MOSAIC"),
        (private(0x19, "SIEMENS MR HEADER", 0x0A, "US", 36), grid(slices=1), "a Siemens MOSAIC"),
        (private(0x65, "Image Private Header", 0x50, "DS", 36), grid(slices=1), "a grid of slices by United Imaging"),
        (by_csa_header, grid(slices=2), "a Siemens MOSAIC"),
        (by_montage, grid(slices=2), "a montage"),
        (by_matrix, grid(slices=1, rows=384, columns=384, spacing=(3, 3)), "a field of view of 1152 x 1152 mm"),
        (by_matrix, grid(slices=1, rows=256, columns=256, spacing=(3, 3)), "a field of view of 768 x 768 mm"),
        (None, grid(slices=1, rows=384, columns=384, spacing=(3, 3)), "a field of view of 1152 x 1152 mm"),
    ],
)
def test_refused_by_name(tmp_path, edit, where, kind):
    write_series(tmp_path, where, modality="MR", edit=edit)
    with pytest.raises(InputError, match=f"its images are {kind}.*: the slices of a volume tiled into one image"):
        load_scan(tmp_path)
    assert inspect(tmp_path).exit_code == 4


@pytest.mark.parametrize(
    ("edit", "where"),
    [
        # Interpolated to six times the matrix; a large CT; another maker's element of the same number.
        (by_matrix, grid(slices=2, rows=384, columns=384, spacing=(0.6, 0.6))),
        (None, grid(slices=2, rows=64, columns=64, spacing=(13, 13))),
        (private(0x19, "GEMS_ACQU_01", 0x0A, "US", 36), grid()),
        (private(0x19, "SIEMENS MR HEADER", 0x0A, "US", 1), grid()),
    ],
)
def test_others_are_read(tmp_path, edit, where):
    write_series(tmp_path, where, modality="MR", intercept=-10000, edit=edit)
    check(load_scan(tmp_path))


def tiled_head(across: int) -> np.ndarray:
    """Slices of an ellipsoid with a bright and a dark object inside, one tile after the other."""
    side, count = 48, across * across
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    tiles = []
    for z in np.linspace(-0.85, 0.85, count):
        tile = 400.0 * (x**2 + y**2 / 0.8 + z**2 < 0.95)
        tile += 300 * ((x - 0.3 * z) ** 2 + (y + 0.3) ** 2 + z**2 / 4 < 0.06) - 250 * ((x + 0.2) ** 2 + y**2 < 0.03)
        tiles.append(tile + np.random.default_rng(int(100 * (z + 1))).normal(0, 15, tile.shape))
    return np.block([tiles[row * across : (row + 1) * across] for row in range(across)])


@pytest.mark.parametrize("across", [4, 6, 8])
def test_tiles_that_no_header_speaks_of_are_seen_in_the_pixels(across) -> None:
    assert is_tiled(tiled_head(across))


def test_one_slice_a_pattern_that_repeats_and_noise_are_no_tiles() -> None:
    rng = np.random.default_rng(0)
    assert not is_tiled(np.kron(tiled_head(1), np.ones((8, 8))))
    assert not is_tiled(np.tile(tiled_head(1), (6, 6)))
    assert not is_tiled(rng.normal(size=(384, 384)))
    assert not is_tiled(gaussian_filter(rng.normal(size=(384, 384)), 12))
    assert not is_tiled(np.full((384, 384), 5))


def test_an_image_of_tiles_is_refused_when_its_pixels_are_read(tmp_path) -> None:
    tiled = tiled_head(4)
    where = grid(slices=1, rows=192, columns=192, spacing=(2, 2))

    def edit(ds: Dataset, k: int) -> None:
        ds.PixelData = np.round(tiled + 200).astype("<u2").tobytes()

    write_series(tmp_path, where, modality="MR", edit=edit)
    with pytest.raises(InputError, match=r"by their pixels, the slices of a volume tiled into one image.*dcm2niix"):
        load_scan(tmp_path)
