"""The Medical Segmentation Decathlon's layout: `dataset.json` lists image and label of each case.

Source: Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 4128 (2022).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.data.modality import dicom_modality
from medseg.errors import InputError, first_line
from medseg.io.files.case_id import stem
from medseg.types import LabelClass, LabelTable
from medseg.types.labels import PALETTE

DESCRIPTION = "dataset.json"


def recognize(path: Path) -> bool:
    """Whether a folder's `dataset.json` has the Decathlon's `training` list."""
    try:
        return isinstance(read_description(path).get("training"), list)
    except InputError:
        return False


def read(path: Path) -> Dataset:
    """Read a dataset of the Decathlon's layout."""
    description = read_description(path)
    where = path / DESCRIPTION
    labels = description.get("labels")
    modality = description.get("modality")
    if not isinstance(labels, dict) or not isinstance(modality, dict):
        missing = "labels" if not isinstance(labels, dict) else "modality"
        raise InputError(f"'{missing}' is missing or is not a mapping of numbers to names", where=where)
    channels = tuple(
        Channel(str(modality[key]), dicom_modality(str(modality[key]))) for key in sorted(modality, key=int)
    )
    return Dataset(
        name=str(description.get("name") or path.name),
        folder=path,
        layout="msd",
        channels=channels,
        table=_table(labels, where),
        cases=tuple(_case(path, item, where) for item in description["training"]),
        license=str(description.get("licence") or ""),
        description=str(description.get("description") or ""),
    )


def read_description(path: Path) -> dict[str, Any]:
    """Read a folder's `dataset.json`."""
    where = path / DESCRIPTION
    try:
        content = json.loads(where.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot be read ({first_line(error)})", where=where) from error
    if not isinstance(content, dict):
        raise InputError("is not a JSON object", where=where)
    return content


def class_table(names: Mapping[int, str]) -> LabelTable:
    """Label table of classes by value, in the usual colors; values below 1 are background and skipped."""
    return LabelTable(
        tuple(LabelClass(v, name, color=PALETTE[(v - 1) % len(PALETTE)]) for v, name in sorted(names.items()) if v > 0)
    )


def _table(labels: Mapping[str, Any], where: Path) -> LabelTable:
    try:
        return class_table({int(value): str(name) for value, name in labels.items()})
    except ValueError as error:
        raise InputError(f"'labels' must map numbers to names ({error})", where=where) from error


def _case(folder: Path, item: Any, where: Path) -> DatasetCase:
    if not isinstance(item, dict) or "image" not in item or "label" not in item:
        raise InputError("each item of 'training' needs 'image' and 'label'", where=where, fix=f"It has {item!r}.")
    image = folder / str(item["image"])
    return DatasetCase(stem(image.name), (image,), folder / str(item["label"]))
