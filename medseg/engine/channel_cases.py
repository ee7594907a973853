"""Brings together the scans of each case for a model that takes several channels, and never guesses in silence.

Files find their channel by the model's names for them (`p1_T1.nii.gz`, or `T1.nii.gz` in a folder a patient), by
nnU-Net's numbers (`p1_0000.nii.gz`), by the folder of a channel (`T1/p1.nii.gz`), or by patterns a person gave; DICOM
series by modality and description within a study. What was taken for what is a note of the case; a case of which a
channel is missing or unclear is failed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from medseg.data.file_names import Named, name_units
from medseg.data.file_units import Unit
from medseg.engine.channel_names import (
    BY_NUMBERS,
    NO_CHANNEL,
    Matched,
    by_name,
    by_number,
    by_pattern,
    without_acquisition,
)
from medseg.engine.channel_series import series_cases
from medseg.engine.joined_case import joined
from medseg.io.files.case_id import safe, stem, unique
from medseg.io.files.patient_names import public_name
from medseg.io.files.walk import absolute
from medseg.types.channels import WantedChannel
from medseg.types.scan import Discovery, FoundScan, Skipped

COLORS = {"red", "green", "blue"}
MOST_NAMED = 6
MOST_FOLDERS = 3


@dataclass(eq=False)
class _Case:
    """Files of a case by channel, and how each was told."""

    context: tuple[str, ...]
    key: str
    scans: dict[int, list[FoundScan]] = field(default_factory=lambda: defaultdict(list))
    by: set[str] = field(default_factory=set)
    others: list[tuple[FoundScan, str]] = field(default_factory=list)  # numbered, no channel, and what each is called

    @property
    def files(self) -> list[FoundScan]:
        """All of its files, by name."""
        scans = [scan for scans in self.scans.values() for scan in scans] + [scan for scan, _ in self.others]
        return sorted(scans, key=lambda scan: scan.file_name)


def group_channels(
    discovery: Discovery,
    channels: Sequence[WantedChannel],
    inputs: Sequence[Path],
    *,
    patterns: Mapping[str, str],
    keep_names: bool = False,
) -> Discovery:
    """Cases of a model of several channels; scans that hold all channels themselves stay as they are.

    - `patterns`: what names of files and descriptions of series of a channel look like, by the channel's name.
    """
    if {channel.name.lower() for channel in channels} == COLORS:
        return discovery
    whole = [scan for scan in discovery.found if _is_whole(scan, channels)]
    single = [scan for scan in discovery.found if not _is_whole(scan, channels)]
    dicom = [scan for scan in single if scan.format == "dicom"]
    files = [scan for scan in single if scan.format != "dicom"]
    cases, skipped = _file_cases(files, channels, patterns, keep_names)
    of_series, unclear = series_cases(dicom, channels, inputs, patterns)
    found = [*whole, *cases, *of_series]
    failed = [left.case_id for left in (*discovery.skipped, *skipped, *unclear) if left.corrupt]
    ids = unique([scan.case_id for scan in found], [absolute(scan.files[0]) for scan in found], failed)
    found = [replace(scan, case_id=case_id) for scan, case_id in zip(found, ids, strict=True)]
    ordered = sorted(found, key=lambda scan: absolute(scan.files[0]))
    return Discovery(tuple(ordered), (*discovery.skipped, *skipped, *unclear))


def _is_whole(scan: FoundScan, channels: Sequence[WantedChannel]) -> bool:
    """Whether a scan holds all channels itself."""
    return scan.n_channels == len(channels) or bool(scan.channels)


def _file_cases(
    scans: Sequence[FoundScan], channels: Sequence[WantedChannel], patterns: Mapping[str, str], keep_names: bool
) -> tuple[list[FoundScan], list[Skipped]]:
    """Cases of files, and files that belong to none."""
    cases: dict[tuple[tuple[str, ...], str], _Case] = {}
    skipped: list[Skipped] = []
    lost: list[FoundScan] = []
    names = _named(scans)
    of_folders = {match.channel for named in names if (match := _by_folder(named, channels)) is not None}
    is_in_folders = len(of_folders) > 1
    for scan, named in zip(scans, names, strict=True):
        if named.role == "label":
            skipped.append(Skipped(scan.files[0], "by its name it is a label, not a channel"))
            continue
        match = _matched(named, channels, patterns, is_in_folders)
        if match is None:
            lost.append(scan)
            continue
        of_channel = Matched(match.channel, "")
        context = tuple(f for f in named.context if not is_in_folders or by_name(f, channels) != of_channel)
        case = cases.setdefault((context, match.case), _Case(context, match.case))
        if match.channel == NO_CHANNEL:
            case.others.append((scan, match.by))
            continue
        case.scans[match.channel].append(scan)
        if match.by:
            case.by.add(match.by)
    # A number alone, which no dataset.json explains, may as well be a year.
    for case in cases.values():
        if BY_NUMBERS not in case.by:
            lost += [scan for scan, name in case.others if not name]
            case.others = [other for other in case.others if other[1]]
    cases = {place: case for place, case in cases.items() if case.files}
    complete = _completed(list(cases.values()), channels)
    found = []
    for case, case_id in zip(complete, _case_ids(complete, keep_names), strict=True):
        problem = _problem(case, channels)
        if problem is None:
            in_order = [case.scans[number][0] for number in range(len(channels))]
            found.append(joined(case_id, in_order, channels, " and ".join(sorted(case.by))))
            for scan, name in case.others:
                skipped.append(
                    Skipped(scan.files[0], f"dataset.json calls it {name}, which is none of the model's channels")
                )
        else:
            first = case.files[0]
            fix = _fix_numbers(channels) if case.others else _fix(channels)
            skipped.append(Skipped(first.files[0], problem, fix, True, case_id, first.file_name))
    wanted = ", ".join(channel.name for channel in channels)
    for scan in lost:
        reason = f"its name is that of none of the model's channels ({wanted})"
        if cases:
            skipped.append(Skipped(scan.files[0], reason))
        else:
            skipped.append(Skipped(scan.files[0], reason, _fix(channels), True, scan.case_id, scan.file_name))
    return found, skipped


def _completed(cases: Sequence[_Case], channels: Sequence[WantedChannel]) -> list[_Case]:
    """Cases, those that lack channels joined where they differ only in how their images were acquired."""
    lacking = [case for case in cases if _problem(case, channels) is not None]
    joined_cases: dict[tuple[tuple[str, ...], str], _Case] = {}
    for case in lacking:
        key = without_acquisition(case.key)
        whole = joined_cases.setdefault((case.context, key), _Case(case.context, key))
        for number, scans in case.scans.items():
            whole.scans[number] += scans
        whole.by |= case.by
        whole.others += case.others
    whole_ones = {place: case for place, case in joined_cases.items() if _problem(case, channels) is None}
    left = [case for case in lacking if (case.context, without_acquisition(case.key)) not in whole_ones]
    lack = set(lacking)  # by identity
    return [case for case in cases if case not in lack] + list(whole_ones.values()) + left


def _named(scans: Sequence[FoundScan]) -> list[Named]:
    paths = [Path(absolute(scan.files[0])) for scan in scans]
    units = [Unit(path, path.parts[1:-1], stem(path.name)) for path in paths]
    shared = 0
    while units and all(len(u.folders) > shared for u in units) and len({u.folders[: shared + 1] for u in units}) == 1:
        shared += 1
    # One folder that holds everything may be the patient's, whose name files then begin with.
    shared = max(shared - 1, 0) if len({unit.folders for unit in units}) == 1 else shared
    return name_units([replace(unit, folders=unit.folders[shared:]) for unit in units])


def _matched(
    named: Named, channels: Sequence[WantedChannel], patterns: Mapping[str, str], is_in_folders: bool
) -> Matched | None:
    own = by_pattern(named.unit.name, patterns, channels)
    if own is not None:
        return own
    left = [channel for channel in channels if channel.name not in patterns]
    match: Matched | None
    if is_in_folders and (of_folder := _by_folder(named, channels)) is not None:
        match = by_name(named.key, channels) or of_folder
    else:
        numbered = by_number(named.shown, named.unit.path, channels)
        if numbered is not None and numbered.channel != NO_CHANNEL:
            match = numbered
        else:
            match = by_name(named.key, channels) or by_name(without_acquisition(named.key), channels) or numbered
    match = match or by_name(without_acquisition(named.key), channels)
    if match is None or match.channel == NO_CHANNEL:
        return match
    return match if channels[match.channel] in left else None


def _by_folder(named: Named, channels: Sequence[WantedChannel]) -> Matched | None:
    """The channel that a file's folder is called after, where that is all its name says: `T1/p1.nii.gz`."""
    match = by_name(named.context[-1], channels) if named.context and named.key else None
    return Matched(match.channel, named.key) if match is not None and not match.case else None


def _problem(case: _Case, channels: Sequence[WantedChannel]) -> str | None:
    """Why a case cannot be segmented; None where each channel has one file."""
    files = [scan.file_name for scan in case.files]
    shown = ", ".join(files[:MOST_NAMED]) + (" ..." if len(files) > MOST_NAMED else "")
    if any(not name for _, name in case.others):
        names = ", ".join(channel.name for channel in channels)
        return f"more numbered files than the model has channels ({names}), and no dataset.json names them: {shown}"
    missing = [channel.name for number, channel in enumerate(channels) if not case.scans.get(number)]
    if missing:
        called = ", ".join(f"{scan.file_name} {name}" for scan, name in case.others[:MOST_NAMED])
        named = f"; dataset.json calls {called}" if called else ""
        return f"there is no scan for the channel {' and '.join(missing)}; there are {shown}{named}"
    several = [channels[number].name for number, scans in case.scans.items() if len(scans) > 1]
    return f"several scans could be the channel {several[0]}: {shown}" if several else None


def _fix(channels: Sequence[WantedChannel]) -> str:
    first = channels[0].name
    return (
        f"Name files after the channels, as CASE_{first}.nii.gz, number them CASE_0000 onwards, list them in a table, "
        f"or say what they are called: --set discover.channels.{first}='*PATTERN*'."
    )


def _fix_numbers(channels: Sequence[WantedChannel]) -> str:
    first = channels[0].name
    names = ", ".join(channel.name for channel in channels)
    return (
        f"Name the numbers of {names} in channel_names of a dataset.json beside the files or one folder up, "
        f"or say what files are called: --set discover.channels.{first}='*_0000', and so on."
    )


def _case_ids(cases: Sequence[_Case], keep_names: bool) -> list[str]:
    """Names of cases: what a case's files have in common, or their folder, free of what looks like a patient's name.

    Where two have one name, folders stand before it.
    """
    shown = str if keep_names else public_name
    short = [case.key or (case.context[-1] if case.context else "case") for case in cases]
    names = [safe(shown(name)) for name in short]
    for depth in range(1, MOST_FOLDERS + 1):
        counts = Counter(name.lower() for name in names)
        names = [
            safe("_".join(map(shown, _with_folders(case.context[-depth:], name)))) if counts[old.lower()] > 1 else old
            for case, name, old in zip(cases, short, names, strict=True)
        ]
    return names


def _with_folders(folders: Sequence[str], name: str) -> tuple[str, ...]:
    """Folders and a name, which the innermost may already say: ``ses-1`` and ``ses_1``."""
    same = bool(folders) and re.sub(r"\W", "_", folders[-1].lower()) == re.sub(r"\W", "_", name.lower())
    return tuple(folders) if same else (*folders, name)
