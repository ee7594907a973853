"""Values that are not what they seem: a warning, or the right ones."""

import numpy as np
import pydicom
import pytest
from dicom_phantom import check, encode, grid, write_enhanced, write_series
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import RLELossless

from medseg.errors import InputError
from medseg.io.dicom.header import lenient
from medseg.io.dicom.value_checks import HALF_SCALED, UNSCALED
from medseg.io.read import load_scan


def unscaled(ds: Dataset, k: int = 0) -> None:
    del ds.RescaleSlope, ds.RescaleIntercept


def test_ct_without_rescale(tmp_path):
    write_series(tmp_path, grid(), intercept=0, edit=unscaled)
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.source.warnings == (UNSCALED,)


def test_enhanced_ct_without_rescale(tmp_path):
    def edit(ds: Dataset) -> None:
        for groups in ds.PerFrameFunctionalGroupsSequence:
            del groups.PixelValueTransformationSequence

    write_enhanced(tmp_path / "x.dcm", grid(), modality="CT", edit=edit)
    assert load_scan(tmp_path).source.warnings == (UNSCALED,)


def test_mr_needs_no_rescale(tmp_path):
    write_series(tmp_path, grid(), modality="MR", intercept=0, edit=unscaled)
    assert load_scan(tmp_path).source.warnings == ()


@pytest.mark.parametrize(
    ("kind", "warning"),
    [
        ("ED", "rescale type ED (electron density)"),
        ("EDW", "rescale type EDW (electron density relative to water)"),
        ("MGML", "rescale type MGML (density in mg/ml)"),
        ("Z_EFF", "rescale type Z_EFF (effective atomic number)"),
        ("KELVIN", "rescale type KELVIN"),
    ],
)
def test_ct_of_another_quantity(tmp_path, kind, warning):
    write_series(tmp_path, grid(), edit=lambda ds, k: setattr(ds, "RescaleType", kind))
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.source.warnings == (f"CT values are not Hounsfield units, by the header: {warning}",)


@pytest.mark.parametrize("lacking", ["RescaleSlope", "RescaleIntercept"])
def test_ct_with_half_a_rescale(tmp_path, lacking):
    write_series(tmp_path, grid(), intercept=0, edit=lambda ds, k: delattr(ds, lacking))
    assert load_scan(tmp_path).source.warnings == (HALF_SCALED,)


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept", "PixelSpacing", "ImagePositionPatient"])
@pytest.mark.parametrize("value", [b"NaN", b"inf ", b"-INF", b"1e300 "])
def test_numbers_that_are_none_are_refused(tmp_path, keyword, value):
    def edit(ds: Dataset, k: int) -> None:
        tag, count = Tag(keyword), len(ds.ImagePositionPatient) if keyword == "ImagePositionPatient" else 2
        many = value if keyword.startswith("Rescale") else b"\\".join([value.strip()] * count)
        ds[tag] = RawDataElement(tag, "DS", len(many), many, 0, False, True)

    with lenient():
        write_series(tmp_path, grid(), edit=edit)
    with pytest.raises(InputError, match=r"RescaleSlope is|RescaleIntercept is|invalid"):
        load_scan(tmp_path)


@pytest.mark.parametrize("keyword", ["SliceThickness", "SpacingBetweenSlices", "EchoTime"])
def test_numbers_that_are_none_where_nothing_depends_on_them(tmp_path, keyword):
    def edit(ds: Dataset, k: int) -> None:
        tag = Tag(keyword)
        ds[tag] = RawDataElement(tag, "DS", 4, b"NaN ", 0, False, True)

    with lenient():
        write_series(tmp_path, grid(), modality="MR", edit=edit)
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.source.warnings == ()


@pytest.mark.parametrize("kind", ["HU", "HU_MOD", "US", ""])
def test_hounsfield_units(tmp_path, kind):
    where = grid()
    write_series(tmp_path, where, values=below_0, edit=lambda ds, k: setattr(ds, "RescaleType", kind))
    scan = load_scan(tmp_path)
    assert scan.source.warnings == ()
    assert scan.source.value_unit == "HU"


def below_0(world):
    """Air and tissue."""
    return encode(world) - 2600


@pytest.mark.parametrize("values", [encode, lambda world: 0 * world[..., 0] - 20, lambda world: below_0(world) * 200])
def test_a_ct_of_unspecified_units_that_shows_no_ct(tmp_path, values):
    """Nothing below 0, nothing that varies, or more than any tissue has."""
    write_series(tmp_path, grid(), values=values, slopes=2.0, edit=lambda ds, k: setattr(ds, "RescaleType", "US"))
    scan = load_scan(tmp_path)
    (warning,) = scan.source.warnings
    assert warning.startswith("CT of unspecified units (rescale type US) with values from ")
    assert scan.source.value_unit == ""


def fewer_bits(bits: int, **attributes: object):
    """Say that fewer bits are stored than are in use."""

    def edit(ds: Dataset, k: int) -> None:
        ds.BitsStored, ds.HighBit = bits, bits - 1
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)

    return edit


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("compressed", [False, True])
def test_bits_above_those_stored(tmp_path, signed, compressed):
    for path in write_series(tmp_path, grid(), intercept=0, signed=signed, edit=fewer_bits(11)):
        if compressed:
            ds = pydicom.dcmread(path)
            ds.compress(RLELossless, generate_instance_uid=False)
            ds.save_as(path)
    scan = load_scan(tmp_path)
    (warning,) = scan.source.warnings
    assert "pixels use bits above the 11 that are stored" in warning
    # What is left is what the header says: the lowest 11 bits.
    lowest, highest = (-1024, 1023) if signed else (0, 2047)
    assert (scan.array.min() >= lowest, scan.array.max() <= highest) == (True, True)


@pytest.mark.parametrize("extended", [True, False])
def test_signs_above_those_stored_are_no_loss(tmp_path, extended):
    """Whether the bits above a negative value repeat its sign or are zero."""

    def edit(ds: Dataset, k: int) -> None:
        if not extended:
            ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") & 0x1FFF).tobytes()

    write_series(tmp_path, grid(), bits=13, intercept=2500, edit=edit)
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.source.warnings == ()


def test_overlays_in_bits_the_header_describes_are_no_loss(tmp_path):
    def edit(ds: Dataset, k: int) -> None:
        ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") | 0x8000).tobytes()
        ds.add_new((0x6000, 0x0100), "US", 16)
        ds.add_new((0x6000, 0x0102), "US", 15)

    write_series(tmp_path, grid(), signed=False, bits=13, intercept=0, edit=edit)
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.source.warnings == ()


def test_enhanced_object_with_bits_above_those_stored(tmp_path):
    def edit(ds: Dataset) -> None:
        ds.BitsStored, ds.HighBit = 11, 10

    write_enhanced(tmp_path / "x.dcm", grid(), edit=edit)
    assert "pixels use bits above the 11" in load_scan(tmp_path).source.warnings[0]
