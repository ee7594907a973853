"""Which images and labels of a folder belong together, told by their names, or by their voxels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from medseg.data.channel_folders import with_channel_folders
from medseg.data.class_folders import with_class_folders
from medseg.data.file_names import Named, name_units
from medseg.data.file_pairs import FoundCase, Pairs, pair
from medseg.data.file_units import Unit, list_units
from medseg.data.image_or_label import array_keys, roles_by_voxels
from medseg.data.label_numbers import with_numbers

# A channel that fewer of the cases have is none, but a file beside the images.
USUAL = 0.5
# Of one slice, so that they are snapshots where volumes have labels.
ONE_SLICE = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
# Labels are drawn on images that these end, and not always on the grid of those without.
PROCESSED = ("_preprocessed", "_processed", "_registered", "_coregistered")
# How an image is called from which the skull was taken, beside the one it was made of.
STRIPPED = re.compile(r"(?P<whole>.*?)_?(brain|bet|stripped|skullstripped|skull_stripped|brain_extracted|ss|noskull)")
Arrays = dict[Literal["image", "label"], str]


def find_pairs(path: Path) -> tuple[Pairs, Arrays | None] | None:
    """What belongs together, and the keys of image and label where both are in one file; None without any."""
    units, snapshots = _without_snapshots(list_units(path))
    named = with_channel_folders(with_numbers(name_units(units)))
    if not named:
        return None
    labels = [one for one in named if one.role == "label"]
    if not labels:
        if all(one.unit.kind == "dicom" for one in named):
            return None  # structures are in objects of their own
        if (arrays := array_keys([one.unit for one in named])) is not None:
            same = len({one.key for one in named}) == 1 and len({one.context for one in named}) == len(named)
            alone = [FoundCase(one.context, "" if same else one.key, {"": one}) for one in named]
            return Pairs(tuple(alone), (), ()), arrays
    named = roles_by_voxels(named)
    found = pair([one for one in named if one.role != "label"], [one for one in named if one.role == "label"])
    if found.cases and all(_has_files_of_slices(case) for case in found.cases):
        return None
    found = replace(found, alone=(*found.alone, *name_units(snapshots)))
    return (with_class_folders(_without_stripped(found)), None) if found.cases else None


def _without_snapshots(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
    """Units without the snapshots that lie beside volumes and their labels; and those."""
    snapshots = [unit for unit in units if unit.path.name.lower().endswith(ONE_SLICE)]
    rest = [unit for unit in units if not unit.path.name.lower().endswith(ONE_SLICE)]
    volumes = [unit for unit in rest if unit.kind == "dicom" or not unit.path.name.lower().endswith((".tif", ".tiff"))]
    if not snapshots or len({one.role == "label" for one in name_units(volumes)}) < 2:
        return list(units), []
    return rest, snapshots


def _without_stripped(pairs: Pairs) -> Pairs:
    """Take out of the channels images without skull where the image as it was is there, and those not yet processed."""
    alone = list(pairs.alone)
    for case in pairs.cases:
        keys = {image.key for image in case.images.values()}
        for name, image in list(case.images.items()):
            match = STRIPPED.fullmatch(image.key)
            if (match is not None and match["whole"] in keys) or any(f"{image.key}{end}" in keys for end in PROCESSED):
                alone.append(case.images.pop(name))
    return replace(pairs, alone=tuple(alone))


def channels_of(cases: Sequence[FoundCase]) -> list[str]:
    """What distinguishes the images of a case, where most cases have it."""
    counts = Counter(name for case in cases for name in case.images)
    if "" in counts and counts[""] >= USUAL * len(cases):
        return [""]
    return sorted(name for name, count in counts.items() if count >= USUAL * len(cases)) or [
        counts.most_common(1)[0][0]
    ]


def unlabeled(pairs: Pairs, channels: Sequence[str]) -> list[FoundCase]:
    """Images without label that look like those with one, as cases; others lie beside them and are left."""
    labeled = {case.context for case in pairs.cases}
    of_key = {case.key for case in pairs.cases}
    cases: dict[tuple[tuple[str, ...], str, str | None], FoundCase] = {}
    keys = {(case.context, case.key) for case in pairs.cases}
    versions = {id(image) for image, _ in other_versions(pairs)}
    own = next(iter(pairs.cases[0].images.values()))
    for image in pairs.alone:
        if id(image) in versions or _is_one_slice(image) != _is_one_slice(own):
            continue
        if channels != [""]:
            for channel in channels:
                if image.key == channel or image.key.endswith(f"_{channel}"):
                    key = image.key[: -len(channel)].strip("_")
                    place = (image.context, key, image.split)
                    if (image.context, key) not in keys:
                        cases.setdefault(place, FoundCase(image.context, key)).images[channel] = image
            continue
        beside = any((image.context, start) in keys for start in _starts(image.key))
        if beside or (image.context and (image.context in labeled or image.key not in of_key)):
            continue
        cases.setdefault((image.context, image.key, image.split), FoundCase(image.context, image.key, {"": image}))
    return [case for case in cases.values() if len(case.images) == len(channels)]


def other_versions(pairs: Pairs) -> list[tuple[Named, Named]]:
    """Images called as one of a labeled case, in a folder inside its, without skull or unprocessed; each with that."""
    own = {(case.context, image.key): image for case in pairs.cases for image in case.images.values()}
    found = []
    for image in pairs.alone:
        above = [(image.context[:depth], image.key) for depth in range(len(image.context) - 1, 0, -1)]
        if (match := STRIPPED.fullmatch(image.key)) is not None:
            above.append((image.context, match["whole"]))
        above += [(image.context, f"{image.key}{end}") for end in PROCESSED]
        if (taken := next((own[place] for place in above if place in own), None)) is not None:
            found.append((image, taken))
    return found


def _has_files_of_slices(case: FoundCase) -> bool:
    """Whether labels of a DICOM series are 2D images, one for each slice, of which nothing says which."""
    labels = [label for found in case.labels.values() for label in found]
    return (
        len(labels) > 1
        and all(map(_is_one_slice, labels))
        and all(i.unit.kind == "dicom" for i in case.images.values())
    )


def _is_one_slice(named: Named) -> bool:
    return named.unit.path.name.lower().endswith(ONE_SLICE)


def _starts(key: str) -> list[str]:
    parts = key.split("_")
    return ["_".join(parts[:n]) for n in range(1, len(parts))]
