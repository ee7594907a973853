"""What a series must have so that an object can refer to it: without it there is a sentence, and no object."""

import pydicom
import pytest
from small_labels import MODEL, some_labels
from small_series import small_series

from medseg.errors import FormatLimitation, MedsegError
from medseg.io.dicom_results.source import read_source
from medseg.io.formats import WRITERS, Labeled, write

DICOM = [name for name, writer in WRITERS.items() if writer.needs_dicom and name != "dicom-seg-objects"]


def change(path, **elements) -> None:
    dataset = pydicom.dcmread(path)
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", DICOM)
@pytest.mark.parametrize("value", [None, ""])
def test_a_study_without_uid_is_one_sentence(tmp_path, name, value):
    source, geometry = small_series(tmp_path / "in")
    for path in source.files:
        change(path, StudyInstanceUID=value)
    with pytest.raises(FormatLimitation, match="study UID"):
        write(name, Labeled(some_labels(geometry), source, MODEL), tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("name", DICOM)
def test_instances_that_share_a_uid_are_refused(tmp_path, name):
    source, geometry = small_series(tmp_path / "in")
    change(source.files[3], SOPInstanceUID=pydicom.dcmread(source.files[0]).SOPInstanceUID)
    with pytest.raises(FormatLimitation, match="share one SOP instance UID"):
        write(name, Labeled(some_labels(geometry), source, MODEL), tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(("keyword", "words"), [("StudyInstanceUID", "studies"), ("PatientID", "patients")])
def test_slices_of_several_studies_or_patients_are_refused(tmp_path, keyword, words):
    source, geometry = small_series(tmp_path / "in")
    change(source.files[3], **{keyword: "1.2.3"})
    with pytest.raises(FormatLimitation, match=words):
        read_source(geometry, source)


EXPECTED = (
    "AccessionNumber", "BitsAllocated", "BitsStored", "FrameOfReferenceUID", "ImageType", "InstanceNumber",
    "Manufacturer", "Modality", "PatientBirthDate", "PatientID", "PatientName", "PatientSex",
    "PhotometricInterpretation", "PositionReferenceIndicator", "ReferringPhysicianName", "SOPClassUID",
    "SOPInstanceUID", "SamplesPerPixel", "SeriesInstanceUID", "SeriesNumber", "SliceThickness", "StudyDate", "StudyID",
    "StudyInstanceUID", "StudyTime",
)  # fmt: skip
REFUSED = {"FrameOfReferenceUID", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("keyword", EXPECTED)
@pytest.mark.parametrize("name", ["dicom-seg", "rtstruct", "sr"])
def test_whatever_is_missing_is_written_around_or_named(tmp_path, keyword, name):
    source, geometry = small_series(tmp_path / "in", shape=(13, 11, 4))
    for path in source.files:
        change(path, **{keyword: None})
    item = Labeled(some_labels(geometry), source, MODEL)
    if keyword in REFUSED:
        with pytest.raises(MedsegError):
            write(name, item, tmp_path)
    else:
        assert write(name, item, tmp_path).read_back
