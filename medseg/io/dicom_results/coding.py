"""Between a class of a label table and the codes, colors and algorithm that DICOM writes of a segment."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medseg.types import AnyLabels, Code, LabelClass, LabelMap, LabelTable, ModelIdentity
from medseg.types.labels import PALETTE

# The code of a class without one of its own: true of anything a model segments in a patient, and no more.
ANATOMICAL_STRUCTURE = Code("123037004", "SCT", "Anatomical Structure")
NOTICE = "research use only"
SOFTWARE_VERSION = version("medseg")


# Before a name, and those that only follow another title.
TITLES = frozenset(("dr", "prof", "professor", "doctor", "priv.-doz", "univ.-prof", "mr", "mrs", "ms", "herr", "frau"))
OF_DOCTORS = frozenset(("med", "univ", "dent", "habil"))
LONGEST_PN = 64


def concept(code: Code) -> hd.sr.CodedConcept:
    """Return a code as highdicom's."""
    return hd.sr.CodedConcept(code.value, code.scheme, code.meaning)


def category_of(entry: LabelClass) -> Code:
    """DICOM's segmented property category of a class."""
    return entry.category or ANATOMICAL_STRUCTURE


def type_of(entry: LabelClass) -> Code:
    """DICOM's segmented property type of a class."""
    return entry.code or ANATOMICAL_STRUCTURE


def algorithm(model: ModelIdentity) -> hd.AlgorithmIdentificationSequence:
    """Name, version and hash of a model as DICOM's algorithm identification."""
    return hd.AlgorithmIdentificationSequence(
        name=long_string(model.name),
        version=long_string(model.version),
        family=codes.DCM.ArtificialIntelligence,
        source="medseg",
        parameters={"package_sha256": model.hash},
    )


def algorithm_type(model: ModelIdentity, value: int) -> str:
    """DICOM's word for how a class came about, by its value.

    ``"AUTOMATIC"``; ``"SEMIAUTOMATIC"`` where a person changed it after the model; ``"MANUAL"`` where a person drew it,
    or no package stands behind any of the labels.
    """
    if not model.hash or value in model.drawn:
        return "MANUAL"
    return "SEMIAUTOMATIC" if value in model.corrected else "AUTOMATIC"


def serial_number(model: ModelIdentity) -> str:
    """Device serial number, which DICOM insists on: the hash of the model's package."""
    return model.hash or "none"


def describe(entry: LabelClass, number: int, model: ModelIdentity, tracking_uid: str) -> hd.seg.SegmentDescription:
    """Describe a class as a segment; the description keeps the class's value where the number differs."""
    kind = algorithm_type(model, entry.value)
    segment = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=long_string(entry.name),
        segmented_property_category=concept(category_of(entry)),
        segmented_property_type=concept(type_of(entry)),
        algorithm_type=kind,
        algorithm_identification=None if kind == "MANUAL" else algorithm(model),
        tracking_uid=tracking_uid,
        tracking_id=long_string(entry.name),
        display_color=hd.color.CIELabColor.from_rgb(*entry.color),
    )
    if entry.value != number:
        segment.SegmentDescription = f"{VALUE}{entry.value}"
    return segment


VALUE = "label value "


def class_of(segment: Dataset, value: int) -> LabelClass:
    """Class of a label table that a segment describes; `value` is used where the segment does not say."""
    text = str(segment.get("SegmentDescription") or "")
    if text.startswith(VALUE) and text.removeprefix(VALUE).isdecimal() and 1 <= int(text.removeprefix(VALUE)) <= 65535:
        value = int(text.removeprefix(VALUE))
    color = PALETTE[(value - 1) % len(PALETTE)]
    if segment.get("RecommendedDisplayCIELabValue"):
        lab = hd.color.CIELabColor.from_dicom_value(tuple(segment.RecommendedDisplayCIELabValue))
        red, green, blue = (round(c) for c in lab.to_rgb(clip=True))
        color = (red, green, blue)
    return LabelClass(
        value,
        str(segment.get("SegmentLabel") or f"class-{value}"),
        code_of(segment, "SegmentedPropertyCategoryCodeSequence"),
        code_of(segment, "SegmentedPropertyTypeCodeSequence"),
        color,
    )


def table_of(classes: list[LabelClass]) -> LabelTable:
    """Return a label table of classes that may share names: a repeated name gets its value added."""
    named: list[LabelClass] = []
    for entry in classes:
        taken = any(entry.name == other.name for other in named)
        name = f"{entry.name} {entry.value}" if taken else entry.name
        named.append(LabelClass(entry.value, name, entry.category, entry.code, entry.color, entry.is_thing))
    return LabelTable(tuple(named))


def with_a_class(labels: AnyLabels) -> AnyLabels:
    """Return labels that name no class and hold none under a class that was not found: DICOM objects describe one."""
    array = labels.array if isinstance(labels, LabelMap) else labels.combinations
    if labels.table.classes or array.any():
        return labels
    return LabelMap(array, labels.geometry, LabelTable.unnamed([1]))


def long_string(text: str) -> str:
    """Return text that fits DICOM's LO: 64 characters, no backslash, no control characters."""
    return "".join(" " if c == "\\" or not c.isprintable() else c for c in text)[:64].strip() or "unnamed"


def person_name(name: str) -> str:
    """Return a name as DICOM's PN, family name first; one with a ^ is taken to be a PN already.

    Titles before it are the prefix, and degrees after a comma the suffix.

    >>> person_name("Prof. Dr. Ada B. Reader, MD")
    'Reader^Ada B.^^Prof. Dr.^MD'
    """
    text = long_string(name.replace("=", " ")) if name.strip() else ""
    if "^" in text:
        return text
    words, _, suffix = (part.strip() for part in text.partition(","))
    if not words or not suffix:
        words, suffix = text, ""
    titles, own = _split_titles(words.split())
    parts = [own[-1], " ".join(own[:-1]), "", " ".join(titles), suffix] if own else [text]
    return "^".join(parts).rstrip("^")[:LONGEST_PN]


def _split_titles(words: list[str]) -> tuple[list[str], list[str]]:
    """Titles at the beginning of a name, and the rest, which is never empty."""
    count = 0
    while count < len(words) - 1 and words[count].lower().strip(".") in (TITLES | OF_DOCTORS if count else TITLES):
        count += 1
    return words[:count], words[count:]


def notice(model: ModelIdentity) -> str:
    """What every reader must know of what a model made."""
    return model.mark or NOTICE


def title(model: ModelIdentity) -> str:
    """Series description of what a model made."""
    more = " corrected" if model.corrected or model.drawn else ""
    length = 64 - len(f"medseg {more}, {notice(model)}")
    return long_string(f"medseg {model.name[:length]}{more}, {notice(model)}")


def code_of(item: Dataset, keyword: str) -> Code | None:
    """First code of a code sequence, if it has one."""
    items: Any = item.get(keyword)
    if not items:
        return None
    first = items[0]
    value = first.get("CodeValue") or first.get("LongCodeValue") or first.get("URNCodeValue")
    if value is None:
        return None
    return Code(str(value), str(first.get("CodingSchemeDesignator") or ""), str(first.get("CodeMeaning") or ""))
