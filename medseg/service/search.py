"""Asks an archive which series it has."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.valuerep import validate_value

from medseg.errors import UsageError
from medseg.service import bounds
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal, is_uid
from medseg.service.bounds import TimeForTries
from medseg.service.matching import contradicted
from medseg.service.received import REPORT
from medseg.service.retry import keep_trying

STUDY_KEYS = {
    "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "PatientID", "PatientName", "StudyID",
    "ModalitiesInStudy", "StudyDescription",
}  # fmt: skip
VRS_OF_TIME = ("DA", "TM", "DT")
LONGEST_CODE = 16  # letters of a modality
COUNT = "NumberOfSeriesRelatedInstances"
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
