"""A patient's numbers and a hospital's own codes, planted where no text is looked for."""

import struct
from pathlib import Path

import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from small_series import small_series

from medseg.io.dicom.header import lenient
from medseg.io.read import load_scan
from medseg.privacy.deidentify import Deidentified, deidentify_folder

KEY = b"sixteen bytes or more"
WHO = {
    "PatientID": "MRN0047115",
    "PatientName": "Quimby^Fritzsche",
    "PatientBirthDate": "19620317",
    "AccessionNumber": "ACC-55512",
    "StudyID": "6604711",
    "InstitutionAddress": "Elm Street 5, 16866 Kyritz",
}


def cleaned(tmp_path: Path, edit=lambda dataset: None) -> tuple[Deidentified, list[Dataset]]:
    source, _ = small_series(tmp_path / "in", shape=(8, 6, 2), **WHO)
    for path in source.files:
        dataset = pydicom.dcmread(path)
        with lenient():
            edit(dataset)
            dataset.save_as(path)
    result = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY)
    assert len(result.written) == 2
    return result, [pydicom.dcmread(path) for path in result.written]


def put(dataset: Dataset, keyword: str, value: object) -> None:
    """Set an element; of one that may be signed or not, unsigned."""
    kind = dictionary_VR(keyword)
    dataset.add_new(keyword, "US" if kind.startswith("US") else kind, value)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("InstanceNumber", 47115),
        ("InstanceNumber", "0047115"),
        ("AcquisitionNumber", -55512),
        ("RepetitionTime", "47115.0"),
        ("SliceLocation", 19620317),
        ("EchoTime", "0.19620317"),
        ("LargestImagePixelValue", 55512),
        ("AcquisitionMatrix", [0, 16866, 47115, 0]),
        ("B1rms", 47115.0),
        ("SelectorULValue", 6604711),
        ("SelectorSSValue", 16866),
        ("WindowCenter", 47115),
        ("WindowWidth", 47115),
        ("ConvolutionKernel", "B30f 0047115"),
        ("SequenceName", "t1 16866"),
    ],
)
def test_numbers_of_the_patient_go_wherever_they_stand(tmp_path, keyword, value):
    result, datasets = cleaned(tmp_path, lambda dataset: put(dataset, keyword, value))
    numbers = ("47115", "55512", "19620317", "16866", "6604711")
    for dataset in datasets:
        assert not any(number in str(dataset.get(keyword)) for number in numbers)
    assert result.leaks == {keyword: 2}


def test_a_text_where_only_a_number_may_stand_goes(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(8, 6, 2), **WHO)
    for path in source.files:
        dataset = pydicom.dcmread(path)
        dataset.SliceLocation = "123456"
        dataset.save_as(path)
        path.write_bytes(path.read_bytes().replace(b"123456", b"Quimby"))
    result = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY)
    assert not any(b"quimby" in path.read_bytes().lower() for path in result.written)


def test_numbers_that_count_or_place_pixels_stay(tmp_path):
    """A patient whose number is 47115 may have a pixel of that value, and a 47115th frame."""

    def edit(dataset):
        put(dataset, "PixelPaddingValue", 47115)
        dataset.RescaleIntercept, dataset.RescaleSlope = 47115, 1
        dataset.EchoTime, dataset.RepetitionTime = "47.115", "4711"

    result, datasets = cleaned(tmp_path, edit)
    for dataset in datasets:
        assert (dataset.PixelPaddingValue, dataset.RescaleIntercept) == (47115, 47115)
        assert (dataset.EchoTime, dataset.RepetitionTime) == (47.115, 4711)
    assert result.leaks == {}


def test_a_series_that_loses_its_numbers_is_read_as_before(tmp_path):
    def edit(dataset):
        dataset.InstanceNumber = dataset.AcquisitionNumber = dataset.SeriesNumber = 47115

    before = small_series(tmp_path / "plain", shape=(8, 6, 2), **WHO)[1]
    cleaned(tmp_path, edit)
    assert load_scan(tmp_path / "clean").geometry.matches(before)


def test_private_elements_of_every_kind_go(tmp_path):
    def edit(dataset):
        block = dataset.private_block(0x0029, "HEDWIG", create=True)
        for place, (kind, value) in enumerate([("IS", 47115), ("DS", "47115"), ("UL", 47115), ("FD", 47115.0)]):
            block.add_new(0x10 + place, kind, value)

    _, datasets = cleaned(tmp_path, edit)
    for dataset in datasets:
        assert not any(element.tag.is_private for element in dataset.iterall())


def code(scheme: str, value: str = "Q1", meaning: str = "a purpose") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def test_schemes_of_a_hospital_s_own_get_another_name(tmp_path):
    def edit(dataset):
        dataset.AnatomicRegionSequence = [code("99HED"), code("SCT", "10200004", "Liver")]
        dataset.ProcedureCodeSequence = [code("HEDWIG"), code("99HED", "fritzsche")]
        described = Dataset()
        described.CodingSchemeDesignator, described.CodingSchemeName = "99HED", "St. Hedwig's codes"
        dataset.CodingSchemeIdentificationSequence = [described]
        dataset.AnatomicRegionSequence[0].MappingResource = "99HEDMR"
        dataset.AnatomicRegionSequence[0].MappingResourceName = "St. Hedwig's templates"

    _, datasets = cleaned(tmp_path, edit)
    for dataset in datasets:
        own, standard = dataset.AnatomicRegionSequence
        assert own.CodingSchemeDesignator.startswith("99")
        assert "MappingResource" not in own
        assert (own.CodeValue, own.CodeMeaning) == ("Q1", "a purpose")
        assert (standard.CodingSchemeDesignator, standard.CodeValue) == ("SCT", "10200004")
    assert not any(b"hed" in path.read_bytes().lower() for path in (tmp_path / "clean").rglob("*.dcm"))


def test_a_number_of_the_patient_behind_the_standard_s_root_is_no_uid_of_the_standard(tmp_path):
    planted = "1.2.840.10008.47115.19620317"
    _, datasets = cleaned(tmp_path, lambda dataset: setattr(dataset, "FrameOfReferenceUID", planted))
    assert all(dataset.FrameOfReferenceUID.startswith("2.25.") for dataset in datasets)
    assert all(dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.4" for dataset in datasets)


def test_numbers_left_in_no_byte(tmp_path):
    """The same as bytes: nothing of the number in the object beside its pixels, as text or as an integer."""

    def edit(dataset):
        dataset.InstanceNumber, dataset.SelectorULValue, dataset.SelectorFDValue = 47115, 47115, 47115.0

    result, _ = cleaned(tmp_path, edit)
    for path in result.written:
        content = path.read_bytes()
        content = content[: content.rindex(b"\xe0\x7f\x10\x00")]
        forms = (b"47115", *(struct.pack(kind, 47115) for kind in ("<I", ">I", "<d", "<f")))
        assert not any(form in content for form in forms)
