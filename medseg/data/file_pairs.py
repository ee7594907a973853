"""Which images and which labels belong to one case, by what their names say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from medseg.data.file_names import MOST_ROLES, Named, numbers_of
from medseg.data.sequence_words import SEQUENCE

# Images of one folder beyond this number are those of several cases, not channels of one.
MOST_CHANNELS = 16
SIDES = re.compile(r"left|right|l|r|lt|rt|lh|rh|od|os|l?cc|l?mlo|rcc|rmlo")


@dataclass
class FoundCase:
    """Images and labels of a case.

    - `images`: by what distinguishes them from others of the case; one image alone has ``""``.
    - `labels`: those that belong to them, by the same.
    """

    context: tuple[str, ...]
    key: str
    images: dict[str, Named] = field(default_factory=dict)
    labels: dict[str, list[Named]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Pairs:
    """Cases with labels, images without, and labels without image."""

    cases: tuple[FoundCase, ...]
    alone: tuple[Named, ...]
    lost: tuple[Named, ...]


def pair(images: Sequence[Named], labels: Sequence[Named]) -> Pairs:
    """Bring images and labels together.

    In order: a label of the same folder and key; one whose key an image's begins with, so that the images are its
    channels; one whose key begins with an image's; one that is the folder's; one of the same key elsewhere; one of the
    same numbers elsewhere.
    """
    index = _Index(images)
    cases: dict[tuple[tuple[str, ...], str, str | None], FoundCase] = {}
    lost = []
    by_name = [index.by_name(label) for label in labels]
    settled = {label.context for label, found in zip(labels, by_name, strict=True) if found}
    for label, named in zip(labels, by_name, strict=True):
        found = named or (None if label.context in settled else index.of_folder(label))
        # A label in a folder with images is of one of those: of another folder's, one called alike is another case's.
        if not found and not (label.context and index.folder.get(label.context)):
            found = index.elsewhere(label)
        if not found:
            lost.append(label)
            continue
        context, key, chosen, kind = found
        case = cases.setdefault((context, key, chosen[0].split), FoundCase(context, key))
        for image in chosen:
            case.images[_rest(image.key, key)] = image
        case.labels["/".join(part for part in (label.kind, kind) if part)].append(label)
    cases = _merged(cases)
    used = {image.unit.path for case in cases.values() for image in case.images.values()}
    alone = tuple(image for image in images if image.unit.path not in used)
    return Pairs(tuple(cases.values()), alone, tuple(lost))


Place = tuple[tuple[str, ...], str, str | None]


def _merged(cases: dict[Place, FoundCase]) -> dict[Place, FoundCase]:
    """Cases with the labels of those whose images are all theirs too: `p1_t1_mask` is a label of p1's t1 and flair."""
    kept: dict[Place, FoundCase] = {}
    by_image: dict[Path, FoundCase] = {}
    for place in sorted(cases, key=lambda place: (-len(cases[place].images), len(place[1]))):
        case = cases[place]
        files = [image.unit.path for image in case.images.values()]
        larger = by_image.get(files[0])
        if larger is None or not set(files) <= {image.unit.path for image in larger.images.values()}:
            kept[place] = case
            by_image |= dict.fromkeys(files, case)
            continue
        for kind, labels in case.labels.items():
            rest = _rest(case.key, larger.key) if kind in larger.labels else ""
            larger.labels["/".join(part for part in (kind, rest) if part)] += labels
    return {place: case for place, case in cases.items() if place in kept}


# Context and key of a case, its images, and what is left of a label's key to say which label it is.
Found = tuple[tuple[str, ...], str, list[Named], str]


class _Index:
    def __init__(self, images: Sequence[Named]) -> None:
        self.few = len(images) <= MOST_CHANNELS
        self.exact: dict[tuple[tuple[str, ...], str], list[Named]] = defaultdict(list)
        self.begins: dict[tuple[tuple[str, ...], str], list[Named]] = defaultdict(list)
        self.folder: dict[tuple[str, ...], list[Named]] = defaultdict(list)
        self.anywhere: dict[str, list[Named]] = defaultdict(list)
        self.numbers: dict[tuple[int, ...], list[Named]] = defaultdict(list)
        self.longer: dict[str, list[Named]] = defaultdict(list)
        self.numbered: dict[tuple[int, ...], list[Named]] = defaultdict(list)
        for image in images:
            self.exact[image.context, image.key].append(image)
            for start in _starts(image.key):
                self.begins[image.context, start].append(image)
            self.folder[image.context].append(image)
            self.anywhere[_whole(image)].append(image)
            for start in _starts(_whole(image))[:-1] if image.context else ():
                self.longer[start].append(image)
            if image.context:
                self.anywhere[image.key].append(image)
            self.numbers[numbers_of(_whole(image))].append(image)
            for first, last in combinations(range(len(found := numbers_of(image.key)) + 1), 2) if image.context else ():
                self.numbered[found[first:last]].append(image)
            if image.context:
                self.numbers[numbers_of(image.context[-1])].append(image)

    def by_name(self, label: Named) -> Found | None:
        """Images of the same folder whose key is the label's, begins with it, or is what it begins with."""
        context = label.context
        if (same := _of_split(self.exact.get((context, label.key), []), label)) and (label.key or len(same) == 1):
            return context, label.key, same[:1], ""
        if label.key and (longer := _of_split(self.begins.get((context, label.key), []), label)):
            if len(longer) > 1 and all(SIDES.fullmatch(_rest(image.key, label.key)) for image in longer):
                return None  # two eyes or knees, of which the label is one's, and no two channels
            return context, label.key, longer, ""
        for start in _starts(label.key):
            shorter = _of_split(self.exact.get((context, start), []), label)
            if shorter and (start or context or len(shorter) == 1):
                return context, start, shorter[:1], _rest(label.key, start)
        return self._of_sequences(label)

    def _of_sequences(self, label: Named) -> Found | None:
        """Images whose key is what the label's begins with and a sequence: `p1_ct` beside the label `p1_vertebrae`."""
        for start in _starts(label.key):
            rest = _rest(label.key, start)
            if not numbers_of(start) or numbers_of(rest):
                break
            images = _of_split(self.begins.get((label.context, start), []), label)
            if images and all(re.fullmatch(SEQUENCE, _rest(image.key, start)) for image in images):
                return label.context, start, images, rest
        return None

    def of_folder(self, label: Named) -> Found | None:
        """All images of the label's own folder, or of a dataset that is one case."""
        images = _of_split(self.folder.get(label.context, []), label)
        if not images or len(images) > MOST_CHANNELS or not (label.context or (self.few and not label.key)):
            return None
        if numbers_of(label.key) and any(_shape(image.key) == _shape(label.key) for image in images):
            return None  # `2` beside `1` is the label of an image that is not there
        return label.context, "", images, label.key

    def elsewhere(self, label: Named) -> Found | None:
        """The one image of another folder that has the label's name, or its numbers."""
        for names in dict.fromkeys((_whole(label), label.key)):
            for start in (names, *_starts(names)):
                images = _of_split(self.anywhere.get(start, []), label) if start else []
                if len({id(image) for image in images}) == 1:
                    return images[0].context, images[0].key, images[:1], _rest(names, start)
        if (longer := self._of_one_case(label) or self._of_channel_folders(label)) is not None:
            return longer
        numbers = numbers_of(_whole(label))
        images = self.numbers.get(numbers, []) if numbers else []
        if len({id(image) for image in images}) == 1:
            return images[0].context, images[0].key, images[:1], ""
        return None

    def _of_one_case(self, label: Named) -> Found | None:
        """Images of one other folder whose names with their folders' begin with the label's: its channels."""
        images = _of_split(self.longer.get(_whole(label), []), label)
        keys = {(image.context, _rest(_whole(image), _whole(label))) for image in images}
        if not images or len({image.context for image in images}) > 1 or len(keys) < len(images):
            return None
        start = _shared([image.key for image in images])
        return images[0].context, start, images, ""

    def _of_channel_folders(self, label: Named) -> Found | None:
        """Images of several folders side by side, one in each, that have the label's name up to its last number."""
        core = re.match(r"(.*\d[^_]*)?", label.key)
        start = core[0] if core else ""
        if not re.search(r"[a-z]", start):
            return None
        of_number = self.numbered.get(numbers_of(start), [])
        images = _of_split([one for one in of_number if f"_{start}_" in f"_{one.key}_"], label)
        folders = {image.context for image in images}
        if not 1 < len(images) == len(folders) <= MOST_ROLES or len({folder[:-1] for folder in folders}) > 1:
            return None
        named = [_of_folder_name(one, start, label.shown[: len(start)]) for one in images]
        return images[0].context[:-1], start, named, _rest(label.key, start)


def _of_folder_name(image: Named, start: str, shown: str) -> Named:
    """The image as if its key were the case's and its folder's name."""
    folder = re.sub(r"[_\-. ]+", "_", image.context[-1].lower())
    return replace(image, key=f"{start}_{folder}", shown=f"{shown}_{image.context[-1]}")


def _shared(keys: Sequence[str]) -> str:
    """The parts that all keys begin with."""
    starts = set.intersection(*({key, *_starts(key)} if len(keys) == 1 else set(_starts(key)) for key in keys))
    return max(starts, key=len, default="")


def _of_another(image: Named, label: Named) -> bool:
    """Whether the folders of an image and a label are called alike, with other numbers: another patient's."""
    if image.context == label.context or not image.context or not label.context:
        return False
    (own, numbers), (other, others) = (
        (re.split(r"\d", folder.lower())[0], numbers_of(folder)) for folder in (label.context[-1], image.context[-1])
    )
    return own == other and bool(numbers) and bool(others) and numbers != others


def _of_split(images: Sequence[Named], label: Named) -> list[Named]:
    """Images of the label's part of the split where some are; where names do not say, all; of no other patient."""
    images = [image for image in images if not _of_another(image, label)]
    same = [image for image in images if image.split == label.split]
    return same or [image for image in images if image.split is None or label.split is None]


def _starts(key: str) -> list[str]:
    """What a key begins with, part by part, the longest first; for `a_b_c`, `a_b` and `a`, and nothing at last."""
    parts = key.split("_")
    return ["_".join(parts[:n]) for n in range(len(parts) - 1, -1, -1)] if key else []


def _rest(key: str, start: str) -> str:
    return key[len(start) :].strip("_") if start and key.startswith(start) else ("" if key == start else key)


def _whole(named: Named) -> str:
    return "_".join(part for part in (*(folder.lower() for folder in named.context), named.key) if part)


def _shape(key: str) -> str:
    return re.sub(r"\d+", "#", key)
