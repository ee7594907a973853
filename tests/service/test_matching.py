"""What an archive answers is compared with what was asked, by the rules of DICOM's matching."""

import pytest
from pydicom.dataset import Dataset

from medseg.service.matching import contradicted


@pytest.mark.parametrize(
    ("keyword", "value", "wanted", "fits"),
    [
        ("PatientID", "A1", "A1", True),
        ("PatientID", "A1 ", "a1", True),
        ("PatientID", "A12", "A1", False),
        ("PatientID", "A12", "A1*", True),
        ("PatientID", "A12", "A?2", True),
        ("PatientID", "A[1]", "A[1]", True),
        ("PatientID", "", "A1", False),
        ("PatientName", "Müller^Jörg", "muller^*", True),
        ("PatientName", "Yamada^Tarou=山田^太郎", "Yamada^Tarou", True),
        ("PatientName", "Miller^Jörg", "Müller*", False),
        ("StudyDate", "20240203", "20240203", True),
        ("StudyDate", "20240203", "20240101-20240229", True),
        ("StudyDate", "20240203", "20240204-", False),
        ("StudyDate", "20240203", "-20240203", True),
        ("StudyDate", "", "-20240203", False),
        ("StudyTime", "101112.5", "1000-1012", True),
        ("StudyTime", "101112.5", "1013-", False),
        ("SeriesNumber", 3, "03", True),
        ("SeriesNumber", 3, "4", False),
        ("SeriesNumber", 3, "4\\3", True),
        ("SeriesNumber", 3, "?*", True),
        ("StudyDate", "20240203", "20230101\\20240203", True),
        ("StudyDate", "20240203", "?*", True),
        ("StudyDate", "", "?*", False),
        ("ModalitiesInStudy", ["CT", "SEG"], "SEG", True),
        ("ModalitiesInStudy", ["CT", "SEG"], "MR", False),
        ("StudyInstanceUID", "1.2.3", "1.2.4\\1.2.3", True),
        ("StudyInstanceUID", "1.2.3", "1.2.4\\1.2.5", False),
        ("StudyDescription", "", "*", True),
    ],
)
def test_matching(keyword, value, wanted, fits):
    answer = Dataset()
    setattr(answer, keyword, value)
    assert contradicted(answer, {keyword: wanted}) == (None if fits else keyword)


def test_what_an_answer_does_not_state_is_not_matched():
    assert contradicted(Dataset(), {"PatientID": "A1"}) == "PatientID"
    assert contradicted(Dataset(), {"PatientID": "*"}) is None
