"""Fetches series from an archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from medseg.errors import UsageError
from medseg.io.atomic import write_bytes
from medseg.service.archive import Archive, ArchiveError, is_uid

__all__ = ["Series", "pull", "search"]

STUDY_KEYS = {
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "PatientID",
    "PatientName",
    "StudyID",
    "ModalitiesInStudy",
    "StudyDescription",
}


@dataclass(frozen=True)
class Series:
    """A series an archive has.

    Parameters
    ----------
    study, uid : str
        UIDs of its study and its own.
    modality : str
        Such as ``"CT"``.
    """

    study: str
    uid: str
    modality: str = ""


def search(archive: Archive, where: Mapping[str, str]) -> list[Series]:
    """List the series that match.

    Parameters
    ----------
    archive : Archive
        Where to look.
    where : mapping of str to str
        DICOM keywords to values, for instance ``{"AccessionNumber": "123", "Modality": "CT"}``; ``*`` and ``?`` stand
        for any text and any character, as in DICOM.

    Raises
    ------
    UsageError
        When nothing is asked for, or a keyword is unknown.
    """
    if not where:
        raise UsageError("this would fetch the whole archive", fix="Say which with --where, e.g. AccessionNumber=123.")
    if unknown := [keyword for keyword in where if tag_for_keyword(keyword) is None]:
        raise UsageError(f"'{unknown[0]}' is not a DICOM keyword", fix="Write it as in StudyInstanceUID.")
    find = _find(archive)
    of_study = {keyword: value for keyword, value in where.items() if keyword in STUDY_KEYS}
    of_series = {keyword: value for keyword, value in where.items() if keyword not in STUDY_KEYS}
    found: dict[str, Series] = {}
    for study in find(archive, "STUDY", {"StudyInstanceUID": "", **of_study}):
        uid = _uid(study, "StudyInstanceUID", archive)
        keys = {"SeriesInstanceUID": "", "Modality": "", **of_series, "StudyInstanceUID": uid}
        for series in find(archive, "SERIES", keys):
            series_uid = _uid(series, "SeriesInstanceUID", archive)
            found[series_uid] = Series(uid, series_uid, str(series.get("Modality") or ""))
    return list(found.values())


def pull(archive: Archive, series: Series, out: Path) -> list[Path]:
    """Fetch one series into ``out/<series UID>/<instance UID>.dcm``.

    Parameters
    ----------
    archive : Archive
        Where it is.
    series : Series
        As `search` gives it.
    out : Path
        Folder, made if missing. Each file appears whole or not at all.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ArchiveError
        When it did not come, or not all of it.
    """
    if archive.protocol == "dimse":
        from medseg.service.dimse import get
    else:
        from medseg.service.web import get
    files: list[Path] = []

    def keep(instance: str, content: bytes) -> None:
        if not is_uid(instance):
            raise ArchiveError("the archive sent an object without a valid UID", where=archive.name)
        files.append(out / series.uid / f"{instance}.dcm")
        write_bytes(files[-1], content)

    get(archive, series.study, series.uid, keep)
    if not files:
        raise ArchiveError(
            f"nothing came of series {series.uid}", where=archive.name, fix="Try DICOMweb, or C-STORE it."
        )
    return files


def _find(archive: Archive) -> Callable[[Archive, str, Mapping[str, str]], list[Dataset]]:
    if archive.protocol == "dimse":
        from medseg.service.dimse import find
    else:
        from medseg.service.web import find
    return find


def _uid(answer: Dataset, keyword: str, archive: Archive) -> str:
    uid = str(answer.get(keyword) or "")
    if not is_uid(uid):
        raise ArchiveError(f"the archive answered with an invalid {keyword}", where=archive.name)
    return uid
