"""Fetches series from an archive."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from medseg.counted import counted
from medseg.io.files.atomic import atomic_folder, atomic_path
from medseg.service import bounds
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal
from medseg.service.arriving import check_space, copy_to, digest_of, size_of
from medseg.service.bounds import TimeForTries, most_objects
from medseg.service.matching import plain
from medseg.service.received import REPORT, Received, received
from medseg.service.retry import keep_trying
from medseg.service.search import Series

Keep = Callable[[str | None, BinaryIO], None]
log = logging.getLogger("medseg.service.pull")


def pull(archive: Archive, series: Series, out: Path, *, retries: int = 3, wait: float = 2.0) -> list[Path]:
    """Fetch one series into ``out/<series UID>/<instance UID>.dcm``.

    The folder appears when all of the series has come, because a scan without its last slices looks like a scan. One
    that is there already is replaced.

    It comes by C-MOVE where `Archive.move_port` is given, else by C-GET; or over DICOMweb. A broken connection is tried
    again `retries` times, after `wait` seconds, doubled each time, as long as `bounds.TRIES_SECONDS` and what has come
    allow. An object of another series, study or patient is
    refused, and the series with it. Returns the files.
    """
    fetch = _fetch(archive)
    time_for = TimeForTries(bounds.TRIES_SECONDS, bounds.SERIES_RATE)

    def whole(part: Path) -> list[str]:
        names: dict[str, bytes] = {}
        patients = {} if series.patient is None else {"ID": series.patient}
        arrivals = itertools.count(1)
        refusals: list[ArchiveError] = []

        def keep(instance: str | None, content: BinaryIO) -> None:
            try:
                if next(arrivals) > most_objects(series.objects):
                    raise ArchiveRefusal(
                        f"the archive sent more than {counted(most_objects(series.objects), 'object')} for series "
                        f"{series.uid}" + ("" if series.objects is None else f", of which it counts {series.objects}"),
                        where=archive.name,
                        fix=REPORT,
                    )
                own = received(content, archive.name)
                _check_asked(instance, own, series, archive)
                _check_patient(own, patients, series, archive)
                instance = own.instance
                digest = digest_of(content)
                if names.setdefault(f"{instance}.dcm", digest) != digest:
                    raise ArchiveRefusal(
                        f"the archive sent two objects with the UID {instance}", where=archive.name, fix=REPORT
                    )
                size = size_of(content)
                check_space(part, size)
                with atomic_path(part / f"{instance}.dcm") as file:
                    copy_to(file, content)
                time_for.came(size)
                if len(names) != series.objects and time_for.is_over():
                    raise ArchiveRefusal(
                        f"series {series.uid} took longer than {time_for.allowed:.0f} s for the "
                        f"{time_for.amount / 1e6:.1f} MB that came",
                        where=archive.name,
                        fix="Ask its administrator, or fetch it where the network is faster.",
                    )
            except ArchiveError as error:
                refusals.append(error)
                raise

        try:
            fetch(archive, series.study, series.uid, keep, part)
        finally:
            if refusals:  # over DIMSE the archive only says that something did not arrive
                raise refusals[0]
        if not names:
            raise ArchiveRefusal(
                f"no object of series {series.uid} arrived", where=archive.name, fix="Try DICOMweb, or C-STORE it."
            )
        if series.objects is None:
            log.warning("The archive does not say how many objects series %s has; %d came.", series.uid, len(names))
        elif len(names) < series.objects:
            raise ArchiveError(
                f"{len(names)} of the {series.objects} objects of series {series.uid} arrived",
                where=archive.name,
                fix="Run the same command again, or fetch over DICOMweb.",
            )
        return list(names)

    with atomic_folder(out / series.uid) as part:
        names = keep_trying(lambda: whole(part), retries=retries, wait=wait, time_for=time_for)
    return [out / series.uid / name for name in names]


def _check_asked(instance: str | None, own: Received, series: Series, archive: Archive) -> None:
    """Refuse an object that is not of the series asked for, or another than the archive calls it."""
    for keyword, found, wanted in (
        ("SOPInstanceUID", own.instance, instance),
        ("SeriesInstanceUID", own.series, series.uid),
        ("StudyInstanceUID", own.study, series.study),
    ):
        if wanted is not None and found != wanted:
            raise ArchiveRefusal(
                f"the archive sent an object of another {keyword} than was asked for", where=archive.name, fix=REPORT
            )


def _check_patient(own: Received, patients: dict[str, str], series: Series, archive: Archive) -> None:
    """Refuse an object of another patient than those before it, or than the series; take in what it says of its own.

    What one object says and another does not is no difference, and neither are case, accents and padding.
    """
    identity = {"ID": own.patient.strip(), "name": plain(own.name, "PN"), "birth date": plain(own.born, "DA")}
    for what, value in identity.items():
        if (value or what == "ID") and patients.setdefault(what, value) != value:
            raise ArchiveRefusal(
                f"the archive sent an object of another patient in series {series.uid}, by the patient's {what}",
                where=archive.name,
                fix=REPORT,
            )


def _fetch(archive: Archive) -> Callable[[Archive, str, str, Keep, Path], None]:
    if archive.protocol == "web":
        from medseg.service.web import get
    elif archive.move_port is None:
        from medseg.service.dimse import get
    else:
        from medseg.service.move import move as get
    return get
