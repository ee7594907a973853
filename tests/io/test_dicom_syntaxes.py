"""One CT slice in every transfer syntax: the same values where it is lossless, refused where it is broken."""

from base64 import b64decode

import numpy as np
import pydicom
import pytest
from dicom_phantom import check, grid, write_series
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
)
from shared_data import DATA

from medseg.errors import InputError, Interrupted, ResourceLimit
from medseg.io.dicom import decode as dicom_decode
from medseg.io.dicom import header as dicom_header
from medseg.io.dicom import inflated
from medseg.io.discover import discover
from medseg.io.read import load_scan

SYNTAXES = DATA / "dicom" / "same_slice_every_syntax"
needs_data = pytest.mark.needs_data("data/dicom/same_slice_every_syntax")


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless], ids=lambda s: s.keyword)
@pytest.mark.parametrize("signed", [False, True])
def test_compressed(tmp_path, syntax, signed):
    where = grid(columns=80, rows=64, spacing=(0.5, 0.5))  # OpenJPEG takes no smaller pictures
    for path in write_series(tmp_path, where, signed=signed, intercept=0 if not signed else -1024):
        ds = pydicom.dcmread(path)
        ds.compress(syntax, generate_instance_uid=False)
        ds.save_as(path)
    check(load_scan(tmp_path))


def test_damaged_run_lengths(tmp_path):
    """The decoder of RLE panics on some of these, with an error that `except Exception` does not catch."""
    (path,) = write_series(tmp_path, grid(slices=1, columns=64, rows=64))
    ds = pydicom.dcmread(path)
    ds.compress(RLELossless, generate_instance_uid=False)
    ds.save_as(path)
    content, random = path.read_bytes(), np.random.default_rng(0)
    start = content.index(b"\xe0\x7f\x10\x00")
    refused = 0
    for _ in range(150):
        raw = bytearray(content)
        for at in random.integers(start + 84, len(raw) - 8, 3):
            raw[at] ^= int(random.integers(1, 256))
        path.write_bytes(raw)
        try:
            load_scan(path)
        except InputError as error:
            refused += "cannot be decoded" in str(error)
    assert refused > 10


PANIC = type("PanicException", (BaseException,), {})


@pytest.mark.parametrize(
    ("raised", "becomes", "message"),
    [
        (KeyboardInterrupt, KeyboardInterrupt, None),
        (Interrupted, Interrupted, None),
        (PANIC, InputError, "cannot be decoded"),
    ],
)
def test_signals_pass_through_decoding_and_a_panic_becomes_an_error(tmp_path, monkeypatch, raised, becomes, message):
    def stop(uid):
        raise raised("SIGTERM")

    write_series(tmp_path, grid(slices=1))
    monkeypatch.setattr(dicom_decode, "get_decoder", stop)
    with pytest.raises(becomes, match=message):
        load_scan(tmp_path)


def test_deflated_bomb_is_refused_before_it_is_inflated(tmp_path, monkeypatch):
    def swell(ds, k):
        ds.Rows = ds.Columns = 4096
        ds.PixelData = bytes(2 * 4096 * 4096)
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    (path,) = write_series(tmp_path, grid(slices=1), edit=swell)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(inflated, "largest_scan", lambda: 64 << 20)
    with pytest.raises(ResourceLimit, match="inflates to more than"):
        dicom_header.read_header(path)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda ds, k: [setattr(ds, n, 65535) for n in ("Rows", "Columns")], None),
        (lambda ds, k: delattr(ds, "PixelData"), "there is no pixel data"),
    ],
)
def test_a_header_that_promises_too_much(tmp_path, edit, message):
    write_series(tmp_path, grid(), edit=edit)
    with pytest.raises((InputError, ResourceLimit), match=message):
        load_scan(tmp_path)


def test_color_is_refused(tmp_path):
    write_series(tmp_path, grid(), edit=lambda ds, k: setattr(ds, "SamplesPerPixel", 3))
    assert [left.reason for left in discover([tmp_path]).skipped] == ["it is a color image, not a scan"] * 9


LOSSLESS_JPEG = ("JPEG2000LosslessOnly", "JPEGLSLossless", "JPEGProcess14SV1", "JPEGProcess14")
OTHERS = ("BigEndianExplicit", "DeflatedExplicitVRLittleEndian", "LittleEndianExplicit", "LittleEndianImplicit")
# Largest and mean difference, in HU, that the loss of each may make.
LOSSY = {"JPEG2000": (120, 12), "JPEGLSLossy": (10, 4), "JPEGProcess1": (400, 20), "JPEGProcess2_4": (120, 12)}
# Retired JPEG processes no decoder here knows.
REFUSED = ("JPEGProcess10_12", "JPEGProcess6_8")


def syntax_file(name):
    (path,) = SYNTAXES.glob(f"CTImage.dcm_{name}TransferSyntax_*.dcm")
    return path


@needs_data
@pytest.mark.parametrize("name", [*LOSSLESS_JPEG, *OTHERS, "RLELossless"])
def test_real_slice_lossless(name):
    truth, scan = load_scan(SYNTAXES / "CTImage.dcm"), load_scan(syntax_file(name))
    np.testing.assert_array_equal(scan.array, truth.array)
    assert scan.geometry.matches(truth.geometry)
    assert scan.array.dtype == truth.array.dtype


@needs_data
@pytest.mark.parametrize("name", LOSSY)
def test_real_slice_lossy(name):
    truth, scan = load_scan(SYNTAXES / "CTImage.dcm"), load_scan(syntax_file(name))
    off = np.abs(scan.array.astype(float) - truth.array)[truth.array > -1500]
    largest, mean = LOSSY[name]
    assert (off.max() <= largest, off.mean() <= mean) == (True, True), (off.max(), off.mean())


@needs_data
@pytest.mark.parametrize("name", REFUSED)
def test_real_slice_refused(name):
    with pytest.raises(InputError, match="cannot be decoded"):
        load_scan(syntax_file(name))


@needs_data
def test_real_pictures_that_are_no_scans_are_refused():
    others = [path for path in SYNTAXES.glob("*.dcm") if not path.name.startswith("CT")]
    assert others
    for path in others:
        with pytest.raises(InputError):
            load_scan(path)


# A gray ramp of 14 x 11 pixels from 1000 up, of 12 bits, by libjpeg-turbo.
TWELVE_BITS = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoK"
    "CgoKBggLDAsKDAkKCgr/wQALDAALAA4BAREA/8QAFgABAQEAAAAAAAAAAAAAAAAADQoM/8QAJxAAAAMGBAcAAAAAAAAAAAAAAAQo"
    "AwYJDEViCxlEYyk3OEdTVXP/2gAIAQEAAD8Ai/lVHBl+nBKfqqL87Qjvy9Fgy/AmOpT7aEaLvlrRmvZVRhNw404JEdKladpt3hHf"
    "l6KE3DjyJjqRHS5aEdO085a8f//Z"
)


def _encapsulated(syntax, stream, bits):
    def edit(ds, k):
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits - 1, 0
        ds.file_meta.TransferSyntaxUID = syntax
        ds.PixelData = encapsulate([stream])
        ds["PixelData"].is_undefined_length = True

    return edit


def test_jpeg_extended_of_12_bits(tmp_path):
    write_series(tmp_path, grid(slices=1), edit=_encapsulated(JPEGExtended12Bit, b64decode(TWELVE_BITS), 12))
    stored = load_scan(tmp_path).array[0, :, :, 0].T.astype(int) + 1024
    ramp = 1000 + np.add.outer(np.arange(11) * 90, np.arange(14) * 150)
    assert np.abs(stored - ramp).max() < 40


def test_jpeg_ls_that_ends_early_is_refused_by_name(tmp_path):
    """Another decoder would give wrong pixels without a word."""
    for path in write_series(tmp_path, grid(slices=1), signed=False):
        ds = pydicom.dcmread(path)
        ds.compress(JPEGLSLossless, generate_instance_uid=False)
        stream = next(generate_frames(ds.PixelData, number_of_frames=1)).rstrip(b"\0")
        ds.PixelData = encapsulate([stream[: len(stream) // 2] + b"\xff\xd9"])
        ds["PixelData"].is_undefined_length = True
        ds.save_as(path)
    with pytest.raises(InputError, match=r"cannot be decoded .JPEG-LS Lossless Image Compression: "):
        load_scan(tmp_path)


@pytest.mark.parametrize("stated", ["1.2.840.10008.1.1.99", "1.2.840.10008.1.2.77", "1.2.392.200036.9999"])
def test_a_transfer_syntax_that_is_none(tmp_path, stated):
    """Two that DICOM has not given out, and a maker's own."""
    for path in write_series(tmp_path, grid(slices=1)):
        content = path.read_bytes()
        assert content.count(b"1.2.840.10008.1.2.1\0") == 1
        path.write_bytes(content.replace(b"1.2.840.10008.1.2.1\0", stated.encode().ljust(20, b"\0")))
    with pytest.raises(InputError, match="names a transfer syntax that nobody knows"):
        load_scan(tmp_path)
