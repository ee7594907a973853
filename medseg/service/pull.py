"""Fetches series from an archive."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.valuerep import validate_value

from medseg.counted import counted
from medseg.errors import UsageError
from medseg.io.files.atomic import atomic_folder, atomic_path
from medseg.service import bounds
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal, is_uid
from medseg.service.arriving import check_space, copy_to, digest_of, size_of
from medseg.service.bounds import TimeForTries, most_objects
from medseg.service.matching import contradicted, plain
from medseg.service.received import REPORT, Received, received
from medseg.service.retry import keep_trying

STUDY_KEYS = {
    "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "PatientID", "PatientName", "StudyID",
    "ModalitiesInStudy", "StudyDescription",
}  # fmt: skip
VRS_OF_TIME = ("DA", "TM", "DT")
LONGEST_CODE = 16  # letters of a modality
COUNT = "NumberOfSeriesRelatedInstances"
Keep = Callable[[str | None, BinaryIO], None]
Find = Callable[[Archive, str, Mapping[str, str]], list[Dataset]]
log = logging.getLogger("medseg.service.pull")


@dataclass(frozen=True)
class Series:
    """A series an archive has."""

    study: str
    uid: str
    modality: str = ""
    objects: int | None = None  # how many the archive says it has
    patient: str | None = None  # whose it is, by PatientID; None where the archive does not say


def search(archive: Archive, query: Mapping[str, str], *, retries: int = 0, wait: float = 2.0) -> list[Series]:
    """List the series that match; what fails for the moment is tried again, as in `pull`.

    `query` maps DICOM keywords to values, for instance ``{"AccessionNumber": "123", "Modality": "CT"}``; ``*`` and
    ``?`` stand for any text and any character, as in DICOM. An archive ignores keys that it does not search by; an
    answer that does not say, or contradicts, what was asked for is an `ArchiveRefusal`. Where nothing listens at the
    address, or its name is not known, it is not tried again.
    """
    _check_query(query)
    time_for = TimeForTries(bounds.SEARCH_SECONDS, bounds.FOUND_RATE)
    return keep_trying(
        lambda: _search(archive, query, time_for),
        retries=retries,
        wait=wait,
        time_for=time_for,
        has_answered=lambda: False,
    )


def _search(archive: Archive, query: Mapping[str, str], time_for: TimeForTries) -> list[Series]:
    find = _find(archive)
    of_study = {keyword: value for keyword, value in query.items() if keyword in STUDY_KEYS}
    of_series = {keyword: value for keyword, value in query.items() if keyword not in STUDY_KEYS}
    found: dict[str, Series] = {}
    for study in find(archive, "STUDY", {"StudyInstanceUID": "", "PatientID": "", **of_study}):
        _check(study, of_study, archive)
        uid = _uid(study, "StudyInstanceUID", archive)
        patient = str(study.get("PatientID") or "").strip() or None
        keys = {"SeriesInstanceUID": "", "Modality": "", COUNT: "", **of_series, "StudyInstanceUID": uid}
        for answer in find(archive, "SERIES", keys):
            _check(
                answer, {**of_series, **({"StudyInstanceUID": uid} if answer.get("StudyInstanceUID") else {})}, archive
            )
            series_uid = _uid(answer, "SeriesInstanceUID", archive)
            count = _count(answer, archive)
            if count is None:
                count = _listed(find, archive, uid, series_uid)
            series = Series(uid, series_uid, str(answer.get("Modality") or "")[:LONGEST_CODE], count, patient)
            if found.setdefault(series_uid, series).study != uid:
                raise ArchiveRefusal(
                    f"the archive has series {series_uid} in two studies", where=archive.name, fix=REPORT
                )
            _check_search_time(time_for, archive)
        _check_search_time(time_for, archive)
    return list(found.values())


def _check_search_time(time_for: TimeForTries, archive: Archive) -> None:
    """Take in that a study or series was found; refuse to ask on where the search has had its time."""
    time_for.came()
    if time_for.is_over():
        raise ArchiveRefusal(
            f"the search took longer than {time_for.allowed:.0f} s", where=archive.name, fix="Restrict it with --query."
        )


def _check_query(query: Mapping[str, str]) -> None:
    """Raise `UsageError` where a query would match everything, or nothing that an archive may hold."""
    if empty := [keyword for keyword, value in query.items() if not value.strip()]:
        raise UsageError(
            f"{empty[0]} has no value, which would match everything", fix="Give a value, or omit the keyword."
        )
    if all(not value.strip("*? ") for value in query.values()):
        raise UsageError(
            "this would fetch the whole archive", fix="Restrict it with --query, for instance AccessionNumber=123."
        )
    if unknown := [keyword for keyword in query if tag_for_keyword(keyword) is None]:
        raise UsageError(
            "this is not a DICOM keyword",
            where=f"--query {unknown[0]}={query[unknown[0]]}",
            fix="Write it as in StudyInstanceUID.",
        )
    for keyword, value in query.items():
        if dictionary_VR(keyword) in VRS_OF_TIME and not _is_value(dictionary_VR(keyword), value):
            raise UsageError(
                "this is no date or time as DICOM writes them",
                where=f"--query {keyword}={value}",
                fix="Write a date as 20240131 and dates from one to another as 20240101-20240131, a time as 1345.",
            )


def _is_value(representation: str, value: str) -> bool:
    try:
        validate_value(representation, value, RAISE)
    except ValueError:
        return False
    return True


def _check(answer: Dataset, query: Mapping[str, str], archive: Archive) -> None:
    """Refuse an answer that is not what was asked for."""
    keyword = contradicted(answer, query)
    if keyword is not None:
        how = "that is another one" if answer.get(keyword) else "without it"
        raise ArchiveRefusal(
            f"asked for {keyword}, the archive gave an answer {how}",
            where=archive.name,
            fix="It may not search by this keyword; search by another one, such as StudyInstanceUID.",
        )


def _count(answer: Dataset, archive: Archive) -> int | None:
    count = answer.get(COUNT)
    try:
        return None if count in (None, "") else int(count)
    except (TypeError, ValueError) as error:
        raise ArchiveRefusal(f"the archive answered with an invalid {COUNT}", where=archive.name, fix=REPORT) from error


def _listed(find: Find, archive: Archive, study: str, series: str) -> int | None:
    """How many objects an archive lists of a series that it does not count; None where it does not list them either."""
    keys = {"SOPInstanceUID": "", "StudyInstanceUID": study, "SeriesInstanceUID": series}
    try:
        answers = find(archive, "IMAGE", keys)
    except ArchiveError as error:
        log.debug("%s does not list objects: %s", archive.name, error.what)
        return None
    return len({str(answer.get("SOPInstanceUID") or "") for answer in answers} - {""}) or None


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


def _find(archive: Archive) -> Find:
    if archive.protocol == "dimse":
        from medseg.service.dimse import find
    else:
        from medseg.service.web import find
    return find


def _uid(answer: Dataset, keyword: str, archive: Archive) -> str:
    uid = str(answer.get(keyword) or "")
    if not is_uid(uid):
        raise ArchiveRefusal(
            f"the archive answered with an invalid {keyword}",
            where=archive.name,
            fix=REPORT,
        )
    return uid
