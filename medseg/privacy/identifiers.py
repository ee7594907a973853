"""What names a patient in a DICOM object, and where it turns up."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

REMOVED = "removed"
# What stands in the place of a name is not one, in objects that were de-identified before.
DUMMY_WORDS = {REMOVED, "anonymous", "anonymized", "anonymised"}
TEXT = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
# Text with a meaning fixed by the standard, which only ever looks like a name, and without which nothing can be read.
FIXED = {
    "CodeValue", "CodingSchemeDesignator", "ContourGeometricType", "FrameType", "ImageType", "LongCodeValue",
    "Modality", "PatientPosition", "PhotometricInterpretation", "RelationshipType", "SegmentationType", "ValueType",
}  # fmt: skip
# Where the identifiers are found that must not turn up anywhere else.
IDENTIFYING = (
    "PatientName", "PatientID", "PatientBirthDate", "OtherPatientNames", "OtherPatientIDs", "PatientBirthName",
    "PatientMotherBirthName", "PatientAddress", "PatientTelephoneNumbers", "AccessionNumber", "IssuerOfPatientID",
)  # fmt: skip
NAME_SIGNS = ("^", " ", ", ", ",", "_", ".", "-", "")
ANYWHERE = 6  # letters and digits of a word that hardly turns up within another by chance


def identifying_words(dataset: Dataset) -> set[str]:
    """What names this patient: parts of names, identifiers, the date of birth in every usual form, and UIDs."""
    words: set[str] = set()
    for keyword in IDENTIFYING:
        value = dataset.get(keyword)
        for part in value if isinstance(value, MultiValue) else [value]:
            text = str(part or "").strip()
            parts = [p for p in re.split(r"[\^=\s,]+", text) if p] if "Name" in keyword else [text]
            words |= {word for word in parts if len(word) > (2 if word.isascii() else 1)}
            if "Name" in keyword and len(parts) > 1:
                # Parts too short to be looked for alone are looked for together.
                words |= {sign.join(parts[i] for i in order) for sign in NAME_SIGNS for order in ((0, 1), (1, 0))}
    birth = str(dataset.get("PatientBirthDate") or "")
    if len(birth) == 8 and birth.isdigit():
        year, month, day = birth[:4], birth[4:6], birth[6:]
        words |= {
            sign.join(order)
            for sign in "-./ "
            for order in ((year, month, day), (day, month, year), (month, day, year))
        }
    words |= {
        str(dataset.get(keyword) or "") for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    }
    return {word for word in words if len(word) > 1 and word.casefold() not in DUMMY_WORDS}


def word_pattern(word: str) -> re.Pattern[str]:
    """Find a word: a long one anywhere, a short one where no letter or digit is beside it."""
    text = re.escape(word)
    whole = len(word) >= ANYWHERE or not word.isascii()
    return re.compile(text if whole else rf"(?<![^\W_]){text}(?![^\W_])", re.IGNORECASE)


def texts(dataset: Dataset) -> Iterator[tuple[Dataset, DataElement]]:
    """Every text that may hold a name, with the dataset it stands in."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from texts(item)
        elif element.VR in TEXT and element.keyword not in FIXED and element.value:
            yield dataset, element
