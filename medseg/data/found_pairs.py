"""Which images and labels of a folder belong together, told by their names, or by their voxels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from medseg.data.channel_folders import with_channel_folders
from medseg.data.file_names import Named, name_units
from medseg.data.file_pairs import FoundCase, Pairs, pair
from medseg.data.file_units import list_units
from medseg.data.image_or_label import array_keys, roles_by_voxels
from medseg.data.label_numbers import with_numbers

# A channel that fewer of the cases have is none, but a file beside the images.
USUAL = 0.5
Arrays = dict[Literal["image", "label"], str]


def find_pairs(path: Path) -> tuple[Pairs, Arrays | None] | None:
    """What belongs together, and the keys of image and label where both are in one file; None without any."""
    named = with_channel_folders(with_numbers(name_units(list_units(path))))
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
    return (found, None) if found.cases else None


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
    for image in pairs.alone:
        if id(image) in versions:
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
    """Images in folders inside a labeled case's that are called as one of its own, beside that one."""
    own = {(case.context, image.key): image for case in pairs.cases for image in case.images.values() if case.context}
    found = []
    for image in pairs.alone:
        above = (image.context[:depth] for depth in range(len(image.context) - 1, 0, -1))
        if (taken := next((own[place, image.key] for place in above if (place, image.key) in own), None)) is not None:
            found.append((image, taken))
    return found


def _starts(key: str) -> list[str]:
    parts = key.split("_")
    return ["_".join(parts[:n]) for n in range(1, len(parts))]
