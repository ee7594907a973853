"""Archives over DICOMweb: STOW-RS, QIDO-RS and WADO-RS."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset

from medseg.io.dicom.header import lenient
from medseg.service.archive import PASSWORD, TOKEN, Archive, ArchiveError, ArchiveRefusal
from medseg.service.outgoing import Outgoing

TIMEOUT = (10, 120)  # seconds to connect, and without a byte
LARGEST_REQUEST = 64 * 2**20  # bytes of files sent in one request
ALREADY_THERE = 0x0111
BUSY = (408, 425, 429)  # a 4xx that may pass


def store(archive: Archive, items: Sequence[Outgoing]) -> Iterator[tuple[Outgoing, str | None]]:
    """Send objects by STOW-RS; yield each with None, or the reason why the archive did not take it."""
    client = _client(archive)
    for batch in _batches(items):
        with _spoken(archive), lenient():
            answer = client.store_instances([pydicom.dcmread(item.path) for item in batch])
        failed = {
            str(entry.ReferencedSOPInstanceUID): int(entry.get("FailureReason", 0))
            for entry in answer.get("FailedSOPSequence") or ()
        }
        for item in batch:
            code = failed.get(item.instance)
            yield item, None if code in (None, ALREADY_THERE) else f"the archive rejected it (0x{code:04X})"


def find(archive: Archive, level: str, keys: Mapping[str, str]) -> list[Dataset]:
    """Ask an archive by QIDO-RS; see `medseg.service.dimse.find`."""
    client = _client(archive)
    filters = {keyword: value for keyword, value in keys.items() if value}
    fields = [keyword for keyword, value in keys.items() if not value]
    with _spoken(archive):
        if level == "STUDY":
            found = client.search_for_studies(search_filters=filters, fields=fields, get_remaining=True)
        else:
            study = filters.pop("StudyInstanceUID")
            found = client.search_for_series(study, search_filters=filters, fields=fields, get_remaining=True)
    return [Dataset.from_json(item) for item in found]


def get(archive: Archive, study: str, series: str, keep: Callable[[str, bytes], None]) -> None:
    """Fetch a series by WADO-RS, as it is stored; see `medseg.service.dimse.get`."""
    client = _client(archive)
    with _spoken(archive), lenient():
        for dataset in client.iter_series(study, series, media_types=(("application/dicom", "*"),)):
            buffer = BytesIO()
            pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
            keep(str(dataset.SOPInstanceUID), buffer.getvalue())


def _client(archive: Archive) -> DICOMwebClient:
    session = requests.Session()
    session.headers.update(archive.headers)
    session.auth = archive.login
    if archive.authority is not None:
        session.verify = str(archive.authority)
    client = DICOMwebClient(archive.url, session=session, timeout=TIMEOUT)
    client.set_http_retry_params(retry=False)  # the caller tries again, and says so
    return client


def _batches(items: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    batch: list[Outgoing] = []
    size = 0
    for item in items:
        more = item.path.stat().st_size
        if batch and size + more > LARGEST_REQUEST:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += more
    if batch:
        yield batch


@contextmanager
def _spoken(archive: Archive) -> Iterator[None]:
    """Turn what goes wrong in HTTP into words; answers may quote patients and are not passed on."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    except requests.HTTPError as error:
        code = error.response.status_code if error.response is not None else 0
        if code in (401, 403):
            raise ArchiveRefusal(
                f"the archive rejected the login ({code})",
                where=archive.name,
                fix=f"Give --user and the variable {PASSWORD}, or {TOKEN}.",
            ) from error
        kind = ArchiveRefusal if 400 <= code < 500 and code not in BUSY else ArchiveError
        raise kind(
            f"the archive answered {code}", where=archive.name, fix="Check the address; the archive's log says more."
        ) from error
    except requests.RequestException as error:
        raise ArchiveError(
            f"no connection to the archive ({type(error).__name__})", where=archive.name, fix="Check the address."
        ) from error
