"""What names a patient, a person of the staff or a place in a DICOM object, and where it turns up."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from medseg.privacy.coding_schemes import is_public
from medseg.privacy.numbers import digit_runs

REMOVED = "removed"
# What stands in the place of a name is not one, in objects that were de-identified before.
DUMMY_WORDS = {REMOVED, "anonymous", "anonymized", "anonymised"}
TEXT = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
# Text with a meaning fixed by the standard, which only ever looks like a name, and without which nothing can be read.
FIXED = {
    "CodeValue", "CodingSchemeDesignator", "ContourGeometricType", "FrameType", "ImageType", "LongCodeValue",
    "Modality", "PatientPosition", "PhotometricInterpretation", "RelationshipType", "SegmentationType", "ValueType",
}  # fmt: skip
# Where the identifiers are found that must not turn up anywhere else: as they stand, at any depth.
IDENTIFIERS = {
    "PatientID", "OtherPatientIDs", "PatientTelephoneNumbers", "AccessionNumber", "IssuerOfPatientID", "AdmissionID",
    "DeviceSerialNumber", "StationName", "PerformedStationAETitle", "ScheduledStationAETitle", "InstitutionName",
    "InstitutionalDepartmentName", "RequestingService", "PatientAddress",
}  # fmt: skip
# Of these the long numbers count, besides those of the identifiers; the rest of them may be any word.
NUMBERED = {
    "DetectorID", "FillerOrderNumberImagingServiceRequest", "FillerOrderNumberProcedure", "GantryID",
    "InstitutionAddress", "InsurancePlanIdentification", "MedicalRecordLocator", "PerformedProcedureStepID",
    "PersonTelephoneNumbers", "PlacerOrderNumberImagingServiceRequest", "PlacerOrderNumberProcedure",
    "ReferringPhysicianTelephoneNumbers", "RequestedProcedureID", "ScheduledProcedureStepID", "ServiceEpisodeID",
    "StudyID",
}  # fmt: skip
# Of these each word counts that is more than a kind of institution.
PLACES = {
    "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "PatientAddress", "RequestingService",
    "StationName", "IssuerOfPatientID", "CountryOfResidence", "RegionOfResidence",
}  # fmt: skip
MOMENTS = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
# Words of names of places and staff that say nothing of which, and that headers use for other things.
GENERIC = frozenset(Path(__file__).with_name("generic_words.txt").read_text(encoding="ascii").split())
NAME_SIGNS = ("^", " ", ", ", ",", "_", ".", "-", "")
ANYWHERE = 6  # letters and digits of a word that hardly turns up within another by chance
SHORTEST_PLACE = 4  # letters of a word of a place that is looked for
DATE = re.compile(
    r"(?<!\d)(?:\d{4}[-./]?[01]\d[-./]?[0-3]\d|[0-3]?\d[-./][0-3]?\d[-./](?:\d{4}|\d{2})?|"
    r"[0-3]?\d\.? ?(?:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*\.?(?: ?\d{4})?)(?![\d])",
    re.IGNORECASE,
)
ADDRESSED = re.compile(r"\b(?:dr|prof|mrs?|ms|herr|frau|mme|mlle|sig|sra?)\b\.? *[^\W\d_][\w'-]*", re.IGNORECASE)
LONG_NUMBER = re.compile(r"\d{6,}")
UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa"}
MAIL = re.compile(r"\S+@\S+")


def identifying_words(dataset: Dataset) -> set[str]:
    """What names the patient, the staff or the place: parts of names, identifiers, dates in every usual form, UIDs."""
    words: set[str] = set()
    for element in elements(dataset):
        values = [str(value).strip() for value in _values(element.value)] if element.VR != "SQ" else []
        if element.VR == "PN":
            for value in values:
                words |= _of_name(value)
        if element.keyword in IDENTIFIERS:
            words |= {value for value in values if len(value) > 2 and value.casefold() not in GENERIC}
        if element.keyword in IDENTIFIERS | NUMBERED or element.VR == "PN":
            words |= {run for value in values for run in digit_runs(value)}
        if element.keyword in PLACES:
            words |= {word for value in values for word in re.findall(r"[^\W\d_]+", value) if _tells(word)}
        if element.keyword == "PatientBirthDate":
            words |= {form for value in values for form in _forms_of_date(value)}
    for keyword in MOMENTS:
        words |= set(_forms_of_date(str(dataset.get(keyword) or "")))
    words |= uids_of(dataset)
    return {word for word in words if len(word) > 1 and word.casefold() not in DUMMY_WORDS}


def uids_of(dataset: Dataset) -> set[str]:
    """UIDs of an object and of what it belongs to."""
    found = (str(dataset.get(k) or "") for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
    return {uid for uid in found if uid}


def _of_name(name: str) -> set[str]:
    parts = [part for part in re.split(r"[\^=\s,]+", name) if part and part.casefold().strip(".") not in GENERIC]
    words = {part for part in parts if len(part) > (2 if part.isascii() else 1)}
    if len(parts) > 1:
        # Parts too short to be looked for alone are looked for together.
        words |= {sign.join(parts[i] for i in order) for sign in NAME_SIGNS for order in ((0, 1), (1, 0))}
    halves = {half for part in parts for half in re.split(r"[-'\u2019]", part) if len(half) >= SHORTEST_PLACE}
    words |= {half for half in halves if half.casefold() not in GENERIC}
    return words | {other for word in words if len(word) > 2 for other in _spellings(word)}


def _spellings(name: str) -> set[str]:
    """Return a name as systems without its letters spell it, and as those that have them do."""
    spelled = {"".join(UMLAUTS.get(sign, sign) for sign in name)}
    spelled.add("".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign)))
    back = name
    for sign, pair in UMLAUTS.items():
        back = back.replace(pair, sign)
    return (spelled | {back}) - {name}


def _tells(word: str) -> bool:
    return len(word) >= SHORTEST_PLACE and word.casefold() not in GENERIC


def _forms_of_date(date: str) -> list[str]:
    if len(date) != 8 or not date.isdigit():
        return []
    year, month, day = date[:4], date[4:6], date[6:]
    orders = ((year, month, day), (day, month, year), (month, day, year))
    return [sign.join(order) for sign in ("", "-", ".", "/", " ") for order in orders]


def word_pattern(word: str) -> re.Pattern[str]:
    """Find a word: a long one anywhere, a short one where no letter or digit is beside it."""
    text = re.escape(word)
    whole = len(word) >= ANYWHERE or not word.isascii()
    return re.compile(text if whole else rf"(?<![^\W_]){text}(?![^\W_])", re.IGNORECASE)


def scrubbed(text: str, secrets: Iterable[re.Pattern[str]]) -> str:
    """Text without what identifies: known words, dates, people addressed by a title, long numbers, mail addresses."""
    for secret in (MAIL, ADDRESSED, DATE, *secrets, LONG_NUMBER):
        text = secret.sub(" ", text)
    return " ".join(word for word in text.split() if any(sign.isalnum() for sign in word))


def elements(dataset: Dataset) -> Iterator[DataElement]:
    """Every element of an object, at any depth."""
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)


def texts(dataset: Dataset) -> Iterator[tuple[Dataset, DataElement]]:
    """Every text of an object that is not fixed by the standard, at any depth, and the item it stands in."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from texts(item)
        elif (
            element.VR in TEXT and element.value and (element.keyword not in FIXED or _is_local_code(dataset, element))
        ):
            yield dataset, element


def _is_local_code(dataset: Dataset, element: DataElement) -> bool:
    """Whether somebody chose a code for themselves, so that it may say anything."""
    return element.keyword == "CodeValue" and not is_public(str(dataset.get("CodingSchemeDesignator") or ""))


def _values(value: Any) -> list[Any]:
    found = list(value) if isinstance(value, MultiValue | list) else [value]
    return [one for one in found if one not in (None, "")]
