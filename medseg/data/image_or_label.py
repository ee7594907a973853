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
    """Names with the role of labels given to groups of files whose voxels look like labels.

    A group is a folder where a few folders hold files of the same names, what has one name in many folders, or one
    ending behind many keys.
    """
    groups: dict[str, list[Named]] = defaultdict(list)
    folders: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for one in named:
        folders[one.context].add(one.key)
    shared = set.intersection(*folders.values()) if folders else set()
    beside = 1 < len(folders) <= MOST_ROLES and len(shared) > len(folders)  # those of patients hold few, alike
    keys = {(one.context, one.key) for one in named}
    for one in named:
        if one.context:
            groups["/".join(one.context) if beside else one.key].append(one)
            continue
        parts = one.key.split("_")
        starts = ("_".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))
        start = next((start for start in starts if (one.context, start) in keys), None)
        groups[one.key[len(start) :] if start else ""].append(one)
    if len(groups) < 2 or len(groups) > max(MOST_LOOKED_AT, len(named) // 2):
        return list(named)
    labels = {name for name, members in groups.items() if _look_like_labels(members[:2])}
    if not labels or len(labels) == len(groups):
        return list(named)
    of_labels = {id(one) for name in labels for one in groups[name]}
    return [replace(one, role="label") if id(one) in of_labels else replace(one, role="image") for one in named]


def _look_like_labels(members: Sequence[Named]) -> bool:
    for one in members:
        path = one.unit.path
        try:
            scan = read_array_scan(path, ArrayKeys()) if is_array_file(path) else load_scan(path)
        except MedsegError:
            return False
        is_gray = bool((scan.array[1:] == scan.array[0]).all())
        if not (is_gray and looks_like_labels(scan.array[0].astype(np.float32))):
            return False
    return True
