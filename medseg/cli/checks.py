"""Callbacks of options: each refuses a wrong value at once, in words that follow the option and its value."""

from __future__ import annotations

import re
from collections.abc import Callable

import typer

from medseg.errors import did_you_mean

# Numbers of folds, or all of them.
FOLDS = r"(?i:all)|\d+(\s*,\s*\d+)*"
# As medseg.evaluation.metrics.definitions.METRICS, T being a number; a test holds them together.
METRICS = (
    "dice",
    "iou",
    "precision",
    "recall",
    "volume_ml",
    "reference_volume_ml",
    "volume_difference_ml",
    "relative_volume_difference",
    "hd",
    "hd95",
    "assd",
    "masd",
    "nsd@Tmm",
    "boundary_iou",
    "pq",
    "sq",
    "rq",
    "f1@T",
    "ap@T",
    "objects_reference",
    "objects_prediction",
    "objects_matched",
    "lesion_dice",
    "lesion_tp",
    "lesion_fp",
    "lesion_fn",
    "ece",
    "ece_foreground",
)


def comma_separated(*known: str) -> Callable[[str | None], str | None]:
    """Return the callback of an option whose text lists some of these names, with commas between them."""

    def check(text: str | None) -> str | None:
        names = split_names(text)
        unknown = [name for name in names if name not in known]
        if text is None or (names and not unknown):
            return text
        near = did_you_mean(unknown[0], known) if unknown else ""
        raise typer.BadParameter(f"must be one or more of {', '.join(known)}, with commas between them. {near}")

    return check


def split_names(text: str | None) -> list[str]:
    """Return the names in a text that has commas between them; none for None."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def matching(pattern: str, what: str) -> Callable[[str | None], str | None]:
    """Return the callback of an option whose text must have a form."""

    def check(text: str | None) -> str | None:
        if text is not None and not re.fullmatch(pattern, text.strip()):
            raise typer.BadParameter(f"must be {what}")
        return text

    return check


def duration(text: str | None) -> str | None:
    """Refuse what is no length of time; the callback of an option."""
    numbers = None if text is None else re.fullmatch(r"(\d+(?:\.\d+)?)\s*[smhdSMHD]?", text.strip())
    if text is None or (numbers and float(numbers[1]) > 0):
        return text
    raise typer.BadParameter("must be a duration of more than 0, such as 90s, 20m or 1.5h")


def regular_expression(text: str) -> str:
    """Refuse what is no regular expression; the callback of an option."""
    try:
        re.compile(text)
    except re.error as error:
        raise typer.BadParameter(f"must be a regular expression, and this is none: {error}") from error
    return text


def metric_names(names: list[str] | None) -> list[str] | None:
    """Refuse names of metrics that there are not; the callback of an option."""
    for name in names or ():
        # A threshold may be a range, as in ap@0.5:0.95.
        if name not in METRICS and not re.fullmatch(r"nsd@[\d.]+mm|(f1|ap)@[\d.:]+", name):
            known = ", ".join(METRICS)
            raise typer.BadParameter(f"{name!r} is no metric. {did_you_mean(name, METRICS)} There are {known}")
    return names


def more_than_0(number: float | None) -> float | None:
    """Refuse 0 and less; the callback of an option."""
    if number is None or number > 0:
        return number
    raise typer.BadParameter("must be more than 0")


def all_more_than_0(numbers: list[float] | None) -> list[float] | None:
    """Refuse 0 and less; the callback of an option that may be repeated."""
    for number in numbers or ():
        more_than_0(number)
    return numbers


def shard(text: str | None) -> str | None:
    """Refuse what is no part of a whole; the callback of an option."""
    numbers = None if text is None else re.fullmatch(r"(\d+)/(\d+)", text)
    if text is None or (numbers and 1 <= int(numbers[1]) <= int(numbers[2])):
        return text
    raise typer.BadParameter("must be K/N with K from 1 to N, such as 2/4")
