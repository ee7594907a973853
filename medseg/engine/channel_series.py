"""Which DICOM series of a study are the channels of a model, by modality and description."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from medseg.engine.channel_names import fits, normal, says
from medseg.engine.joined_case import joined
from medseg.io.files.walk import absolute, input_above
from medseg.types.channels import WantedChannel
from medseg.types.scan import FoundScan, Skipped

MOST_NAMED = 6


def series_cases(
    scans: Sequence[FoundScan], channels: Sequence[WantedChannel], inputs: Sequence[Path], patterns: Mapping[str, str]
) -> tuple[list[FoundScan], list[Skipped]]:
    """A case of each study whose series are distinguished, named after the first channel's; others fail.

    A series is a channel by the pattern given for it; otherwise by the channel's modality, where one series alone has
    it, and by the words of its name in the series description. Nothing else is compared.
    """
    found: list[FoundScan] = []
    skipped: list[Skipped] = []
    for members in _studies(scans, inputs):
        chosen, reason = _assign(members, channels, patterns)
        if chosen is None:
            first = members[0]
            fix = f"Say which: --set discover.channels.{channels[0].name}='*DESCRIPTION*'; see `medseg inspect`."
            skipped.append(Skipped(first.files[0], reason, fix, True, first.case_id, "DICOM study"))
            continue
        found.append(joined(chosen[0].case_id, chosen, channels, "modality and description"))
        rest = [scan for scan in members if scan not in chosen]
        skipped += [Skipped(scan.files[0], f"series {scan.title}: none of the model's channels") for scan in rest]
    return found, skipped


def _assign(
    members: Sequence[FoundScan], channels: Sequence[WantedChannel], patterns: Mapping[str, str]
) -> tuple[list[FoundScan] | None, str]:
    """The series of each channel, or why there are none."""
    chosen: list[FoundScan] = []
    for channel in channels:
        candidates = _candidates(members, channel, channels, patterns.get(channel.name))
        if len(candidates) != 1:
            listed = ", ".join(scan.title for scan in (candidates or members)[:MOST_NAMED])
            if not candidates:
                return None, f"no series of this study is the channel {channel.name}; there are {listed}"
            return None, f"{len(candidates)} series of this study could be the channel {channel.name}: {listed}"
        chosen += candidates
    if len({scan.case_id for scan in chosen}) < len(chosen):
        return None, "one series of this study would be two of the model's channels"
    return chosen, ""


def _candidates(
    members: Sequence[FoundScan], channel: WantedChannel, channels: Sequence[WantedChannel], pattern: str | None
) -> list[FoundScan]:
    if pattern is not None:
        return [
            scan
            for scan in members
            if fits(pattern, scan.series_description)
            or pattern in (scan.series_uid, scan.case_id, str(scan.series_number))
        ]
    modality = normal(channel.modality or "")
    same = [scan for scan in members if not modality or normal(_modality(scan)) == modality]
    alone = sum(normal(other.modality or "") == modality for other in channels) == 1 and bool(modality)
    if alone and len(same) == 1:
        return same
    named = [scan for scan in same if says(scan.series_description, channel)]
    others = [other for other in channels if other is not channel and not says(channel.name, other)]
    own = [scan for scan in named if not any(says(scan.series_description, other) for other in others)]
    return own or named or (same if alone else [])


def _modality(scan: FoundScan) -> str:
    return scan.description.partition(",")[0]


def _studies(scans: Sequence[FoundScan], inputs: Sequence[Path]) -> list[list[FoundScan]]:
    """Series of one study under one input; without a study's UID, each by itself."""
    roots = {Path(absolute(path)) for path in inputs}
    studies: dict[tuple[str, str], list[FoundScan]] = defaultdict(list)
    for scan in scans:
        place = Path(absolute(scan.files[0]))
        root = str(input_above(place, roots) or "")
        studies[(scan.study_uid or scan.case_id, root)].append(scan)
    # Series that were each given by its own path are of one study all the same.
    by_study: dict[str, list[FoundScan]] = defaultdict(list)
    for (study, _), members in studies.items():
        by_study[study] += members
    apart = [members for members in studies.values() if len(members) > 1]
    return apart if apart and all(len(members) > 1 for members in studies.values()) else list(by_study.values())
