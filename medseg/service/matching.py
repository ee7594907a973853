"""Whether what an archive answers is what it was asked for: archives ignore keys they do not search by."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

NUMBERS = ("DS", "IS", "FL", "FD", "SL", "SS", "UL", "US")
MOMENTS = ("DA", "TM", "DT")
ANY_VALUE = "?*"


def contradicted(answer: Dataset, query: Mapping[str, str]) -> str | None:
    """First keyword of a query that an answer does not match, or does not state; None where it matches all."""
    return next((keyword for keyword, value in query.items() if not _states(answer, keyword, value)), None)


def _states(answer: Dataset, keyword: str, wanted: str) -> bool:
    if not wanted.strip().strip("*"):  # any value, also none
        return True
    return keyword in answer and any(_fits(answer[keyword], value, wanted) for value in _values(answer[keyword]))


def _values(element: DataElement) -> list[str]:
    value: Any = element.value
    return [str(part) for part in (value if isinstance(value, MultiValue | list) else [value]) if part is not None]


def _fits(element: DataElement, value: str, wanted: str) -> bool:
    if wanted.strip() == ANY_VALUE:
        return bool(value.strip(" \0"))
    if element.VR in MOMENTS:
        return any(_in_range(value.strip(), one.strip()) for one in wanted.split("\\"))
    if element.VR in NUMBERS:
        return any(_is_number(value, one) for one in wanted.split("\\"))
    return any(_is_like(plain(value, element.VR), plain(one, element.VR)) for one in wanted.split("\\"))


def _is_number(value: str, wanted: str) -> bool:
    try:
        return float(value) == float(wanted)
    except ValueError:
        return False


def _in_range(value: str, wanted: str) -> bool:
    """Compare moments as far as the question is exact; ``20240101-20240131`` includes both ends."""
    if "-" not in wanted:
        return bool(wanted) and value.startswith(wanted.rstrip("*"))
    first, last = (part.strip() for part in wanted.split("-", 1))
    return bool(value) and value >= first and (not last or value[: len(last)] <= last)


def plain(text: str, kind: str) -> str:
    """Return text without case, accents and padding, which archives disregard; of a name, the first way to write it."""
    if kind == "PN":
        text = text.split("=")[0].rstrip("^ ")
    decomposed = unicodedata.normalize("NFKD", text.strip(" \0").casefold())
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))


def _is_like(value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern.replace("[", "[[]"))
