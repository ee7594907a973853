"""Which channel of a model a file or a series is, by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

from medseg.config.safe_json import read_json_object
from medseg.errors import InputError
from medseg.types.channels import WantedChannel

# nnU-Net's numbers of channels.
NUMBER = re.compile(r"(?:(?P<case>.+)_)?(?P<number>\d{4})")
# Ways to write one thing; the first is what they are compared by.
SAME = (("t1", "t1w", "t1n"), ("t2", "t2w"), ("flair", "t2f"), ("t1ce", "t1c", "t1gd"), ("pt", "pet"), ("mr", "mri"))
# How an image was acquired, which does not say what it shows: `t1_mprage` is T1, `sag_t2_tse` is T2.
ACQUIRED = {
    "mprage", "mp2rage", "spgr", "fspgr", "bravo", "tfl", "tfe", "tse", "fse", "space", "cube", "vista", "3d", "2d",
    "ax", "axial", "sag", "sagittal", "cor", "coronal", "tra", "iso",
}  # fmt: skip
# BIDS says it by a word before it: `sub-01_acq-iso_T1w`.
OF_BIDS = re.compile(r"(?<![a-z0-9])(acq|rec|ce|dir|space|res|desc)[-_][a-z0-9]+", re.IGNORECASE)
BY_NUMBERS = "the numbers in the files' names"
# Instead of a channel's number: a numbered file that is none of the model's channels.
NO_CHANNEL = -1
_FIRST = {word: words[0] for words in SAME for word in words}


@dataclass(frozen=True)
class Matched:
    """The number of the channel that a name says, what is left of the name for the case, and how it was told."""

    channel: int
    case: str
    by: str = ""  # of a file that is no channel, what dataset.json calls it


def normal(name: str) -> str:
    """A name in lower case, its parts joined by ``_`` and each as it is compared.

    >>> normal("T1W-sag")
    't1_sag'
    >>> normal("T2 FLAIR")
    'flair'
    """
    parts = "_".join(_FIRST.get(part, part) for part in re.findall(r"[a-z0-9]+", name.lower()))
    return re.sub(r"(?<![a-z0-9])(t2_flair|dark_fluid)(?![a-z0-9])", "flair", parts)


def without_acquisition(key: str) -> str:
    """A key without words for how images were acquired, and without those of BIDS that say so."""
    return "_".join(part for part in OF_BIDS.sub("", key).split("_") if part and part.lower() not in ACQUIRED)


def by_name(key: str, channels: Sequence[WantedChannel]) -> Matched | None:
    """The channel whose name a key is, ends with or begins with; of several the longest. None where none or several."""
    whole = f"_{normal(key)}_"
    found: list[tuple[int, Matched]] = []
    for number, names in enumerate(_names(channels)):
        for name in names:
            mark = f"_{name}_"
            if whole.endswith(mark) or whole.startswith(mark):
                rest = whole[: -len(mark)] if whole.endswith(mark) else whole[len(mark) :]
                found.append((len(name), Matched(number, rest.strip("_"))))
    longest = max((length for length, _ in found), default=0)
    best = {match for length, match in found if length == longest}
    return best.pop() if len(best) == 1 else None


def by_number(key: str, file: Path, channels: Sequence[WantedChannel]) -> Matched | None:
    """The channel of nnU-Net's number at the end of a key, by a `dataset.json` nearby or in the model's order.

    `NO_CHANNEL` where the name there is none of the model's, or the number is none of its; None without a number, and
    where a channel's name stands before it: then the case has that number.
    """
    match = NUMBER.fullmatch(key)
    if match is None:
        return None
    number, case = int(match["number"]), match["case"] or ""
    before = by_name(case, channels)
    if before is not None and not before.case:
        return None
    stated = _stated_names(file.parent)
    if stated is None:
        return Matched(number, case, BY_NUMBERS) if number < len(channels) else Matched(NO_CHANNEL, case)
    called = stated.get(number)
    if called is None:
        return None
    for text in (called, without_acquisition(normal(called))):
        named = by_name(text, channels)
        if named is not None and not named.case:
            return Matched(named.channel, case, "the names in dataset.json")
    return Matched(NO_CHANNEL, case, called)


def by_pattern(name: str, patterns: Mapping[str, str], channels: Sequence[WantedChannel]) -> Matched | None:
    """The channel whose pattern a name fits; what its stars stand for is left for the case."""
    for number, channel in enumerate(channels):
        pattern = patterns.get(channel.name)
        if pattern is None:
            continue
        stars = re.compile(
            "(.*)".join(re.escape(part).replace(r"\?", ".") for part in pattern.split("*")), re.IGNORECASE
        )
        if match := stars.fullmatch(name):
            return Matched(number, "_".join(part.strip("_-. ") for part in match.groups() if part), "discover.channels")
    return None


def fits(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern with ``*`` and ``?``, in any case."""
    return re.fullmatch(translate(pattern.casefold()), text.casefold()) is not None


def says(text: str, channel: WantedChannel) -> bool:
    """Whether all words of a channel's name stand in a text."""
    found = set(normal(text).split("_"))
    return bool(channel.name) and set(normal(channel.name).split("_")) <= found


def _names(channels: Sequence[WantedChannel]) -> list[list[str]]:
    """Names of each channel: its own, and its modality where no other channel has that."""
    modalities = [normal(channel.modality or "") for channel in channels]
    return [
        list(dict.fromkeys([normal(channel.name), *([own] if own and modalities.count(own) == 1 else [])]))
        for channel, own in zip(channels, modalities, strict=True)
    ]


def _stated_names(folder: Path) -> dict[int, str] | None:
    """Names of channels by number in the `dataset.json` of a folder or of the one above; None where none names any."""
    for file in (folder / "dataset.json", folder.parent / "dataset.json"):
        if not file.is_file():
            continue
        content = read_json_object(file)
        named = content.get("channel_names", content.get("modality"))
        if named is None:
            continue
        pairs = named.items() if isinstance(named, dict) else enumerate(named if isinstance(named, list) else [named])
        try:
            return {int(key): str(name) for key, name in pairs}
        except ValueError as error:
            raise InputError(
                "'channel_names' does not map numbers to names", where=file, fix='Write it as in {"0": "CT"}.'
            ) from error
    return None
