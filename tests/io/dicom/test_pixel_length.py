"""Whether an object has all its pixels: what can be read is never refused, and what is cut always is."""

import warnings
from io import BytesIO
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medseg.io.dicom.pixel_length import lacking_pixels

FILES = sorted((Path(pydicom.data.__file__).parent / "test_files").rglob("*.dcm"))


def image(lacking: int = 0, syntax: str = ExplicitVRLittleEndian, **elements: object) -> BytesIO:
    """An object of so many bytes of pixels less than it has, 8 by 6 of 16 bits unless something else is said."""
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3"
    values = {"Rows": 6, "Columns": 8, "SamplesPerPixel": 1, "BitsAllocated": 16, **elements}
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    keyword = {32: "FloatPixelData", 64: "DoubleFloatPixelData"}.get(dataset.BitsAllocated, "PixelData")
    samples = 2 if values.get("PhotometricInterpretation") == "YBR_FULL_422" else dataset.SamplesPerPixel
    bits = 48 * samples * dataset.BitsAllocated * int(values.get("NumberOfFrames", 1))
    setattr(dataset, keyword, bytes((bits + 7) // 8 - lacking))
    if keyword == "PixelData":
        dataset[keyword].VR = "OW" if dataset.BitsAllocated == 16 else "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream


KINDS = {
    "plain": {},
    "implicit": {"syntax": ImplicitVRLittleEndian},
    "8 bits": {"BitsAllocated": 8},
    "frames": {"NumberOfFrames": 5},
    "color": {"SamplesPerPixel": 3, "BitsAllocated": 8, "PhotometricInterpretation": "RGB"},
    "halved color": {"SamplesPerPixel": 3, "BitsAllocated": 8, "PhotometricInterpretation": "YBR_FULL_422"},
    "a bit a pixel": {"BitsAllocated": 1, "NumberOfFrames": 3},
    "float": {"BitsAllocated": 32},
    "double": {"BitsAllocated": 64},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_lacks_pixels_is_found_and_what_has_them_is_not(kind):
    assert lacking_pixels(image(**KINDS[kind])) is None
    has, states = lacking_pixels(image(8, **KINDS[kind]))
    assert states - has == 8


def test_a_number_that_is_none_is_left_to_whoever_reads_it_and_its_text_is_logged_nowhere(caplog):
    stream = image(8)
    content = stream.getvalue().replace(b"\x28\x00\x02\x00US\x02\x00\x01\x00", b"\x28\x00\x08\x00IS\x02\x00Z1")
    with caplog.at_level("DEBUG"):
        assert lacking_pixels(BytesIO(content)) is None
    assert "Z1" not in caplog.text


def test_a_file_that_ends_within_its_pixels():
    content = image().getvalue()
    assert lacking_pixels(BytesIO(content[:-50])) == (46, 96)


def test_an_odd_number_of_bytes_needs_no_padding_and_may_have_more_than_stated():
    odd = {"Rows": 1, "Columns": 3, "BitsAllocated": 8}
    assert lacking_pixels(image(48 - 3, **odd)) is None
    assert lacking_pixels(image(**odd)) is None


@pytest.mark.parametrize("keyword", ["Rows", "BitsAllocated", "PixelData"])
def test_what_does_not_say_how_large_it_is_is_left_to_whoever_reads_it(keyword):
    stream = image(8)
    stream.seek(0)
    dataset = pydicom.dcmread(stream)
    del dataset[keyword]
    stream = BytesIO()
    dataset.save_as(stream)
    assert lacking_pixels(stream) is None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_of_pydicom_that_can_be_read_lack_nothing(path):
    with path.open("rb") as stream:
        lacking = lacking_pixels(stream)
    if lacking is not None:
        with warnings.catch_warnings(), pytest.raises(ValueError, match="less than expected"):
            warnings.simplefilter("ignore")
            _ = pydicom.dcmread(path).pixel_array
