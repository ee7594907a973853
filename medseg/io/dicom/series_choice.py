"""Which series of a DICOM study a model wants: the one its card describes, or the one the user named."""

from __future__ import annotations

import fnmatch
import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medseg.counted import counted
from medseg.errors import MedsegError, UsageError
from medseg.io.files.walk import absolute, input_above
from medseg.types.scan import Discovery, FoundScan, Skipped
from medseg.types.series_criteria import SeriesCriteria

# How far spacing and field of view may lie beyond those of the training data.
SLACK = 1.05
CHOOSE = "Choose one with --series."
NONE_FITS = "Most likely none is for this model. Where one is all the same, choose it with --series."
MOST_NAMED = 5
log = logging.getLogger("medseg.io.dicom.series_choice")


@dataclass(frozen=True)
class Fit:
    """How well a volume fits."""

    against: tuple[str, ...] = ()  # what rules it out
    outside: tuple[str, ...] = ()  # how its grid is not the training data's, for which it may be withheld
    short: tuple[str, ...] = ()  # what is not as requested, without ruling it out
    unknown: tuple[str, ...] = ()  # what its header does not say

    @property
    def rank(self) -> tuple[int, int, int]:
        """Lower fits better: first what the gate would withhold a scan for."""
        return len(self.outside), len(self.short), len(self.unknown)

    def __str__(self) -> str:
        if self.against:
            return "; ".join(self.against)
        differences = [*self.outside, *self.short, *(f"{what} not stated" for what in self.unknown)]
        return "; ".join(differences) or "all as the model expects"


def choose_series(discovery: Discovery, criteria: SeriesCriteria, inputs: Sequence[Path]) -> Discovery:
    """Keep, of each DICOM study, the volume that fits best; ask where several fit equally.

    A study of one volume, volumes that were given each by its own path, and scans that are not DICOM stay as they are.

    Volumes of one study under different inputs are not chosen between. Chosen volumes say why in their notes; the
    others are skipped with the reason. Where none fits, or several fit equally, the study is skipped as failed, for the
    user to choose; of those that fit equally and cannot be read, the one that can be carries a warning.
    """
    kept: list[FoundScan] = []
    left: list[Skipped] = []
    for members in _studies(discovery.found, inputs):
        if len(members) == 1 or members[0].format != "dicom":
            kept += members
            continue
        chosen, reason = _choose(members, criteria)
        if chosen is None:
            first = members[0]
            fix = CHOOSE if any(not judge(one, criteria).against for one in members) else NONE_FITS
            left.append(Skipped(first.files[0], reason, fix, True, first.case_id, "DICOM study"))
        else:
            log.info("%s: %s", chosen.case_id, reason)
            kept.append(replace(chosen, notes=(*chosen.notes, reason)))
            left += [
                Skipped(one.files[0], f"series {one.title}: not the one that fits the model best")
                for one in members
                if one.case_id != chosen.case_id
            ]
    order = {scan.case_id: number for number, scan in enumerate(discovery.found)}
    return Discovery(tuple(sorted(kept, key=lambda scan: order[scan.case_id])), (*discovery.skipped, *left))


def named_series(discovery: Discovery, pattern: str) -> Discovery:
    """Keep the DICOM volumes the user named; scans that are not DICOM stay as they are.

    The pattern is a series UID, a series number, a case id, or a description with ``*`` and ``?`` for any text, in any
    case.
    """
    dicom = [scan for scan in discovery.found if scan.format == "dicom"]
    matching = {scan.case_id for scan in dicom if _matches(scan, pattern)}
    if discovery.found and not dicom:
        raise UsageError("there is no DICOM series among the inputs", where=f"--series {pattern}", fix="Omit --series.")
    if others := len(discovery.found) - len(dicom):
        log.info("--series chooses among DICOM series only; other scans are taken as they are: %d", others)
    if dicom and not matching:
        examples = ", ".join(scan.title for scan in dicom[:MOST_NAMED]) + (" ..." if len(dicom) > MOST_NAMED else "")
        raise UsageError(
            f"none of {counted(len(dicom), 'volume')} matches",
            where=f"--series {pattern}",
            fix=f"There are {examples}; see `medseg inspect`.",
        )
    note = "chosen by --series"
    return Discovery(
        tuple(
            replace(scan, notes=(*scan.notes, note)) if scan.case_id in matching else scan
            for scan in discovery.found
            if scan.format != "dicom" or scan.case_id in matching
        ),
        (
            *discovery.skipped,
            *(
                Skipped(s.files[0], f"series {s.title}: not the one named with --series")
                for s in dicom
                if s.case_id not in matching
            ),
        ),
    )


def judge(found: FoundScan, criteria: SeriesCriteria) -> Fit:
    """Say how well a DICOM volume fits, by its headers alone."""
    from medseg.io.dicom.geometry import lay_out
    from medseg.io.dicom.header import lenient
    from medseg.io.dicom.series import volume_of

    against: list[str] = []
    outside: list[str] = []
    short: list[str] = []
    unknown: list[str] = []
    with lenient():
        try:
            volume = volume_of(found)
            first = volume.frames[0]
            layout = lay_out(volume.frames, allow_uneven=True)
        except MedsegError as error:
            return Fit((f"it cannot be read: {error.what}",))
        header = first.header
        modality = str(header.get("Modality") or "")
        if criteria.modalities and modality not in criteria.modalities:
            against.append(f"{modality or 'unknown modality'}, not {' or '.join(criteria.modalities)}")
        if criteria.body_parts:
            part = " ".join(str(header.get("BodyPartExamined") or "").upper().split())
            if not part:
                unknown.append("body part")
            elif part not in {p.upper() for p in criteria.body_parts}:
                against.append(f"{part.lower()}, not {' or '.join(criteria.body_parts).lower()}")
        if criteria.contrast is not None:
            given = bool(header.get("ContrastBolusAgent"))
            if given and not criteria.contrast:
                against.append("with contrast medium")
            elif criteria.contrast and not given:
                unknown.append("contrast medium")
    if found.incomplete is not None:
        short.append("part of it seems lost")
    if layout.places is not None:
        short.append("its slices are uneven")
    if first.image_type[:1] == ("DERIVED",) or first.image_type[1:2] == ("SECONDARY",):
        short.append("derived from another series")
    spacing = np.array(layout.geometry.spacing)
    for name, value, limits in (
        ("spacing", spacing, criteria.spacing),
        ("field of view", spacing * layout.geometry.shape, criteria.extent),
    ):
        if limits is not None and not _inside(value.tolist(), *limits):
            outside.append(f"{name} {' x '.join(f'{v:.3g}' for v in value)} mm is outside the training data's")
    return Fit(tuple(against), tuple(outside), tuple(short), tuple(unknown))


def _choose(members: Sequence[FoundScan], criteria: SeriesCriteria) -> tuple[FoundScan | None, str]:
    fits: Mapping[str, Fit] = {scan.case_id: judge(scan, criteria) for scan in members}
    fitting = [scan for scan in members if not fits[scan.case_id].against]
    verdicts = "; ".join(f"{scan.title}: {fits[scan.case_id]}" for scan in members[:MOST_NAMED])
    verdicts += "; and more" if len(members) > MOST_NAMED else ""
    if not fitting:
        return None, f"none of the {len(members)} volumes of this study fits the model ({verdicts})"
    best = min(fits[scan.case_id].rank for scan in fitting)
    equal = [scan for scan in fitting if fits[scan.case_id].rank == best]
    broken: dict[str, str] = {}
    if len(equal) > 1:
        broken = {scan.case_id: why for scan in equal if (why := _unreadable(scan))}
        equal = [scan for scan in equal if scan.case_id not in broken] or equal
    if len(equal) > 1:
        names = ", ".join(scan.title for scan in equal[:MOST_NAMED]) + (" and more" if len(equal) > MOST_NAMED else "")
        return None, f"{len(equal)} volumes of this study fit the model equally well: {names}"
    (chosen,) = equal
    warnings = tuple(
        f"{scan.title} of the same study fits the model equally well and cannot be read ({broken[scan.case_id]}). "
        "Check that this series is the one wanted."
        for scan in members
        if scan.case_id in broken
    )
    others = "; ".join(f"{scan.title}: {fits[scan.case_id]}" for scan in members if scan is not chosen)
    return replace(chosen, warnings=(*chosen.warnings, *warnings)), (
        f"chosen among {len(members)} volumes of its study ({fits[chosen.case_id]}) before {others}"
        if len(members) <= MOST_NAMED
        else f"chosen among {len(members)} volumes of its study ({fits[chosen.case_id]})"
    )


def _unreadable(scan: FoundScan) -> str:
    """Why the pixels of a volume cannot be read; empty where they can."""
    from medseg.io.dicom.series import read_series

    try:
        read_series(scan, allow_uneven=True, allow_incomplete=True)
    except MedsegError as error:
        return error.what
    return ""


def _matches(scan: FoundScan, pattern: str) -> bool:
    if pattern in (scan.series_uid, scan.case_id):
        return True
    if pattern.isdecimal() and scan.series_number is not None and int(pattern) == scan.series_number:
        return True
    return fnmatch.fnmatchcase(scan.series_description.casefold(), pattern.casefold())


def _studies(found: Sequence[FoundScan], inputs: Sequence[Path]) -> list[list[FoundScan]]:
    """Volumes of one DICOM study under one input; every other scan by itself."""
    roots = {Path(absolute(path)) for path in inputs}

    def study(numbered: tuple[int, FoundScan]) -> tuple[str, str]:
        number, scan = numbered
        if scan.format != "dicom" or not scan.study_uid:
            return "", f"{number:09}"
        place = Path(absolute(scan.files[0]))
        return scan.study_uid, str(input_above(place, roots) or "")

    groups = itertools.groupby(sorted(enumerate(found), key=study), key=study)
    return [[scan for _, scan in members] for _, members in groups]


def _inside(values: Sequence[float], low: Sequence[float], high: Sequence[float]) -> bool:
    return all(a / SLACK <= v <= b * SLACK for v, a, b in zip(sorted(values), sorted(low), sorted(high), strict=True))
