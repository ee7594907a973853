"""Slices tiled into one image are refused by name, never read as a slice."""

import pytest
from dicom_phantom import check, grid, write_series
from pydicom.dataset import Dataset

from medseg.errors import InputError
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
