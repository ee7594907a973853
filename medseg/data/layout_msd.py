"""Lists in JSON: the Medical Segmentation Decathlon's `dataset.json`, nnU-Net's first version, and MONAI's datalists.

Each item of `training` (`validation`, `test`) has `image`, one path or one for each channel, and `label`; a datalist
may give each a `fold`. Source: Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 4128
(2022); monai.data.load_decathlon_datalist; nnU-Net 1, documentation/dataset_conversion.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from medseg.config.safe_json import read_json_object
from medseg.data.class_table import class_table
from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.data.description import DatasetDescription
from medseg.data.first_scan import COLORS, first_scan, table_of_references
from medseg.data.fold_numbers import with_folds
from medseg.data.modality import dicom_modality
from medseg.errors import InputError
from medseg.io.files.case_id import stem, unique

DESCRIPTION = "dataset.json"
Part = Literal["train", "validation", "test"]
# Keys of lists, and the part of the split they are.
LISTS: dict[str, Part] = {
    "training": "train", "train": "train", "validation": "validation", "val": "validation", "valid": "validation",
    "testing": "test", "test": "test",
}  # fmt: skip


def recognize(path: Path) -> bool:
    """Whether a JSON file, or the one in a folder, has a `training` list."""
    file = find_list(path)
    return file is not None


def find_list(path: Path) -> Path | None:
    """Find the JSON file with a `training` list: the one named, `dataset.json`, or the only one in a folder."""
    if path.is_file():
        return path if path.suffix.lower() == ".json" and has_list(path) else None
    if has_list(path / DESCRIPTION):
        return path / DESCRIPTION
    found = [file for file in sorted(path.glob("*.json")) if not file.name.startswith(".") and has_list(file)]
    return found[0] if len(found) == 1 else None


def has_list(file: Path) -> bool:
    """Whether a JSON file has a `training` list."""
    try:
        content = read_json_object(file)
    except InputError:
        return False
    return any(isinstance(content.get(key), list) for key in ("training", "train"))


def read(path: Path) -> Dataset:
    """Read a dataset that is listed in JSON."""
    file = find_list(path)
    assert file is not None
    content = read_json_object(file)
    named = _named_channels(content.get("modality", content.get("channel_names")), file)
    labels = content.get("labels")
    is_datalist = file.name != DESCRIPTION or (labels is None and "modality" not in content)
    if labels is None and not is_datalist:
        raise InputError(
            "'labels' is missing or is not a mapping of numbers to names",
            where=file,
            fix='Write it as in {"0": "background", "1": "liver"}.',
        )
    if named is None and not is_datalist:
        raise InputError(
            "'modality' is missing or is not a mapping of numbers to names",
            where=file,
            fix='Write it as in {"0": "CT"}.',
        )
    cases = _cases(content, file, None if named is None else len(named))
    labeled = [case for case in cases if case.reference is not None]
    first = None if named and labels is not None else first_scan(labeled)
    count = max((len(case.images) for case in cases), default=1)
    return Dataset(
        name=str(content.get("name") or (file.parent.resolve().name if file.name == DESCRIPTION else file.stem)),
        folder=file.parent,
        layout="msd",
        channels=named or _channels(count, first.channels if first is not None else 1),
        table=_table(labels, file) if labels is not None else table_of_references(labeled, DatasetDescription()),
        cases=cases,
        dimensions=2 if first is not None and first.geometry.shape[2] == 1 else 3,
        license=str(content.get("licence") or content.get("license") or ""),
        description=str(content.get("description") or ""),
        overlapping=content.get("overlapping") is True,
    )


def read_description(path: Path) -> dict[str, Any]:
    """Read a folder's `dataset.json`."""
    return read_json_object(path / DESCRIPTION)


def values_of_names(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Class names to values, also where a description maps values to names."""
    if labels and all(str(key).isdigit() and isinstance(name, str) for key, name in labels.items()):
        return {str(name): int(value) for value, name in labels.items()}
    return dict(labels)


def _named_channels(given: Any, where: Path) -> tuple[Channel, ...] | None:
    if isinstance(given, str):
        return (Channel(given, dicom_modality(given)),)
    if isinstance(given, Mapping) and given:
        try:
            keys = sorted(given, key=int)
        except ValueError as error:
            raise InputError(
                "'modality' must map numbers to names", where=where, fix='Write it as in {"0": "CT"}.'
            ) from error
        return tuple(Channel(str(given[key]), dicom_modality(str(given[key]))) for key in keys)
    return None


def _channels(count: int, in_file: int) -> tuple[Channel, ...]:
    if count == 1 and in_file == len(COLORS):
        return tuple(Channel(color) for color in COLORS)
    several = max(count, in_file)
    return (Channel("image"),) if several == 1 else tuple(Channel(f"channel {k}") for k in range(several))


def _table(labels: Any, where: Path) -> Any:
    try:
        if isinstance(labels, list):
            names = dict(enumerate(map(str, labels)))
        elif isinstance(labels, Mapping):
            names = {int(value): name for name, value in values_of_names(labels).items()}
        else:
            raise ValueError("it is neither a list nor a mapping")
        return class_table(names)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"'labels' must map numbers to names ({error})",
            where=where,
            fix='Write it as in {"0": "background", "1": "liver"}.',
        ) from error


def _cases(content: Mapping[str, Any], file: Path, channels: int | None) -> tuple[DatasetCase, ...]:
    """Cases of all lists; those of a test list only where they have labels, as the Decathlon lists images alone."""
    lists = [(key, part, content[key]) for key, part in LISTS.items() if isinstance(content.get(key), list)]
    labeled = {part for _, part, items in lists if any(isinstance(item, dict) and item.get("label") for item in items)}
    rows: list[tuple[tuple[Path, ...], Path | None, Part | None, int | None]] = []
    for key, part, items in lists:
        for item in items:
            if part != "train" and not (isinstance(item, dict) and item.get("label")):
                continue
            if not isinstance(item, dict) or not item.get("image"):
                raise InputError(f"each item of '{key}' needs 'image' and 'label'", where=file, fix=f"It has {item!r}.")
            given = item["image"] if isinstance(item["image"], list) else [item["image"]]
            images = tuple(_path(file.parent, str(image)) for image in given)
            label = item.get("label")
            label = label[0] if isinstance(label, list) and label else label
            reference = _path(file.parent, str(label)) if label else None
            fold = item.get("fold")
            split = part if labeled & {"validation", "test"} else None
            rows.append((_of_version_1(images, channels), reference, split, fold if type(fold) is int else None))
    if rows and all(reference is None for _, reference, _, _ in rows):
        raise InputError(
            "each item of 'training' needs 'image' and 'label'", where=file, fix="Write both paths for each case."
        )
    cases = [
        DatasetCase(name, images, reference, None, split)
        for name, (images, reference, split, _) in zip(_names(rows, file), rows, strict=True)
    ]
    return with_folds(cases, [fold for _, _, _, fold in rows])


def _names(rows: Sequence[tuple[tuple[Path, ...], Path | None, Any, Any]], file: Path) -> list[str]:
    """Names of cases after their image, or where images of several folders have one name, after the folder."""
    files = [images[0] for images, _, _, _ in rows]
    if len(set(files)) < len(files):
        twice = next(path for path in files if files.count(path) > 1)
        raise InputError(f"two cases are called '{stem(twice.name)}'", where=file, fix="List each case once.")
    names = [_without_channel(stem(path.name)) for path in files]
    if len(set(names)) < len(names):
        names = [path.parent.name for path in files]
    return unique(names, [str(path) for path in files])


def _without_channel(name: str) -> str:
    return name[:-5] if name.endswith("_0000") else name


def _path(folder: Path, given: str) -> Path:
    """A path from the list's folder; where it is not there, from the one above, in which datalists often lie."""
    given = given.replace("\\", "/")
    here = folder / given
    above = folder.parent / given
    return above if not here.exists() and above.exists() else here


def _of_version_1(images: tuple[Path, ...], channels: int | None) -> tuple[Path, ...]:
    """Files of each channel, where the list of nnU-Net's first version names a case without their number."""
    if len(images) != 1 or images[0].exists():
        return images
    name = stem(images[0].name)
    ending = images[0].name[len(name) :]
    files = [images[0].with_name(f"{name}_{k:04}{ending}") for k in range(channels or 1)]
    return tuple(files) if files[0].exists() else images
