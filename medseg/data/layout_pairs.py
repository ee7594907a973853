"""A folder of images beside a folder of labels whose files have the same names, 2D images or volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from medseg.data.class_table import class_table
from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.data.description import DatasetDescription
from medseg.data.file_units import SUFFIXES
from medseg.data.first_scan import COLORS, OBJECT, first_scan, table_of_references
from medseg.data.mask_colors import UNNAMED, guessed_colors
from medseg.data.modality import dicom_modality
from medseg.errors import InputError
from medseg.io.files.case_id import stem

IMAGES = ("images", "image", "imgs", "img", "imagesTr", "scans")
CLASSES = ("labels", "label", "masks", "mask", "labelsTr", "segmentations")
INSTANCES = ("instances", "objects")


def recognize(path: Path) -> bool:
    """Whether a folder holds one folder of images and one of labels or instances, by their names.

    Files of one name in both are cases; folders of other names beside them make it another layout, and so do several
    files for one image.
    """
    if not path.is_dir():
        return False
    images, found = _folder(path, IMAGES), _references(path)
    if images is None or found is None:
        return False
    if images.name == "imagesTr" and any(_folder(path, [f"labels{part}"]) for part in ("Ts", "Va", "Vl")):
        return False  # other parts of the split have labels too
    names = {stem(file.name) for file in _files(images)}
    return bool(names & {stem(file.name) for file in _files(found[0])}) and not any(
        _folder(path, others) not in (None, images, found[0]) for others in (IMAGES, CLASSES)
    )


def read(path: Path, given: DatasetDescription | None = None) -> Dataset:
    """Read a dataset of paired folders.

    The references are read to learn which values there are. Images of three channels are color images.

    - `given`: names of channels and classes, and what the references' values mean.
    """
    images = _folder(path, IMAGES)
    found = _references(path)
    assert images is not None
    assert found is not None
    references, kind = found
    labels = {stem(file.name): file for file in _files(references)}
    cases = tuple(DatasetCase(stem(file.name), (file,), labels.get(stem(file.name))) for file in _files(images))
    paired = [case for case in cases if case.reference is not None]
    if not paired:
        raise InputError(
            f"no file in {images.name} has one of the same name in {references.name}",
            where=path,
            fix="Give image and label the same name, or list them in a table (case, image, label).",
        )
    first = first_scan(paired)
    given = given or DatasetDescription()
    if given.references == "instances":
        kind = "instances"
    drawn = [case.reference for case in paired if case.reference is not None]
    colored = guessed_colors(drawn, given) if kind == "classes" else None
    given = colored or given
    return Dataset(
        name=given.name or path.resolve().name,
        folder=path,
        layout="pairs",
        channels=_named(given) or (_channels(first.channels, first.modality) if first else (Channel("image"),)),
        table=given.table or (class_table({1: OBJECT}) if kind == "instances" else table_of_references(paired, given)),
        cases=cases,
        dimensions=2 if first is not None and first.geometry.shape[2] == 1 else 3,
        license=given.license,
        description=given.description,
        references=kind,
        ignore_label=given.ignore,
        values=given.values,
        regions=given.regions,
        overlapping=given.overlapping,
        colors=given.color_map,
        ambiguous=((UNNAMED,) if colored is not None else ()) + _passed_over(path, images, references),
    )


def _passed_over(path: Path, images: Path, references: Path) -> tuple[str, ...]:
    """A sentence on folders that were not taken whose files have the labels' names, such as another reader's."""
    taken = {stem(file.name) for file in _files(references)}
    beside = [inner for inner in sorted(path.iterdir()) if inner.is_dir() and inner not in (images, references)]
    others = [f"{inner.name}/" for inner in beside if taken & {stem(file.name) for file in _files(inner)}]
    if not others:
        return ()
    return (f"labels are read from {references.name}/, and not from {', '.join(others)} with files of the same names",)


def _named(given: DatasetDescription) -> tuple[Channel, ...] | None:
    if given.channels is None:
        return None
    return tuple(Channel(name, dicom_modality(modality or name)) for name, modality in given.channels.items())


def _channels(count: int, modality: str | None) -> tuple[Channel, ...]:
    if count == len(COLORS):
        return tuple(Channel(color) for color in COLORS)
    if count == 1:
        return (Channel("image", modality),)
    return tuple(Channel(f"channel {k}", modality) for k in range(count))


def _folder(path: Path, names: Sequence[str]) -> Path | None:
    """The one folder of these names, in any case; None where there is none or several."""
    wanted = {name.lower() for name in names}
    found = [inner for inner in path.iterdir() if inner.is_dir() and inner.name.lower() in wanted]
    return found[0] if len(found) == 1 else None


def _references(path: Path) -> tuple[Path, Literal["classes", "instances"]] | None:
    classes, instances = _folder(path, CLASSES), _folder(path, INSTANCES)
    if classes is not None:
        return classes, "classes"
    return None if instances is None else (instances, "instances")


def _files(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.iterdir() if file.name.lower().endswith(SUFFIXES) and not file.name.startswith(".")
    )
