"""Says of a dataset that no layout fits what is there, and how the nearest layout would have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from medseg.config.safe_json import read_json_object
from medseg.counted import counted
from medseg.data.file_names import Named, name_units
from medseg.data.file_units import list_units
from medseg.data.layout_msd import DESCRIPTION
from medseg.data.name_pattern import patterns
from medseg.data.polygon_files import outlines
from medseg.errors import InputError
from medseg.io.files.review_folder import REVIEW, is_review

MOST_ENDINGS = 5


def not_recognized(path: Path) -> InputError:
    """Describe what was seen and the nearest layout, as the error to raise."""
    drawn = outlines(path)
    if path.is_file() and drawn is not None:
        return InputError(drawn[0], where=path, fix=drawn[1])
    if path.is_file():
        return InputError(
            "a dataset is a folder, or a CSV or YAML file", where=path, fix="Give the folder, or list cases in a CSV."
        )
    if is_review(path / REVIEW):
        return InputError(
            "these are results that were reviewed, and no dataset",
            where=path,
            fix="Write their corrections as one with `medseg review export` (medseg.review.export_dataset).",
        )
    named = name_units(list_units(path))
    what, nearest = _seen(path, named)
    if (path / DESCRIPTION).is_file():
        what += f", and {_description(path / DESCRIPTION)}"
        nearest = "The nearest layouts are those of nnU-Net (channel_names, labels, file_ending) and the Decathlon."
    if drawn is not None:
        what, nearest = f"{what}, and {drawn[0]}", drawn[1]
    return InputError(f"which files are images and which labels was not found: {what}", where=path, fix=nearest)


def _seen(path: Path, named: Sequence[Named]) -> tuple[str, str]:
    table = "or list them in a table (case, image, label)"
    if not named:
        others = [file for file in sorted(path.rglob("*")) if file.is_file() and not file.name.startswith(".")]
        if not others:
            return "there is no file", "Give the folder that holds images and labels."
        endings = Counter(file.suffix.lower() or "without ending" for file in others).most_common(MOST_ENDINGS)
        shown = ", ".join(f"{count} {ending}" for ending, count in endings)
        return (
            f"none of {counted(len(others), 'file')} is an image ({shown})",
            "Save images as NIfTI, NRRD, MetaImage, PNG or TIFF.",
        )
    labels = [one for one in named if one.role == "label"]
    images = [one for one in named if one.role != "label"]
    if labels and images:
        return (
            f"images {_patterns(path, images)}, labels {_patterns(path, labels)}, and no label has an image's name",
            f"Nearest is a name a case: x.nii.gz with x_seg.nii.gz; rename them so, {table}.",
        )
    if labels:
        return f"labels {_patterns(path, labels)} and no image", f"Put the images beside them, {table}."
    return (
        f"there is {_patterns(path, images)}, and no file or folder is called label, mask, seg or gt",
        f"Nearest is a folder images/ beside labels/ with files of equal names; rename them so, {table}.",
    )


def _patterns(path: Path, named: Sequence[Named]) -> str:
    return patterns([one.unit.path.relative_to(path).as_posix() for one in named])


def _description(file: Path) -> str:
    """What a `dataset.json` lacks."""
    return f"{file.name} has {', '.join(read_json_object(file)) or 'no keys'}"
