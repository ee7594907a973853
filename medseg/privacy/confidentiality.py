"""Takes the patient out of one DICOM object: the Basic Application Level Confidentiality Profile of PS3.15, Annex E.

The table beside this file (`basic_profile.csv`) is Table E.1-1 of DICOM 2026c: what becomes of each attribute. Where it
leaves a choice, the element that stays valid in every object is taken: empty rather than removed (X/Z), a dummy rather
than empty (Z/D, X/D, X/Z/D), and sequences of references are kept with their UIDs replaced (X/Z/U*). The content of
structured reports is cleaned item by item (option 113104) instead of being replaced whole.
"""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from medseg.io.dicom_results.coding import SOFTWARE_VERSION, VALUE, concept
from medseg.privacy.cleaning import Cleaning
from medseg.privacy.coding_schemes import rename_schemes
from medseg.privacy.identifiers import REMOVED, elements, scrubbed, texts, word_pattern
from medseg.privacy.numbers import identifying_numbers, numbers_left
from medseg.privacy.pixels import clean_pixels
from medseg.types import Code

TABLE = Path(__file__).with_name("basic_profile.csv")
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
# Text of a structured report that says what measured, and nothing of whom.
SAFE_TEXT = {"111001", "111002", "111003"}  # algorithm name, parameters, version
REPORT_VALUES = ("TextValue", "PersonName", "Date", "Time", "DateTime")
ORGANIZATIONS = {"121009"}  # person observer's organization name
# What a report says of the patient as a number or a code: sex, age, weight, height, and what follows from them.
OF_THE_PATIENT = {
    "121032", "121033", "27113001", "50373000", "60621009", "301898006", "397669002", "29463-7", "8302-2", "39156-5",
    "3140-1", "30525-0",
}  # fmt: skip
# What is kept beyond the basic profile, by the name in `Kept`.
OPTIONS = {
    "uids": Code("113110", "DCM", "Retain UIDs Option"),
    "dates": Code("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "descriptors": Code("113105", "DCM", "Clean Descriptors Option"),
}
# Dates of a person, whatever is kept, and of tables of codes, which are no days.
OWN_DATES = {
    "PatientBirthDate", "PatientBirthTime", "LastMenstrualDate", "ContextGroupVersion", "ContextGroupLocalVersion",
    "TemplateVersion", "TemplateLocalVersion",
}  # fmt: skip
DESCRIPTORS = {
    "AcquisitionProtocolDescription", "CodeMeaning", "ContentDescription", "ContentLabel", "ContrastBolusAgent",
    "DerivationDescription", "PerformedProcedureStepDescription", "ProtocolName", "ROIDescription",
    "ROIGenerationDescription", "ROIName", "ROIObservationDescription", "ROIObservationLabel",
    "RequestedProcedureDescription", "ScheduledProcedureStepDescription", "SegmentDescription", "SegmentLabel",
    "SeriesDescription", "StructureSetDescription", "StructureSetLabel", "StructureSetName", "StudyDescription",
    "TrackingID",
}  # fmt: skip
# Text without bounds in which a person may have written anything; these say how something was made.
FREE_TEXT = ("LT", "ST", "UC", "UT")
TECHNICAL = {"AlgorithmParameters", "LongCodeValue", "SegmentDescription"}
BINARY = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")
BINARY_NEEDED = {
    "PixelData", "FloatPixelData", "DoubleFloatPixelData", "LUTData",
    *(f"{segmented}{color}PaletteColorLookupTableData"
      for segmented in ("", "Segmented") for color in ("Red", "Green", "Blue", "Alpha")),
}  # fmt: skip
READABLE = {"ContourData": "DS"}
KINDS, FIXED_KINDS = {"ImageType", "FrameType"}, 3  # and how many of their values the standard fixes
# Codes that stand for a person or a place.
DUMMY_CODES = ("PersonIdentificationCodeSequence", "InstitutionCodeSequence")
DUMMY_CODE = Code("removed", "99MEDSEG", "Removed")
BASIC_PROFILE = Code("113100", "DCM", "Basic Application Confidentiality Profile")
CLEAN_STRUCTURED_CONTENT = Code("113104", "DCM", "Clean Structured Content Option")


def deidentify(dataset: Dataset, cleaning: Cleaning) -> set[str]:
    """Take the patient out of an object, in place; return what was looked for in it.

    What pixels show is not looked at: see `medseg.privacy.burned_in`.
    """
    dataset.decode()
    pseudonym = cleaning.patient_of(dataset)
    words = cleaning.words(dataset)
    secrets = [word_pattern(word) for word in sorted(words)]
    if not cleaning.kept.dates:
        cleaning.phases.keep_apart(dataset)
    _clean(dataset, cleaning, pseudonym, secrets)
    _sweep(dataset, secrets, cleaning)
    for owner, element in list(numbers_left(dataset, identifying_numbers(words))):
        cleaning.found_outside(element.keyword)
        owner[element.tag].value = None
    clean_pixels(dataset)
    dataset.PatientID = dataset.PatientName = pseudonym
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "MODIFIED" if cleaning.kept.dates else "REMOVED"
    dataset.DeidentificationMethod = [f"medseg {SOFTWARE_VERSION}", "PS3.15 2026c, Table E.1-1"]
    methods = [BASIC_PROFILE, *([CLEAN_STRUCTURED_CONTENT] if "ContentSequence" in dataset else [])]
    methods += [method for name, method in OPTIONS.items() if getattr(cleaning.kept, name)]
    dataset.DeidentificationMethodCodeSequence = [concept(method) for method in methods]
    dataset.preamble = b"\0" * 128
    meta = dataset.file_meta
    for element in list(meta):
        if element.keyword not in ("TransferSyntaxUID", "MediaStorageSOPClassUID", "FileMetaInformationVersion"):
            del meta[element.tag]
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return words


def _clean(dataset: Dataset, cleaning: Cleaning, patient: str, secrets: list[re.Pattern[str]]) -> None:
    """Apply the table to a dataset and everything nested in it."""
    rename_schemes(dataset, cleaning.scheme)
    if dataset.get("ValueType"):
        _clean_report_item(dataset, cleaning, patient)
    for element in list(dataset):
        if element.VR == "UN" and element.keyword in READABLE:
            element = dataset[element.tag] = _readable(element)
        action = _action(element)
        if _is_kept(element, action, cleaning, patient, secrets):
            continue
        if action == "X":
            del dataset[element.tag]
        elif element.is_empty:
            continue  # says that there was nothing, which a dummy would turn into something
        elif element.VR == "UI":
            element.value = _mapped(element.value, cleaning)
        elif element.keyword in DUMMY_CODES:
            element.value = [concept(DUMMY_CODE)]
        elif element.VR == "SQ" and action not in ("Z", "X/Z"):
            # Its items hold nothing the table does not know: a dummy sequence is one of cleaned items.
            for item in element.value:
                _clean(item, cleaning, patient, secrets)
        elif element.VR == "SQ":
            element.value = []
        elif action in ("Z", "X/Z"):
            element.value = None
        elif action and not (element.keyword in REPORT_VALUES and dataset.get("ValueType")):
            element.value = _dummy(element)


def _is_kept(
    element: DataElement,
    action: str,
    cleaning: Cleaning,
    patient: str,
    secrets: list[re.Pattern[str]],
) -> bool:
    """Whether an option keeps an element, which is then changed as far as the option asks."""
    if cleaning.kept.dates and element.VR in ("DA", "DT", "TM") and element.keyword not in OWN_DATES:
        if element.VR == "TM" or element.is_empty:
            return True
        moved = _shifted(element, cleaning, patient)
        if moved is not None:
            element.value = moved
        return moved is not None
    if cleaning.kept.descriptors and element.keyword in DESCRIPTORS and element.VR != "SQ" and not element.is_empty:
        values = element.value if isinstance(element.value, MultiValue) else [element.value]
        cleaned = [scrubbed(str(value), secrets) for value in values]
        element.value = [text or REMOVED for text in cleaned] if len(cleaned) > 1 else cleaned[0] or _dummy(element)
        return True
    return action == "" and element.keyword == "SegmentDescription" and str(element.value).startswith(VALUE)


def _shifted(element: DataElement, cleaning: Cleaning, patient: str) -> Any:
    """Return an element's dates moved; None where one is none."""
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    moved = [cleaning.shifted(str(value), patient) for value in values]
    return None if None in moved else moved if len(moved) > 1 else moved[0]


def _readable(element: DataElement) -> DataElement:
    """Points of a contour that are too long for an element of explicit kind."""
    return DataElement(element.tag, READABLE[element.keyword], element.value.decode("ascii").split("\\"))


def _action(element: DataElement) -> str:
    """What the profile does with an element, with its choices made; empty where it is kept."""
    tag = element.tag
    if tag.is_private or element.VR == "UN" or _is_repeating(tag) or not dictionary_has_tag(tag):
        return "X"
    if element.VR in BINARY and element.keyword not in BINARY_NEEDED:
        return "X"
    action = _table().get(int(tag), "")
    if not action and element.VR in FREE_TEXT and element.keyword not in TECHNICAL:
        return "X" if element.keyword not in REPORT_VALUES else ""
    if not action and element.keyword not in REPORT_VALUES:
        # Names, moments and addresses the table does not know, retired ones as a rule, are no use to anybody.
        return {"PN": "Z", "DA": "X", "DT": "X", "TM": "X", "UR": "X"}.get(element.VR, "")
    return {"Z/D": "D", "X/D": "D", "X/Z/D": "D"}.get(action, action)


def is_personal(element: DataElement) -> bool:
    """Whether the profile takes an element's value away, because it may say who a person is or where."""
    return _action(element) != ""


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


def _clean_report_item(item: Dataset, cleaning: Cleaning, patient: str) -> None:
    """Replace what a content item of a report says in words, names or dates, of an organization, or of the patient."""
    name = (item.get("ConceptNameCodeSequence") or [Dataset()])[0]
    if (str(name.get("CodeValue")), str(name.get("CodingSchemeDesignator"))) in {(code, "DCM") for code in SAFE_TEXT}:
        return
    if str(name.get("CodeValue")) in ORGANIZATIONS | OF_THE_PATIENT and "ConceptCodeSequence" in item:
        item.ConceptCodeSequence = [concept(DUMMY_CODE)]
    if str(name.get("CodeValue")) in OF_THE_PATIENT and "MeasuredValueSequence" in item:
        item.MeasuredValueSequence = []
    for keyword in REPORT_VALUES:
        if keyword not in item or item[keyword].is_empty:
            continue
        moved = None
        if cleaning.kept.dates and item[keyword].VR in ("DA", "DT"):
            moved = _shifted(item[keyword], cleaning, patient)
        if not (cleaning.kept.dates and item[keyword].VR == "TM"):
            item[keyword].value = moved or _dummy(item[keyword])


def _sweep(dataset: Dataset, secrets: list[re.Pattern[str]], cleaning: Cleaning) -> None:
    """Empty every remaining text that holds one of the patient's own identifiers, and note where it was."""
    for element in elements(dataset):
        # What a maker, or somebody, adds to the kinds that the standard fixes is text like any other.
        if element.keyword in KINDS and element.VM > FIXED_KINDS:
            named = [kind for kind in element.value[FIXED_KINDS:] if any(secret.search(kind) for secret in secrets)]
            for kind in named:
                cleaning.found_outside(element.keyword)
                element.value.remove(kind)
    for owner, element in texts(dataset):
        if any(secret.search(str(element.value)) for secret in secrets):
            cleaning.found_outside(element.keyword or str(element.tag))
            kept = scrubbed(str(element.value), secrets) if cleaning.kept.descriptors else ""
            owner[element.tag].value = kept if kept and element.keyword in DESCRIPTORS else _dummy(element)
