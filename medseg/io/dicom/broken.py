"""Finds the series that a file which cannot be read seems to belong to, by its folder and its name."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from medseg.counted import counted
from medseg.io.files.case_id import stem
from medseg.types.scan import FoundScan

# Names that count their images have no more numbers, and no longer ones, than this.
MOST_NUMBERS, LONGEST_NUMBER = 3, 6
# What programs put behind the name of a file while they copy or download it.
UNFINISHED = re.compile(
    r"(\.(part|partial|crdownload|tmp|temp|download|filepart|incomplete|!ut|opdownload)|~)+$", re.IGNORECASE
)
# rsync copies `0009.dcm` to `.0009.dcm.Xy12Ab` first.
HIDDEN = re.compile(r"\.(.+)\.[A-Za-z0-9]{6}")
HASH = re.compile(r"[0-9a-f]{8,}", re.IGNORECASE)


def beside_broken(found: Sequence[FoundScan], broken: Mapping[Path, str]) -> tuple[FoundScan, ...]:
    """Mark DICOM volumes that lie beside broken files named as theirs are.

    `broken` has what results call each file: its own name may hold a UID or name the patient.

    Where names count the images, a broken file belongs to the series of the readable files before and after it;
    otherwise to every series of its folder that is named alike.
    """
    named: dict[tuple[Path, str], dict[Path, set[int]]] = defaultdict(lambda: defaultdict(set))
    for number, scan in enumerate(found):
        if scan.format == "dicom":
            for path in scan.files:
                named[path.parent, _pattern(path)][path].add(number)
    beside: dict[int, list[str]] = defaultdict(list)
    for path in sorted(broken):
        alike = named.get((path.parent, _pattern(path)), {})
        near = _neighbors(path, list(alike)) if _counts(path) else list(alike)
        for number in sorted({n for neighbor in near for n in alike[neighbor]}):
            beside[number].append(broken[path])
    return tuple(
        replace(scan, incomplete=_text(beside[number])) if number in beside else scan
        for number, scan in enumerate(found)
    )


def _text(names: Sequence[str]) -> str:
    more = " and more" if len(names) > 1 else ""
    return f"{counted(len(names), 'file')} beside it, named as its own, cannot be read: {names[0]}{more}"


def _pattern(path: Path) -> str:
    """Name with what differs from image to image replaced."""
    whole = _finished(path)
    name = stem(whole)
    if HASH.fullmatch(name) and not name.isdecimal():
        return f"hash{len(name)}{Path(whole).suffix.lower()}"
    return re.sub(r"\d+", "#", name) + whole[len(name) :].lower()


def _finished(path: Path) -> str:
    """Name that a file will have when it is there."""
    hidden = HIDDEN.fullmatch(path.name)
    return hidden[1] if hidden else UNFINISHED.sub("", path.name) or path.name


def is_on_its_way(path: Path) -> bool:
    """Whether a hidden file is one that is being copied."""
    return HIDDEN.fullmatch(path.name) is not None


def _counts(path: Path) -> bool:
    numbers = _numbers(path)
    return len(numbers) <= MOST_NUMBERS and all(len(n) <= LONGEST_NUMBER for n in numbers)


def _numbers(path: Path) -> list[str]:
    name = stem(_finished(path))
    return [] if HASH.fullmatch(name) and not name.isdecimal() else re.findall(r"\d+", name)


def _neighbors(path: Path, others: Sequence[Path]) -> list[Path]:
    """Nearest of the other files before and after, in the order of the numbers in their names."""

    def place(one: Path) -> list[int]:
        return [int(n) for n in _numbers(one)]

    before = [other for other in others if place(other) <= place(path)]
    after = [other for other in others if place(other) > place(path)]
    return [*([max(before, key=place)] if before else []), *([min(after, key=place)] if after else [])]
