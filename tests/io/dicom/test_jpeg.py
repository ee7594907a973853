"""JPEG, lossless JPEG and JPEG-LS by imagecodecs: the pixels GDCM gives, and no pixels where the stream ends early."""

from io import BytesIO

import imagecodecs
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLosslessSV1, JPEGLSLossless
from shared_data import DATA

from medseg.io.dicom.jpeg import decoder_of

SYNTAXES = DATA / "dicom" / "same_slice_every_syntax"
PROCESSES = ("JPEGProcess1", "JPEGProcess2_4", "JPEGProcess14", "JPEGProcess14SV1", "JPEGLSLossless", "JPEGLSLossy")
COLOR = (
    "JPEG-Baseline_YBR422",
    "JPEG-Baseline_YBRFull",
    "JPEG-LS-Lossless",
    "JPEG-LS-NearLossless",
    "JPEG-Lossless_RGB",
)
needs_data = pytest.mark.needs_data("data/dicom/same_slice_every_syntax")


def pixels(dataset, **options):
    return pixel_array(dataset, raw=True, decoding_plugin=decoder_of(dataset.file_meta.TransferSyntaxUID), **options)


def real(name):
    (path,) = SYNTAXES.glob(f"CTImage.dcm_{name}TransferSyntax_*.dcm")
    return pydicom.dcmread(path)


def by_gdcm(dataset, folder):
    """Stored values as SimpleITK's GDCM decodes them, without rescaling."""
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        if keyword in dataset:
            del dataset[keyword]
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"  # not a class that GDCM applies a rescaling of its own to
    dataset.save_as(folder / "one.dcm")
    return sitk.GetArrayFromImage(sitk.ReadImage(folder / "one.dcm")).squeeze()


@needs_data
@pytest.mark.parametrize("name", PROCESSES)
def test_bit_for_bit_what_gdcm_gives(tmp_path, name):
    dataset = real(name)
    np.testing.assert_array_equal(pixels(dataset), by_gdcm(dataset, tmp_path))


@needs_data
def test_fragments_of_12_bits_without_a_table_of_offsets(tmp_path):
    dataset = pydicom.dcmread(SYNTAXES / "CT0012.fragmented_no_bot_jpeg_baseline.51.dcm")
    frames = by_gdcm(dataset, tmp_path)
    assert len(frames) == 2
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(pixels(dataset, index=index), frame)


@needs_data
@pytest.mark.parametrize("name", COLOR)
def test_color_is_what_pillow_and_gdcm_give(tmp_path, name):
    """Pixels stay in the color space they were stored in; what is subsampled is filled in as libjpeg does."""
    dataset = pydicom.dcmread(SYNTAXES / f"TestPattern_{name}.dcm")
    if "Baseline" in name:
        truth = pixel_array(dataset, raw=True, decoding_plugin="pillow")
    else:
        truth = by_gdcm(dataset, tmp_path)
    np.testing.assert_array_equal(pixels(dataset), truth)


def test_extended_of_12_bits_that_others_refuse():
    dataset = pydicom.dcmread(get_testdata_file("JPEG-lossy.dcm", download=False))
    assert (dataset.file_meta.TransferSyntaxUID, dataset.BitsStored) == (JPEGExtended12Bit, 12)
    array = pixels(dataset)
    assert array.shape == (1024, 256)
    assert (array.dtype, array.max() < 4096, array.max() > 0) == (np.uint16, True, True)


def compressed(syntax, values, frame=None):
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
    dataset.Rows, dataset.Columns = values.shape
    dataset.PixelRepresentation = 0
    dataset.BitsAllocated, dataset.BitsStored = 8 * values.dtype.itemsize, 8 if values.dtype == np.uint8 else 12
    dataset.HighBit = dataset.BitsStored - 1
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame if frame is not None else encoded(syntax, values)])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    return dataset


def encoded(syntax, values):
    if syntax == JPEGLSLossless:
        return imagecodecs.jpegls_encode(values)
    options = {"bitspersample": 8 if values.dtype == np.uint8 else 12}
    return imagecodecs.jpeg8_encode(values, lossless=syntax == JPEGLosslessSV1, **options)


ROWS, COLUMNS = np.mgrid[:48, :64]
GRAY = ((np.sin(ROWS / 9) + np.cos(COLUMNS / 7)) * 900 + 2000).astype(np.uint16)
KINDS = {
    "baseline": (JPEGBaseline8Bit, (GRAY >> 4).astype(np.uint8)),
    "extended": (JPEGExtended12Bit, GRAY),
    "lossless": (JPEGLosslessSV1, GRAY),
    "jpeg-ls": (JPEGLSLossless, GRAY),
}
LOSS = {"baseline": 4, "extended": 40, "lossless": 0, "jpeg-ls": 0}


@pytest.mark.parametrize("kind", KINDS)
def test_cut_anywhere_is_refused(kind):
    """Decoders of JPEG fill up what is missing; the wrong half of a slice would be taken for a scan."""
    syntax, values = KINDS[kind]
    whole = encoded(syntax, values)
    assert np.abs(pixels(compressed(syntax, values)).astype(int) - values).max() <= LOSS[kind]
    wrong = []
    for at in np.random.default_rng(0).integers(10, len(whole) - 4, 60):
        for frame in (whole[:at], whole[:at] + b"\xff\xd9"):
            try:
                array = pixels(compressed(syntax, values, frame))
            except (ValueError, RuntimeError):
                continue
            wrong.append((at, np.abs(array.astype(int) - values).max()))
    assert not wrong


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_after_the_end_and_an_end_that_is_missing(kind):
    syntax, values = KINDS[kind]
    whole = encoded(syntax, values)
    truth = pixels(compressed(syntax, values))
    np.testing.assert_array_equal(pixels(compressed(syntax, values, whole + b"\0\0 more \xff\xd9")), truth)
    fill = whole[:-2] + b"\xff\xff\xd9"
    np.testing.assert_array_equal(pixels(compressed(syntax, values, fill)), truth)


@pytest.mark.parametrize("kind", KINDS)
def test_another_size_than_the_header_is_refused_before_it_is_decoded(kind):
    syntax, values = KINDS[kind]
    dataset = compressed(syntax, values)
    dataset.Rows -= 1
    with pytest.raises(RuntimeError, match=r"states 47 x 64 x 1 .* compressed frame 48 x 64 x 1"):
        pixels(dataset)


def test_a_bomb_is_not_unpacked():
    """A header of 48 rows, and a frame that claims 65,500 x 65,500."""
    syntax, values = KINDS["lossless"]
    frame = bytearray(encoded(syntax, values))
    at = frame.index(b"\xff\xc3")
    frame[at + 5 : at + 9] = (65500).to_bytes(2, "big") * 2
    with pytest.raises(RuntimeError, match="65500 x 65500"):
        pixels(compressed(syntax, values, bytes(frame)))


def test_restart_markers():
    syntax, values = KINDS["baseline"]
    stream = BytesIO()
    Image.fromarray(values).save(stream, "JPEG", quality=95, restart_marker_rows=1)
    assert b"\xff\xd0" in stream.getvalue()
    truth = np.asarray(Image.open(BytesIO(stream.getvalue())))
    np.testing.assert_array_equal(pixels(compressed(syntax, values, stream.getvalue())), truth)


def test_no_other_decoder_of_jpeg_is_asked(monkeypatch):
    """Where pylibjpeg-libjpeg, under the GPL, is installed beside medseg, it decodes nothing."""
    for syntax, values in KINDS.values():
        assert decoder_of(syntax) == "imagecodecs"
        monkeypatch.setattr("imagecodecs.jpeg8_decode", lambda *_, **__: 1 / 0)
        monkeypatch.setattr("imagecodecs.jpegls_decode", lambda *_, **__: 1 / 0)
        with pytest.raises(RuntimeError, match="imagecodecs: division by zero"):
            pixels(compressed(syntax, values, encoded(syntax, values)))
