"""The Medical Segmentation Decathlon's layout: `dataset.json` lists image and label of each case.

Source: Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 4128 (2022).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.errors import InputError
from medseg.types import LabelClass, LabelTable
from medseg.types.labels import PALETTE

__all__ = ["dicom_modality", "read", "read_description", "recognise"]

DESCRIPTION = "dataset.json"
IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")

# What datasets write for a modality, and DICOM's word for it.
_MODALITIES = {"MRI": "MR", "T1": "MR", "T1W": "MR", "T2": "MR", "T2W": "MR", "FLAIR": "MR", "ADC": "MR", "PET": "PT"}
_DICOM_WORDS = {"MR", "CT", "PT", "US", "CR", "DX", "MG", "XA", "NM", "OCT", "SM"}


def recognise(path: Path) -> bool:
    """Whether a folder's `dataset.json` has the Decathlon's `training` list."""
    try:
        return isinstance(read_description(path).get("training"), list)
    except InputError:
        return False


def read(path: Path) -> Dataset:
    """Read a dataset of the Decathlon's layout.

    Raises
    ------
    InputError
        When a key is missing or does not hold what it should, naming the key.
    """
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
        licence=str(description.get("licence") or ""),
        description=str(description.get("description") or ""),
    )


def read_description(path: Path) -> dict[str, Any]:
    """Read a folder's `dataset.json`.

    Raises
    ------
    InputError
        When there is none or it is not a JSON object.
    """
    where = path / DESCRIPTION
    try:
        content = json.loads(where.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"cannot be read ({error})", where=where) from error
    if not isinstance(content, dict):
        raise InputError("is not a JSON object", where=where)
    return content


def dicom_modality(name: str) -> str | None:
    """DICOM's word for what a dataset calls a modality; None where it cannot be told."""
    word = name.strip().upper().split("-")[0].split("_")[0].split(" ")[0]
    return word if word in _DICOM_WORDS else _MODALITIES.get(word)


def _table(labels: Mapping[str, Any], where: Path) -> LabelTable:
    try:
        named = {int(value): str(name) for value, name in labels.items()}
    except ValueError as error:
        raise InputError(f"'labels' must map numbers to names ({error})", where=where) from error
    values = sorted(value for value in named if value > 0)
    return LabelTable(tuple(LabelClass(v, named[v], color=PALETTE[(v - 1) % len(PALETTE)]) for v in values))


def _case(folder: Path, item: Any, where: Path) -> DatasetCase:
    if not isinstance(item, dict) or "image" not in item or "label" not in item:
        raise InputError("each item of 'training' needs 'image' and 'label'", where=where, fix=f"It has {item!r}.")
    image = folder / str(item["image"])
    return DatasetCase(case_id_of(image), (image,), folder / str(item["label"]))


def case_id_of(image: Path) -> str:
    """File name without the suffix of an image format."""
    suffix = next((s for s in IMAGE_SUFFIXES if image.name.lower().endswith(s)), image.suffix)
    return image.name[: len(image.name) - len(suffix)] if suffix else image.name
