"""Takes the patient out of one DICOM object: the Basic Application Level Confidentiality Profile of PS3.15, Annex E.

The table beside this file (`basic_profile.csv`) is Table E.1-1 of DICOM 2026c: what becomes of each attribute. Where it
leaves a choice, the element that stays valid in every object is taken: empty rather than removed (X/Z), a dummy rather
than empty (Z/D, X/D, X/Z/D), and sequences of references are kept with their UIDs replaced (X/Z/U*). The content of
structured reports is cleaned item by item (option 113104) instead of being replaced whole.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import UID

from medseg.io.dicom_results.coding import SOFTWARE_VERSION, concept
from medseg.types import Code

TABLE = Path(__file__).with_name("basic_profile.csv")
STANDARD_UIDS = "1.2.840.10008."
REMOVED = "removed"
DUMMIES: dict[str, Any] = {
    "AS": "000Y",
    "CS": "REMOVED",
    "AE": "REMOVED",
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "PN": "Removed",
    "UR": "http://removed.invalid",
    **dict.fromkeys(("DS", "IS"), "0"),
    **dict.fromkeys(("FL", "FD", "SL", "SS", "SV", "UL", "US", "UV"), 0),
    **dict.fromkeys(("OB", "OD", "OF", "OL", "OV", "OW"), b"\0\0"),
}
# What stands in the place of a name is not one, in objects that were de-identified before.
DUMMY_WORDS = {REMOVED, "anonymous", "anonymized", "anonymised"}
TEXT = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
# Text with a meaning fixed by the standard, which only ever looks like a name, and without which nothing can be read.
FIXED = {
    "CodeValue", "CodingSchemeDesignator", "ContourGeometricType", "FrameType", "ImageType", "LongCodeValue",
    "Modality", "PatientPosition", "PhotometricInterpretation", "RelationshipType", "SegmentationType", "ValueType",
}  # fmt: skip
# Text of a structured report that says what measured, and nothing of whom.
SAFE_TEXT = {"111001", "111002", "111003"}  # algorithm name, parameters, version
REPORT_VALUES = ("TextValue", "PersonName", "Date", "Time", "DateTime")
# Where the identifiers are found that must not turn up anywhere else.
IDENTIFYING = (
    "PatientName", "PatientID", "PatientBirthDate", "OtherPatientNames", "OtherPatientIDs", "PatientBirthName",
    "PatientMotherBirthName", "PatientAddress", "PatientTelephoneNumbers", "AccessionNumber", "IssuerOfPatientID",
)  # fmt: skip
NAME_SIGNS = ("^", " ", ", ", ",", "_", ".", "-", "")
ANYWHERE = 6  # letters and digits of a word that hardly turns up within another by chance
# Codes that stand for a person or a place.
DUMMY_CODES = ("PersonIdentificationCodeSequence", "InstitutionCodeSequence")
DUMMY_CODE = Code("removed", "99MEDSEG", "Removed")
BASIC_PROFILE = Code("113100", "DCM", "Basic Application Confidentiality Profile")
CLEAN_STRUCTURED_CONTENT = Code("113104", "DCM", "Clean Structured Content Option")


@dataclass
class Cleaning:
    """Who is who in one run, and what was found where it should not be."""

    key: bytes  # secret: the same key maps the same identifiers alike, and without it nobody can tell which was which
    # Attributes outside the profile's table that held an identifier, and how often; they were emptied.
    leaks: dict[str, int] = field(default_factory=dict)
    _words: dict[str, set[str]] = field(default_factory=dict)
    _patients: dict[str, str] = field(default_factory=dict)

    def learn(self, dataset: Dataset) -> None:
        """Remember how an object names its patient, for other objects of the study that may do so elsewhere."""
        study = str(dataset.get("StudyInstanceUID") or "")
        if not study:
            return
        self._words.setdefault(study, set()).update(identifying_words(dataset))
        if dataset.get("PatientID"):
            self._patients.setdefault(study, str(dataset.PatientID))

    def words(self, study: str) -> set[str]:
        """What names the patient in the objects of a study learned of."""
        return self._words.get(study, set())

    def patient_of(self, dataset: Dataset) -> str:
        """Pseudonym of an object's patient; where the object does not say who it is, its study's others do."""
        study = str(dataset.get("StudyInstanceUID") or "")
        who = dataset.get("PatientID") or self._patients.get(study) or dataset.get("PatientName") or study
        return self.patient(str(who))

    def uid(self, uid: str) -> str:
        """Return the UID that stands for another; UIDs of the standard itself stay."""
        if not uid or uid.startswith(STANDARD_UIDS):
            return uid
        bits = bytearray(self._hash("uid", uid)[:16])
        bits[6] = (bits[6] & 0x0F) | 0x80
        bits[8] = (bits[8] & 0x3F) | 0x80
        return str(UID(f"2.25.{uuid.UUID(bytes=bytes(bits)).int}"))

    def patient(self, identifier: str) -> str:
        """Pseudonym of a patient: the same for all objects with the same identifier."""
        return "P-" + self._hash("patient", identifier).hex()[:12]

    def _hash(self, kind: str, text: str) -> bytes:
        return hmac.digest(self.key, f"{kind}\0{text.strip()}".encode(), hashlib.sha256)


def deidentify(dataset: Dataset, cleaning: Cleaning) -> None:
    """Take the patient out of an object, in place.

    Pixels are not looked at: see `medseg.privacy.burned_in`.
    """
    dataset.decode()
    pseudonym = cleaning.patient_of(dataset)
    words = identifying_words(dataset) | cleaning.words(str(dataset.get("StudyInstanceUID") or ""))
    secrets = [_pattern(word) for word in sorted(words)]
    _clean(dataset, cleaning)
    _sweep(dataset, secrets, cleaning)
    dataset.PatientID = dataset.PatientName = pseudonym
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    dataset.DeidentificationMethod = [f"medseg {SOFTWARE_VERSION}", "PS3.15 2026c, Table E.1-1"]
    methods = [BASIC_PROFILE, CLEAN_STRUCTURED_CONTENT] if "ContentSequence" in dataset else [BASIC_PROFILE]
    dataset.DeidentificationMethodCodeSequence = [concept(method) for method in methods]
    dataset.preamble = b"\0" * 128
    meta = dataset.file_meta
    for element in list(meta):
        if element.keyword not in ("TransferSyntaxUID", "MediaStorageSOPClassUID", "FileMetaInformationVersion"):
            del meta[element.tag]
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID


def _clean(dataset: Dataset, cleaning: Cleaning) -> None:
    """Apply the table to a dataset and everything nested in it."""
    if dataset.get("ValueType"):
        _clean_report_item(dataset)
    for element in list(dataset):
        action = _action(element)
        if action == "X":
            del dataset[element.tag]
        elif element.VR == "UI":
            element.value = _mapped(element.value, cleaning)
        elif element.keyword in DUMMY_CODES:
            element.value = [concept(DUMMY_CODE)]
        elif element.VR == "SQ" and action not in ("Z", "X/Z"):
            # Its items hold nothing the table does not know: a dummy sequence is one of cleaned items.
            for item in element.value:
                _clean(item, cleaning)
        elif element.VR == "SQ":
            element.value = []
        elif action in ("Z", "X/Z"):
            element.value = None
        elif action and not (element.keyword in REPORT_VALUES and dataset.get("ValueType")):
            element.value = _dummy(element)


def _action(element: DataElement) -> str:
    """What the profile does with an element, with its choices made; empty where it is kept."""
    tag = element.tag
    if tag.is_private or element.VR == "UN" or _is_repeating(tag) or not dictionary_has_tag(tag):
        return "X"
    action = _table().get(int(tag), "")
    if not action and element.keyword not in REPORT_VALUES:
        # Names, moments and addresses the table does not know, retired ones as a rule, are no use to anybody.
        return {"PN": "Z", "DA": "X", "DT": "X", "TM": "X", "UR": "X"}.get(element.VR, "")
    return {"Z/D": "D", "X/D": "D", "X/Z/D": "D"}.get(action, action)


def _is_repeating(tag: BaseTag) -> bool:
    """Whether an element belongs to curves or overlays."""
    return (tag.group & 0xFF00) in (0x5000, 0x6000)


@cache
def _table() -> dict[int, str]:
    with TABLE.open(encoding="ascii", newline="") as stream:
        return {int(row["tag"], 16): row["action"] for row in csv.DictReader(stream)}


def _mapped(value: Any, cleaning: Cleaning) -> Any:
    if isinstance(value, MultiValue | list):
        return [cleaning.uid(str(v)) for v in value]
    return cleaning.uid(str(value)) if value else value


def _dummy(element: DataElement) -> Any:
    return DUMMIES.get(element.VR, REMOVED)


def _clean_report_item(item: Dataset) -> None:
    """Replace what a content item of a structured report says in words, names or dates."""
    name = (item.get("ConceptNameCodeSequence") or [Dataset()])[0]
    if (str(name.get("CodeValue")), str(name.get("CodingSchemeDesignator"))) in {(code, "DCM") for code in SAFE_TEXT}:
        return
    for keyword in REPORT_VALUES:
        if keyword in item:
            item[keyword].value = _dummy(item[keyword])


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


def _pattern(word: str) -> re.Pattern[str]:
    """Find a word: a long one anywhere, a short one where no letter or digit is beside it."""
    text = re.escape(word)
    whole = len(word) >= ANYWHERE or not word.isascii()
    return re.compile(text if whole else rf"(?<![^\W_]){text}(?![^\W_])", re.IGNORECASE)


def _sweep(dataset: Dataset, secrets: list[re.Pattern[str]], cleaning: Cleaning) -> None:
    """Empty every remaining text that holds one of the patient's own identifiers, and note where it was."""
    for owner, element in _texts(dataset):
        if any(secret.search(str(element.value)) for secret in secrets):
            name = element.keyword or str(element.tag)
            cleaning.leaks[name] = cleaning.leaks.get(name, 0) + 1
            owner[element.tag].value = _dummy(element)


def _texts(dataset: Dataset) -> Iterator[tuple[Dataset, DataElement]]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(item)
        elif element.VR in TEXT and element.keyword not in FIXED and element.value:
            yield dataset, element
