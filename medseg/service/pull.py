"""Fetches series from an archive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from medseg.errors import UsageError
from medseg.io.files.atomic import atomic_folder, write_bytes
from medseg.service.archive import Archive, ArchiveError, ArchiveRefusal, is_uid
from medseg.service.retry import keep_trying

STUDY_KEYS = {
    "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "PatientID", "PatientName", "StudyID",
    "ModalitiesInStudy", "StudyDescription",
}  # fmt: skip
COUNT = "NumberOfSeriesRelatedInstances"


@dataclass(frozen=True)
class Series:
    """A series an archive has."""

    study: str
    uid: str
    modality: str = ""
    objects: int | None = None  # how many the archive says it has


def search(archive: Archive, query: Mapping[str, str]) -> list[Series]:
    """List the series that match.

    `query` maps DICOM keywords to values, for instance ``{"AccessionNumber": "123", "Modality": "CT"}``; ``*`` and
    ``?`` stand for any text and any character, as in DICOM.
    """
    if not query:
        raise UsageError(
            "this would fetch the whole archive", fix="Restrict it with --query, for instance AccessionNumber=123."
        )
    if unknown := [keyword for keyword in query if tag_for_keyword(keyword) is None]:
        raise UsageError(
            "this is not a DICOM keyword",
            where=f"--query {unknown[0]}={query[unknown[0]]}",
            fix="Write it as in StudyInstanceUID.",
        )
    find = _find(archive)
    of_study = {keyword: value for keyword, value in query.items() if keyword in STUDY_KEYS}
    of_series = {keyword: value for keyword, value in query.items() if keyword not in STUDY_KEYS}
    found: dict[str, Series] = {}
    for study in find(archive, "STUDY", {"StudyInstanceUID": "", **of_study}):
        uid = _uid(study, "StudyInstanceUID", archive)
        keys = {"SeriesInstanceUID": "", "Modality": "", COUNT: "", **of_series, "StudyInstanceUID": uid}
        for series in find(archive, "SERIES", keys):
            series_uid = _uid(series, "SeriesInstanceUID", archive)
            count = series.get(COUNT)
            objects = None if count in (None, "") else int(count)
            found[series_uid] = Series(uid, series_uid, str(series.get("Modality") or ""), objects)
    return list(found.values())


def pull(archive: Archive, series: Series, out: Path, *, retries: int = 3, wait: float = 2.0) -> list[Path]:
    """Fetch one series into ``out/<series UID>/<instance UID>.dcm``.

    The folder appears when all of the series has come, because a scan without its last slices looks like a scan. One
    that is there already is replaced.

    It comes by C-MOVE where `Archive.move_port` is given, else by C-GET; or over DICOMweb. A broken connection is tried
    again `retries` times, after `wait` seconds, doubled each time. Returns the files.
    """
    fetch = _fetch(archive)

    def whole(part: Path) -> list[str]:
        names: dict[str, None] = {}

        def keep(instance: str, content: bytes) -> None:
            if not is_uid(instance):
                raise ArchiveError(
                    "the archive sent an object without a valid UID",
                    where=archive.name,
                    fix="Report it to the administrator of the archive.",
                )
            write_bytes(part / f"{instance}.dcm", content)
            names[f"{instance}.dcm"] = None

        fetch(archive, series.study, series.uid, keep)
        if not names:
            raise ArchiveRefusal(
                f"no object of series {series.uid} arrived", where=archive.name, fix="Try DICOMweb, or C-STORE it."
            )
        if series.objects is not None and len(names) < series.objects:
            raise ArchiveError(
                f"{len(names)} of the {series.objects} objects of series {series.uid} arrived",
                where=archive.name,
                fix="Run the same command again, or fetch over DICOMweb.",
            )
        return list(names)

    with atomic_folder(out / series.uid) as part:
        names = keep_trying(lambda: whole(part), retries=retries, wait=wait)
    return [out / series.uid / name for name in names]


def _fetch(archive: Archive) -> Callable[[Archive, str, str, Callable[[str, bytes], None]], None]:
    if archive.protocol == "web":
        from medseg.service.web import get
    elif archive.move_port is None:
        from medseg.service.dimse import get
    else:
        from medseg.service.move import move as get
    return get


def _find(archive: Archive) -> Callable[[Archive, str, Mapping[str, str]], list[Dataset]]:
    if archive.protocol == "dimse":
        from medseg.service.dimse import find
    else:
        from medseg.service.web import find
    return find


def _uid(answer: Dataset, keyword: str, archive: Archive) -> str:
    uid = str(answer.get(keyword) or "")
    if not is_uid(uid):
        raise ArchiveError(
            f"the archive answered with an invalid {keyword}",
            where=archive.name,
            fix="Report it to the administrator of the archive.",
        )
    return uid
