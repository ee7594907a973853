"""Folders of no known layout: which files are images and which labels is found from names, or from voxels.

What was found is shown for a person to confirm, and `medseg audit DATASET --describe` writes it as a table to edit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.data.case_names import case_names, groups, image_of
from medseg.data.dataset import Dataset
from medseg.data.description import ClassRow, DatasetDescription
from medseg.data.file_names import Named
from medseg.data.file_pairs import FoundCase, Pairs
from medseg.data.found_pairs import Arrays, channels_of, find_pairs, other_versions, unlabeled
from medseg.data.frames import labeled_frames
from medseg.data.label_variants import Variants, class_names, settle
from medseg.data.mask_colors import UNNAMED, guessed_colors
from medseg.data.modality import dicom_modality
from medseg.data.name_pattern import masks_pattern, patterns
from medseg.data.table_dataset import build_dataset

# May number channels, times, slices or cases; nnU-Net's four digits are channels'.
NUMBERED = re.compile(r"\d{1,3}|(day|week|month|year|tp|timepoint|visit|ses|session|fu|followup)_?\d*|baseline")


@dataclass(frozen=True)
class FoundTable:
    """A table made of what was found, and what a person should know of it."""

    description: DatasetDescription
    rows: tuple[dict[str, str], ...]
    read_as: tuple[str, ...]
    ambiguous: tuple[str, ...]


def recognize(path: Path) -> bool:
    """Whether images and labels are found under a folder."""
    return path.is_dir() and find_pairs(path) is not None


def read(path: Path, given: DatasetDescription | None = None) -> Dataset:
    """Read a dataset as it was found."""
    table = find_table(path, given)
    assert table is not None
    data = build_dataset(table.description, table.rows, path / "dataset.yaml", name=path.resolve().name, layout="found")
    return replace(data, read_as=table.read_as, ambiguous=(*table.ambiguous, *data.ambiguous))


def find_table(path: Path, given: DatasetDescription | None = None) -> FoundTable | None:
    """Find images and labels under a folder; None where there are none that belong together."""
    given = given or DatasetDescription()
    found = find_pairs(path)
    if found is None:
        return None
    pairs, arrays = found
    if arrays is not None:
        return _array_table(path, pairs, arrays, given)
    variants = settle(pairs.cases, overlapping=given.overlapping)
    channels = channels_of(pairs.cases)
    cases = [*pairs.cases, *unlabeled(pairs, channels)]
    names = case_names(cases)
    group_of = groups(cases)
    masks = class_names(variants.chosen) if variants.way == "classes" else {}
    columns = {channel or "image": channel for channel in channels}
    has_split = {named.split for case in cases for named in case.images.values()} - {None}
    rows = []
    for case, name, group in zip(cases, names, group_of, strict=True):
        row = {"case": name}
        for column, channel in columns.items():
            row[column] = _relative(case.images[channel], path) if channel in case.images else ""
        row |= _label_columns(path, case, variants, masks)
        if any(group_of):
            row["group"] = group
        if has_split:
            row["split"] = image_of(case).split or "train"
        rows += _of_frames(path, row, columns)
    complete = [row for row in rows if all(row[column] for column in columns)]
    description = _described(given, columns, masks, variants)
    colored = guessed_colors([path / row["label"] for row in rows if row.get("label")], description)
    description = colored or description
    read_as, ambiguous = _told(path, pairs, variants, columns, complete, masks)
    if len(complete) < len(rows):
        lacking = ", ".join(row["case"] for row in rows if row not in complete)
        ambiguous += (f"cases that lack a channel, and are skipped: {lacking}",)
    if any("cine_frame" in row for row in rows):
        read_as += ("of each 4-D image, the frames that its label has, each as a case of the same patient",)
    if colored is not None:
        ambiguous += (UNNAMED,)
    return FoundTable(description, tuple(complete), read_as, ambiguous)


def _label_columns(path: Path, case: FoundCase, variants: Variants, masks: dict[str, str]) -> dict[str, str]:
    """Where the labels of one case are, in the columns of the table that hold labels."""
    if masks:
        return {masks[kind]: _first(case, kind, path) for kind in variants.chosen}
    if variants.way == "objects":
        return {"label": _glob(case, path)}
    if variants.way == "union":
        files = [Path(_first(case, kind, path)) for kind in variants.chosen if kind in case.labels]
        return {"label": masks_pattern(files)}
    return {"label": _first(case, variants.chosen[0], path)}


def _of_frames(path: Path, row: dict[str, str], columns: Iterable[str]) -> list[dict[str, str]]:
    """The row, or one for each labeled frame where image and label are a cine."""
    images = [row[column] for column in columns]
    label = row.get("label", "")
    if len(images) > 1 or not images[0] or not label or "*" in label:
        return [row]
    frames = labeled_frames(path / images[0], path / label)
    group = row.get("group") or row["case"]
    return [{**row, "case": f"{row['case']}_frame{n:02}", "group": group, "cine_frame": str(n)} for n in frames] or [
        row
    ]


def _described(
    given: DatasetDescription, columns: Iterable[str], masks: dict[str, str], variants: Variants
) -> DatasetDescription:
    update: dict[str, object] = {}
    if given.channels is None:
        update["channels"] = dict.fromkeys(columns)
    elif len(given.channels) == len(list(columns)):
        update["channels"] = dict(zip(columns, given.channels.values(), strict=True))
    if masks and given.labels is None:
        update["labels"] = {name: ClassRow(value=n, column=name) for n, name in enumerate(masks.values(), start=1)}
    if variants.way == "union" and given.labels is None:
        update["labels"] = {class_names(variants.chosen[:1])[variants.chosen[0]]: 1}
    if variants.way == "objects":
        update["references"] = "instances"
    return given.model_copy(update=update)


def _array_table(path: Path, pairs: Pairs, arrays: Arrays, given: DatasetDescription) -> FoundTable:
    names = case_names(pairs.cases)
    rows = []
    for case, name in zip(pairs.cases, names, strict=True):
        file = _relative(case.images[""], path)
        split = case.images[""].split
        rows.append({"case": name, "image": file, "label": file} | ({"split": split} if split else {}))
    files = patterns([row["image"] for row in rows])
    read_as = (
        f"images: array '{arrays['image']}' in {files}",
        f"labels: array '{arrays['label']}' in the same files",
    )
    channels = given.channels or {"image": None}
    return FoundTable(given.model_copy(update={"arrays": arrays, "channels": channels}), tuple(rows), read_as, ())


def _told(
    path: Path,
    pairs: Pairs,
    variants: Variants,
    columns: dict[str, str],
    rows: Sequence[dict[str, str]],
    masks: dict[str, str],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is read as what, and what could be meant otherwise."""
    lines = [f"images: {patterns([row[column] for row in rows])}" for column in columns]
    if len(columns) > 1:
        lines = [f"channel {column}: {patterns([row[column] for row in rows])}" for column in columns]
    if masks:
        lines += [f"class {name}: {patterns([row[name] for row in rows if row[name]])}" for name in masks.values()]
    else:
        what = "labels, a file for each object" if variants.way == "objects" else "labels"
        lines.append(f"{what}: {patterns([row['label'] for row in rows if row.get('label')])}")
    used = {(path / row[column]) for row in rows for column in columns}
    beside = [_relative(one, path) for one in pairs.alone if one.unit.path not in used]
    if beside:
        lines.append(f"not read, as no label is theirs: {patterns(beside)}")
    ambiguous = variants.ambiguous
    if len(columns) > 1 and all(NUMBERED.fullmatch(channel) for channel in columns):
        ambiguous += (
            f"the images {', '.join(columns)} of each case are taken as its channels, not as cases or slices",
        )
    for column in columns:
        if len(kinds := _modalities(row[column] for row in rows)) > 1:
            ambiguous += (
                f"images of {' and '.join(kinds)}, by their folders, are one channel, '{column}', of one model",
            )
    if versions := other_versions(pairs):
        others, taken = ([_relative(pair[which], path) for pair in versions] for which in (0, 1))
        ambiguous += (f"images given twice, of which {patterns(taken)} are read, and not {patterns(others)}",)
    if pairs.lost:
        ambiguous += (f"labels that no image was found for: {patterns([_relative(one, path) for one in pairs.lost])}",)
    return tuple(lines), ambiguous


def _first(case: FoundCase, kind: str, path: Path) -> str:
    return _relative(case.labels[kind][0], path) if kind in case.labels else ""


def _glob(case: FoundCase, path: Path) -> str:
    """One name with a star for all files of a case's objects."""
    files = [named.unit.path for found in case.labels.values() for named in found]
    if not files:
        return ""
    suffix = files[0].name[len(files[0].name.split(".")[0]) :]
    return f"{files[0].parent.relative_to(path).as_posix()}/*{suffix}"


def _relative(named: Named, path: Path) -> str:
    return named.unit.path.relative_to(path).as_posix()


def _modalities(files: Iterable[str]) -> list[str]:
    """Modalities that the folders of files are named after, in the words of DICOM."""
    folders = {part for file in files for part in Path(file).parts[:-1]}
    return sorted({kind for part in folders if (kind := dicom_modality(part)) is not None})
