"""Which case labels from another program belong to: by the series they refer to, else by their grid, else by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.counted import counted
from medseg.errors import InputError
from medseg.evaluation.files.label_files import WHOLE, plain_name
from medseg.io.files.case_id import safe, stem
from medseg.io.files.patient_names import public_name
from medseg.prepare.regrid import coincides
from medseg.types import Geometry

How = Literal["series", "grid", "name", "given"]
NAME_IT = "Say which with --case ID, or call the file after its case."
SHOWN = 5


@dataclass(frozen=True, eq=False)
class Candidate:
    """A case that labels may belong to."""

    case_id: str
    names: frozenset[str]  # what its files may be called, as `as_plain` writes them
    series_uid: str | None  # of a case that was read from DICOM
    grid: Callable[[], Geometry]  # of its labels; read only where the series does not decide


@dataclass(frozen=True, eq=False)
class Incoming:
    """Labels from another program, by what can be known without a case."""

    names: tuple[frozenset[str], ...]  # of the file and then of its folder, as `plain_names` writes them
    series_uids: tuple[str, ...] = ()  # the series the file refers to; empty where its format knows none
    geometry: Geometry | None = None  # None where the file alone does not say, as of contours


def match(incoming: Incoming, candidates: Sequence[Candidate], *, where: object = None) -> tuple[str, How]:
    """Find the one case that labels belong to, and say by what.

    A series that the file refers to decides alone. Labels of a whole grid belong to the one case with that grid; where
    several have it, to the one with the file's name. Labels of a part of a grid, as 3D Slicer crops them, need the name
    too, since parts of unrelated scans may coincide by chance. A name that says one case while the grid says another is
    refused.

    Raises
    ------
    InputError
        When no case fits, or more than one.
    """
    of_series = [one for one in candidates if one.series_uid in incoming.series_uids] if incoming.series_uids else []
    if len(of_series) == 1:
        return of_series[0].case_id, "series"
    pool: Sequence[Candidate]
    if of_series:  # several volumes of one series
        pool = of_series
    elif incoming.series_uids:
        # Of another series for sure are all cases that have one.
        pool = [one for one in candidates if one.series_uid is None]
        if not pool:
            raise InputError(
                "it refers to a series that no case was made of",
                where=where,
                fix="Give the results of that series; if the scans were de-identified since, say which with --case ID.",
            )
    else:
        pool = candidates
    named = by_name(incoming.names, pool)
    if incoming.geometry is None:
        if len(named) == 1:
            return named[0].case_id, "name"
        raise InputError("it names no grid, and nothing else says which case it is of", where=where, fix=NAME_IT)
    return _by_grid(incoming.geometry, pool, named, where)


def _by_grid(
    geometry: Geometry, pool: Sequence[Candidate], named: Sequence[Candidate], where: object
) -> tuple[str, How]:
    parts = [one for one in pool if coincides(geometry, one.grid())]
    whole = [one for one in parts if sorted(one.grid().shape) == sorted(geometry.shape)]
    fitting = whole or parts
    if not fitting:
        hint = f" (its name is that of {named[0].case_id})" if len(named) == 1 else ""
        raise InputError(
            f"it lies on the grid of no case{hint}",
            where=where,
            fix="Save it on the scan's own grid; nothing is resampled.",
        )
    both = [one for one in fitting if any(one is other for other in named)]
    if len(both) == 1:
        return both[0].case_id, "grid" if len(fitting) == 1 else "name"
    shown = ", ".join(one.case_id for one in fitting[:SHOWN]) + (", ..." if len(fitting) > SHOWN else "")
    if named and not both:
        raise InputError(
            f"its name is that of {named[0].case_id}, and its grid that of {shown}", where=where, fix=NAME_IT
        )
    if len(fitting) == 1 and whole:
        return fitting[0].case_id, "grid"
    if len(fitting) == 1:
        raise InputError(f"it covers a part of the grid of {shown}, and has another name", where=where, fix=NAME_IT)
    raise InputError(
        f"it lies on the grid of {counted(len(fitting), 'case')} ({shown}), and its name does not say which",
        where=where,
        fix=NAME_IT,
    )


def plain_names(path: Path) -> tuple[frozenset[str], ...]:
    """What a case may be called by the name of a file, and, where that says nothing, by that of its folder.

    Endings such as ``_seg`` are dropped; a name that looks like a patient's is there as the hash medseg gives it too.
    """
    own, folder = stem(path.name).removesuffix(".seg"), as_plain([path.resolve().parent.name])
    return (folder,) if WHOLE.fullmatch(own) else (as_plain([own]), folder)


def as_plain(names: Iterable[str]) -> frozenset[str]:
    """Return names as they are compared."""
    every = [written for name in names if name for written in (name, safe(public_name(name)))]
    return frozenset(plain_name(name) for name in every)


def by_name(names: Sequence[frozenset[str]], candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates with one of the first of these names that any candidate has.

    A name has a candidate's too where it begins with it, as ``case7_JM``; then the longest wins, so that ``case7`` is
    not taken for ``case``.
    """
    for own in names:
        same = [one for one in candidates if one.names & own]
        begun = [
            (max(len(known) for known in one.names if _begins(known, own)), one)
            for one in candidates
            if any(_begins(known, own) for known in one.names)
        ]
        longest = max((length for length, _ in begun), default=0)
        if found := same or [one for length, one in begun if length == longest]:
            return found
    return []


def _begins(known: str, names: frozenset[str]) -> bool:
    return any(re.match(rf"{re.escape(known)}[_. -]", name) for name in names)
