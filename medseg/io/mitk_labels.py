"""The label metadata MITK writes into NRRD: names and colors of its labels, in groups that may overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.config.safe_json import parse_json
from medseg.errors import InputError
from medseg.types.geometry import Geometry
from medseg.types.labels import PALETTE, LabelClass, LabelTable
from medseg.types.overlapping import Layers, OverlappingLabels

GROUPS = "org.mitk.multilabel.segmentation.labelgroups"


def read_groups(layers: npt.NDArray[Any], text: str, geometry: Geometry, *, where: object) -> OverlappingLabels:
    """Bring MITK's groups together; labels of one group do not overlap, those of several may.

    `layers` has shape (groups, X, Y, Z).
    """
    try:
        labels = [label for group in parse_json(text) for label in group["labels"]]
        entries = [
            (int(label["value"]), str(label.get("name") or f"class-{label['value']}"), label) for label in labels
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "the description of its labels cannot be read", where=where, fix="Save it again from MITK."
        ) from error
    together = Layers(geometry.shape)
    present = {int(value) for value in np.unique(layers)} - {0}
    for layer in layers:
        for value in np.unique(layer).tolist():
            if value:
                together.add(value, layer == value)
    if unnamed := present - {value for value, _, _ in entries}:
        raise InputError(f"values {sorted(unnamed)} belong to no label", where=where, fix="Save it again from MITK.")
    names = [name for _, name, _ in entries]
    classes = tuple(
        LabelClass(value, name if names.count(name) == 1 else f"{name} {value}", color=_color(label, value))
        for value, name, label in entries
        if value
    )
    return together.labels(geometry, LabelTable(classes))


def _color(label: Any, value: int) -> tuple[int, int, int]:
    """MITK's color, fractions of 1, as sRGB 0-255; one of our own where it has none."""
    try:
        red, green, blue = (min(255, max(0, round(float(part) * 255))) for part in label["color"]["value"])
    except (KeyError, TypeError, ValueError):
        return PALETTE[(value - 1) % len(PALETTE)]
    return red, green, blue
