"""The segment metadata 3D Slicer writes into ``.seg.nrrd``: names, colors, terminology, layers that may overlap."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.types.geometry import Geometry
from medseg.types.labels import PALETTE, Code, LabelClass, LabelMap, LabelTable, smallest_label_dtype
from medseg.types.overlapping import AnyLabels, Layers, OverlappingLabels

TERMINOLOGY = "TerminologyEntry"
CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
# What Slicer itself writes where nothing is known of a segment.
SHORT_STRING, LONG_STRING = 16, 64  # characters that DICOM has for values and for meanings
TISSUE = Code("85756007", "SCT", "Tissue")


def read_segments(
    layers: npt.NDArray[Any], fields: Mapping[str, str], geometry: Geometry, *, where: object
) -> OverlappingLabels:
    """Bring Slicer's segments together; segments of one layer do not overlap, those of several may.

    `layers` has shape (layers, X, Y, Z). Values are Slicer's own where there is one layer, else numbered from 1 in the
    order of the segments. Slicer before 4.11 names no layers: there every segment has the layer of its own number.
    """
    numbers = [int(m.group(1)) for key in fields if (m := re.fullmatch(r"Segment(\d{1,5})_ID", key))]
    if not numbers:
        raise InputError("none of its segments has an id", where=where, fix="Save it again from 3D Slicer.")
    count = 1 + max(numbers)
    has_names = any(re.fullmatch(r"Segment\d{1,5}_Layer", key) for key in fields)
    together = Layers(geometry.shape)
    classes: list[LabelClass] = []
    names: set[str] = set()
    for index in range(count):
        get = _Segment(fields, index).get
        if not get("ID"):
            continue
        try:
            layer, stored = int(get("Layer") or (0 if has_names else index)), int(get("LabelValue") or 1)
            inside = layers[layer] == stored
        except (ValueError, IndexError) as error:
            raise InputError(
                f"segment {index} names a layer or value that is not there",
                where=where,
                fix="Save it again from 3D Slicer.",
            ) from error
        value = stored if len(layers) == 1 else len(classes) + 1
        together.add(value, inside)
        name = get("Name") or get("ID")
        while name in names:
            name += " (again)"
        names.add(name)
        category, code = _codes(get("Tags"))
        classes.append(LabelClass(value, name, category, code, _color(get("Color"), value)))
    present = {int(v) for v in np.unique(layers)} - {0}
    if len(layers) == 1 and (unnamed := present - {c.value for c in classes}):
        raise InputError(
            f"values {sorted(unnamed)} belong to no segment", where=where, fix="Save it again from Slicer."
        )
    return together.labels(geometry, LabelTable(tuple(classes)))


def layers_of(labels: AnyLabels) -> dict[int, int]:
    """Layer of each class, by its value: the first in which it shares no voxel with another."""
    if isinstance(labels, LabelMap):
        return {entry.value: 0 for entry in labels.table}
    layers: list[set[int]] = []
    placed: dict[int, int] = {}
    for entry in labels.table:
        near = {value for values in labels.classes_of if entry.value in values for value in values}
        number = next((n for n, layer in enumerate(layers) if not layer & near), len(layers))
        if number == len(layers):
            layers.append(set())
        layers[number].add(entry.value)
        placed[entry.value] = number
    return placed


def stacked(labels: OverlappingLabels, layers: Mapping[int, int]) -> npt.NDArray[Any]:
    """Label maps of the layers, shape (X, Y, Z, layers)."""
    count = max(layers.values(), default=0) + 1
    lookup = np.zeros((len(labels.classes_of), count), smallest_label_dtype(labels.table.largest))
    for number, values in enumerate(labels.classes_of):
        for value in values:
            lookup[number, layers[value]] = value
    result: npt.NDArray[Any] = lookup[labels.combinations]
    return result


def segment_fields(labels: AnyLabels, layers: Mapping[int, int]) -> dict[str, str]:
    """Key-value pairs that make 3D Slicer show labels with their names, colors and codes."""
    fields = {
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
    }
    extent = " ".join(f"0 {n - 1}" for n in labels.geometry.shape)
    for index, one in enumerate(labels.table):
        category, code = one.category or TISSUE, one.code or TISSUE
        entry = "~".join(
            (CONTEXT, _triple(category), _triple(code), "^^", "Anatomic codes - DICOM master list", "^^", "^^")
        )
        for key, value in (
            ("ID", f"Segment_{one.value}"),
            ("Name", one.name),
            ("NameAutoGenerated", "0"),
            ("Color", " ".join(f"{c / 255:.6g}" for c in one.color)),
            ("ColorAutoGenerated", "0"),
            ("Extent", extent),
            ("LabelValue", str(one.value)),
            ("Layer", str(layers[one.value])),
            ("Tags", f"{TERMINOLOGY}:{entry}|"),
        ):
            fields[f"Segment{index}_{key}"] = value
    return fields


class _Segment:
    """The fields of one segment."""

    def __init__(self, fields: Mapping[str, str], index: int) -> None:
        self.fields, self.prefix = fields, f"Segment{index}_"

    def get(self, key: str) -> str:
        return self.fields.get(self.prefix + key, "").strip()


def _triple(code: Code) -> str:
    return f"{code.scheme}^{code.value}^{code.meaning}"


def _codes(tags: str) -> tuple[Code | None, Code | None]:
    """Category and type from ``TerminologyEntry:context~SCT^1^Category~SCT^2^Type~...``."""
    entry = next((tag.partition(":")[2] for tag in tags.split("|") if tag.startswith(f"{TERMINOLOGY}:")), "")
    parts = entry.split("~")
    codes: list[Code | None] = []
    for part in [*parts[1:3], "", ""][:2]:
        scheme, value, meaning = [*part.split("^"), "", "", ""][:3]
        # A code longer than DICOM allows is none; meanings are for people, and may be cut.
        is_code = 0 < len(value) <= SHORT_STRING and 0 < len(scheme) <= SHORT_STRING
        codes.append(Code(value, scheme, meaning[:LONG_STRING] or value) if is_code else None)
    # Slicer's own code for what has none.
    return (None, None) if codes == [TISSUE, TISSUE] else (codes[0], codes[1])


def _color(text: str, value: int) -> tuple[int, int, int]:
    """Slicer's 0-1 color as sRGB 0-255; one of our own where it has none."""
    try:
        red, green, blue = (min(255, max(0, round(float(part) * 255))) for part in text.split())
    except ValueError:
        return PALETTE[(value - 1) % len(PALETTE)]
    return red, green, blue
