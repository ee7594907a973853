"""nnU-Net's raw layout: `imagesTr/CASE_0000.nii.gz` for each channel, `labelsTr/CASE.nii.gz`, `dataset.json`.

Source: nnU-Net 2, documentation/dataset_format.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.data.class_table import class_table
from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.data.layout_msd import DESCRIPTION, read_description, values_of_names
from medseg.data.modality import dicom_modality
from medseg.errors import InputError
from medseg.io.files.case_id import stem

CHANNEL = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")
IMAGES_2D = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")


def recognize(path: Path) -> bool:
    """Whether a folder's `dataset.json` has nnU-Net's `channel_names` and `file_ending`."""
    try:
        description = read_description(path)
    except InputError:
        return False
    return "file_ending" in description and "labels" in description


def read(path: Path) -> Dataset:
    """Read a dataset of nnU-Net's raw layout.

    Cases come from the description's own list where it has one, otherwise from `imagesTr`.
    """
    description = read_description(path)
    where = path / DESCRIPTION
    ending = str(description["file_ending"])
    named = description.get("channel_names", description.get("modality"))
    labels = description.get("labels")
    labels = values_of_names(labels) if isinstance(labels, dict) else labels
    if not isinstance(named, dict) or not named:
        raise InputError(
            "'channel_names' is missing or is not a mapping of numbers to names",
            where=where,
            fix='Write it as in {"0": "CT"}.',
        )
    if not isinstance(labels, dict):
        raise InputError(
            "'labels' is missing or is not a mapping of names to values",
            where=where,
            fix='Write it as in {"background": 0, "liver": 1}.',
        )
    channels = tuple(Channel(str(named[key]), dicom_modality(str(named[key]))) for key in sorted(named, key=int))
    regions: dict[int, tuple[int, ...]] = {}
    overlapping = description.get("overlapping") is True
    if any(isinstance(value, list) and len(value) > 1 for value in labels.values()):
        order = description.get("regions_class_order")
        if order is None and overlapping:  # says what lies on top, and nothing does
            order = [*range(1, 1 + sum(value not in (0, [0]) for name, value in labels.items() if name != "ignore"))]
        names, regions = _regions(labels, order, where)
        ignore = None if labels.get("ignore") is None else int(labels["ignore"])
    else:
        names, ignore = _classes(labels, where)
    listed = description.get("dataset")
    ending, unclear = _ending(path, ending)
    cases = _listed(path, listed, len(channels), where) if isinstance(listed, dict) else _found(path, ending, channels)
    return Dataset(
        name=str(description.get("name") or path.name),
        folder=path,
        layout="nnunet",
        channels=channels,
        table=class_table(names),
        cases=cases,
        dimensions=2 if ending.lower() in IMAGES_2D else 3,
        license=str(description.get("licence") or description.get("license") or ""),
        description=str(description.get("description") or ""),
        ignore_label=ignore,
        regions=regions,
        overlapping=overlapping,
        ambiguous=unclear,
    )


def _classes(labels: Mapping[str, Any], where: Path) -> tuple[dict[int, str], int | None]:
    """Class names by value, and the value to ignore."""
    ignore = labels.get("ignore")
    names: dict[int, str] = {}
    for name, values in _values(labels, where).items():
        if len(values) != 1:
            raise InputError(
                f"the value of class '{name}' is {list(values)}, not a whole number",
                where=where,
                fix="Write a whole number, or a list of them for a region.",
            )
        names[values[0]] = name
    return names, None if ignore is None else int(ignore)


def _regions(labels: Mapping[str, Any], order: Any, where: Path) -> tuple[dict[int, str], dict[int, tuple[int, ...]]]:
    """Names of regions by the value `regions_class_order` gives them, and the values each covers, in that order."""
    named = {name: values for name, values in _values(labels, where).items() if values != (0,)}
    if not isinstance(order, list) or len(order) != len(named) or not all(type(value) is int for value in order):
        raise InputError(
            f"'regions_class_order' must list a value for each of the {len(named)} regions",
            where=where,
            fix="It gives what a label map holds where a region lies on top; later regions cover earlier ones.",
        )
    if len(set(order)) < len(order):
        raise InputError(
            "'regions_class_order' gives two regions one value", where=where, fix="Give each region a value of its own."
        )
    pairs = list(zip(order, named.items(), strict=True))
    return {value: name for value, (name, _) in pairs}, {value: values for value, (_, values) in pairs}


def _values(labels: Mapping[str, Any], where: Path) -> dict[str, tuple[int, ...]]:
    """Values of each name but `ignore`."""
    found: dict[str, tuple[int, ...]] = {}
    for name, value in labels.items():
        values = tuple(value) if isinstance(value, list) else (value,)
        if not values or any(type(number) is not int for number in values):
            raise InputError(
                f"the value of class '{name}' is {value!r}, not a whole number",
                where=where,
                fix="Write a whole number, or a list of them for a region.",
            )
        if name != "ignore":
            found[str(name)] = values
    return found


def _listed(path: Path, listed: Mapping[str, Any], channels: int, where: Path) -> tuple[DatasetCase, ...]:
    cases = []
    for name, item in listed.items():
        images = item.get("images") if isinstance(item, dict) else None
        if not isinstance(images, list) or len(images) != channels or "label" not in item:
            raise InputError(
                f"case '{name}' of 'dataset' needs 'label' and 'images', one for each of {channels} channels",
                where=where,
                fix="Write both for the case.",
            )
        cases.append(DatasetCase(str(name), tuple(path / str(image) for image in images), path / str(item["label"])))
    return tuple(cases)


def _found(path: Path, ending: str, channels: tuple[Channel, ...]) -> tuple[DatasetCase, ...]:
    folder = path / "imagesTr"
    if not folder.is_dir():
        raise InputError(
            "there is no folder imagesTr", where=path, fix="Put the scans into imagesTr and their labels into labelsTr."
        )
    found: dict[str, dict[int, Path]] = {}
    for file in sorted(folder.iterdir()):
        if not file.name.endswith(ending) or file.name.startswith("."):
            continue
        match = CHANNEL.match(file.name[: len(file.name) - len(ending)])
        if match is None:
            raise InputError(
                "its name does not end in a channel of four digits",
                where=file,
                fix=f"nnU-Net's names are CASE_0000{ending}.",
            )
        found.setdefault(match["case"], {})[int(match["channel"])] = file
    wanted = range(len(channels))
    # A color image is one file with red, green and blue; nnU-Net counts three channels.
    if len(channels) == 3 and ending.lower() in IMAGES_2D and all(list(files) == [0] for files in found.values()):
        wanted = range(1)
    if found and not any(sorted(files) == list(wanted) for files in found.values()):
        name, files = next(iter(found.items()))
        raise InputError(
            f"case '{name}' has channels {sorted(files)}, not 0 to {len(channels) - 1}",
            where=folder,
            fix="Give it one file for each channel.",
        )
    cases = []
    for name, files in found.items():
        # A file that is not there is a finding of its case.
        images = tuple(files.get(k, folder / f"{name}_{k:04}{ending}") for k in wanted)
        label = path / "labelsTr" / f"{name}{ending}"
        cases.append(DatasetCase(name, images, label if label.is_file() else None))
    return tuple(cases)


def _ending(path: Path, stated: str) -> tuple[str, tuple[str, ...]]:
    """How the files' names end, and what to say where that is not as stated."""
    files = [f for f in sorted((path / "imagesTr").glob("*")) if f.is_file() and not f.name.startswith(".")]
    if not files or any(file.name.endswith(stated) for file in files):
        return stated, ()
    own = {file.name[len(stem(file.name)) :] for file in files} - {""}
    if len(own) != 1:
        return stated, ()
    (ending,) = own
    return ending, (f"file_ending is {stated}, and files end in {ending}, which is taken",)
