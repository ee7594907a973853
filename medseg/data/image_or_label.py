"""Tells labels from images by their voxels, where no name says which is which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from medseg.data.dataset import ArrayKeys
from medseg.data.file_names import MOST_ROLES, Named
from medseg.data.file_units import Unit
from medseg.data.looks_like_labels import looks_like_labels
from medseg.data.reference_files import read_array_scan
from medseg.errors import MedsegError
from medseg.io.array_scan import IMAGE_KEYS, LABEL_KEYS, is_called
from medseg.io.arrays import is_array_file, list_arrays
from medseg.io.read import load_scan

MOST_LOOKED_AT = 12


def array_keys(units: Sequence[Unit]) -> dict[Literal["image", "label"], str] | None:
    """Keys of image and label, where files of arrays hold both; None where they do not, or it is unclear."""
    files = [unit.path for unit in units if unit.path.suffix.lower() in (".npz", ".h5", ".hdf5")]
    if not files or len(files) < len(units):
        return None
    try:
        arrays = [info for info in list_arrays(files[0]).values() if len(info.shape) >= 2 and info.shape != (4, 4)]
    except MedsegError:
        return None
    images = [info.key for info in arrays if is_called(info, IMAGE_KEYS)]
    labels = [info.key for info in arrays if is_called(info, LABEL_KEYS)]
    if len(labels) == 1 and not images:
        images = [info.key for info in arrays if info.key not in labels]
    return {"image": images[0], "label": labels[0]} if len(images) == 1 and len(labels) == 1 else None


def roles_by_voxels(named: Sequence[Named]) -> list[Named]:
    """Names with the role of labels given to groups of files whose voxels look like labels; what is a label stays one.

    A group is a folder where a few folders hold files of the same names, what has one name in many folders, or one
    ending behind many keys. Where names say what labels are, groups that they call images are images.
    """
    known = [one for one in named if one.role == "label"]
    images = [one for one in named if one.role != "label"]
    groups = _groups(images, {(one.context, one.key) for one in named})
    if len(groups) > len(images) // 2 or not any(one.context for one in images):
        groups = _by_ending(images) or groups
    if len(groups) < 2 or len(groups) > max(MOST_LOOKED_AT, len(images) // 2):
        return list(named)
    unsaid = {name for name, members in groups.items() if not known or all(one.role is None for one in members)}
    labels = {name for name in unsaid if _look_like_labels(groups[name][:2])}
    if not labels or len(labels) == len(groups):
        return list(named)
    of_labels = {id(one): name for name in labels for one in groups[name]}
    found = [_as_label(one, of_labels[id(one)]) for one in images if id(one) in of_labels]
    rest = [replace(one, role="image") for one in images if id(one) not in of_labels]
    return [*rest, *known, *found] if known else _without_own_folders(rest, found)


def _groups(images: Sequence[Named], keys: set[tuple[tuple[str, ...], str]]) -> dict[str, list[Named]]:
    """Images by what their folder, their name in it, or the end of their name has in common with other cases'."""
    folders: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for one in images:
        folders[one.context].add(one.key)
    shared = set.intersection(*folders.values()) if folders else set()
    beside = 1 < len(folders) <= MOST_ROLES and len(shared) > len(folders)  # those of patients hold few, alike
    groups: dict[str, list[Named]] = defaultdict(list)
    for one in images:
        if one.context:
            groups["/".join(one.context) if beside else one.key].append(one)
            continue
        parts = one.key.split("_")
        starts = ("_".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))
        start = next((start for start in starts if (one.context, start) in keys), None)
        groups[one.key[len(start) :] if start else ""].append(one)
    return groups


def _by_ending(images: Sequence[Named]) -> dict[str, list[Named]]:
    """Images by the last part of their names, where a few endings stand behind the same beginnings."""
    groups: dict[str, list[Named]] = defaultdict(list)
    for one in images:
        groups[f"_{one.key.rpartition('_')[2]}"].append(one)
    few = 1 < len(groups) <= MOST_ROLES
    alike = all(len(members) > 1 and not name[1:].isdigit() for name, members in groups.items())
    return groups if few and alike and all("_" in one.key for one in images) else {}


def _as_label(named: Named, ending: str) -> Named:
    """The name as that of a label, whose case is called by what stands before the group's ending."""
    if named.context and ending == "/".join(named.context):
        return replace(named, role="label", kind=named.context[-1])
    if not ending.startswith("_") or not named.key.endswith(ending):
        return replace(named, role="label")
    return replace(named, role="label", key=named.key[: -len(ending)], kind=ending[1:])


def _without_own_folders(images: Sequence[Named], labels: Sequence[Named]) -> list[Named]:
    """Names without their folders, where all images lie in one and all labels in another."""
    folders = [{one.context for one in part} for part in (images, labels)]
    if any(len(found) > 1 for found in folders) or folders[0] == folders[1]:
        return [*images, *labels]
    return [replace(one, context=()) for one in (*images, *labels)]


def _look_like_labels(members: Sequence[Named]) -> bool:
    for one in members:
        path = one.unit.path
        try:
            scan = read_array_scan(path, ArrayKeys()) if is_array_file(path) else load_scan(path)
        except MedsegError:
            return False
        if (scan.array == scan.array.flat[0]).all():
            return False  # a channel that is missing, filled with zeros
        is_gray = bool((scan.array[1:] == scan.array[0]).all())
        if not (is_gray and looks_like_labels(scan.array[0].astype(np.float32))):
            return False
    return True
