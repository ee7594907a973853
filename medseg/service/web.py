"""Archives over DICOMweb: STOW-RS, QIDO-RS and WADO-RS."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from urllib3.exceptions import NewConnectionError

from medseg.errors import OF_A_PATH
from medseg.service.archive import PASSWORD, TOKEN, Archive, ArchiveError, ArchiveRefusal, no_connection
from medseg.service.bounds import Search
from medseg.service.multipart import parts
from medseg.service.outgoing import Answer, Outgoing
from medseg.service.upload import Upload
from medseg.service.web_session import LATER, TIMEOUT, BoundedSession

LARGEST_REQUEST = 64 * 2**20  # bytes of files sent in one request
ALREADY_THERE = 0x0111
NONE_STORED = 409  # an answer like any other: it lists the reasons
JSON = "application/dicom+json"
# What parsing an answer raises that is no such answer.
MALFORMED = (AttributeError, EOFError, KeyError, IndexError, RecursionError, TypeError, ValueError)
BUSY = (408, 425, 429)  # a 4xx that may pass


def store(archive: Archive, items: Sequence[Outgoing]) -> Iterator[tuple[Outgoing, Answer]]:
    """Send objects, byte for byte, by STOW-RS; yield each with what the archive said of it.

    The archive has taken what its answer lists, and nothing else: a page to sign in comes with the code of success too.
    """
    session = BoundedSession(archive)
    for batch in _batches(items):
        with _spoken(archive), closing(Upload([item.path for item in batch])) as body:
            response = session.post(
                f"{archive.url}/studies",
                data=body,
                headers={"Content-Type": body.kind, "Accept": JSON},
                timeout=TIMEOUT,
            )
            if response.status_code != NONE_STORED:
                response.raise_for_status()
        stored, failed = _listed(response)
        for item in batch:
            yield item, _answer(item, stored, failed, response)


@dataclass(frozen=True)
class _Stored:
    """An object that an answer lists as stored."""

    sop_class: str  # empty where the answer does not say
    warning: int  # 0 where there is none


def _listed(response: requests.Response) -> tuple[dict[str, _Stored], dict[str, int]]:
    """Objects that an answer lists as stored, by their UIDs, and those that failed, with the code of the reason."""
    try:
        if not _kind(response).endswith("json"):
            return {}, {}
        content = response.json()
        answer = Dataset.from_json(content[0] if isinstance(content, list) else content)
        stored = {
            str(entry.get("ReferencedSOPInstanceUID")): _Stored(
                str(entry.get("ReferencedSOPClassUID") or ""), int(entry.get("WarningReason") or 0)
            )
            for entry in answer.get("ReferencedSOPSequence") or ()
        }
        failed = {
            str(entry.get("ReferencedSOPInstanceUID")): int(entry.get("FailureReason") or 0)
            for entry in answer.get("FailedSOPSequence") or ()
        }
    except MALFORMED:
        return {}, {}
    return stored, failed


def _kind(response: requests.Response) -> str:
    """Media type of an answer."""
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _answer(
    item: Outgoing, stored: Mapping[str, _Stored], failed: Mapping[str, int], response: requests.Response
) -> Answer:
    """What an answer says of an object."""
    instance = str(item.instance)
    if instance in failed:
        code = failed[instance]
        return Answer() if code == ALREADY_THERE else Answer(f"the archive rejected it (0x{code:04X})")
    if instance in stored:
        if stored[instance].sop_class not in ("", str(item.sop_class)):
            return Answer("the archive lists it as stored, with another SOP class than it has")
        return Answer.stored(stored[instance].warning)
    kind = _kind(response)
    if "html" in kind:
        return Answer("the archive answered with a web page, maybe one to sign in, and not with what it stored")
    if kind.endswith("xml"):
        return Answer("the archive answered in XML where JSON was asked for, so what it stored is not known")
    return Answer("the archive's answer does not list it as stored")


def find(archive: Archive, level: str, keys: Mapping[str, str]) -> list[Dataset]:
    """Ask an archive by QIDO-RS; see `medseg.service.dimse.find`."""
    session = BoundedSession(archive)
    client = _client(archive, session)
    filters = {keyword: value for keyword, value in keys.items() if value}
    fields = [keyword for keyword, value in keys.items() if not value]
    study = filters.pop("StudyInstanceUID") if level != "STUDY" else None
    series = filters.pop("SeriesInstanceUID") if level == "IMAGE" else None
    found: dict[str, Dataset] = {}
    search = Search(archive.name)
    session.deadline = search.end
    with _spoken(archive):
        while True:  # an archive may give the answers in portions, or the same ones whatever was asked for
            options = {"search_filters": filters, "fields": fields, "offset": len(found) or None}
            page = (
                client.search_for_instances(study, series, **options)
                if series
                else client.search_for_series(study, **options)
                if study
                else client.search_for_studies(**options)
            )
            if not isinstance(page, list):
                raise TypeError
            new = {text: item for item in page if (text := json.dumps(item, sort_keys=True)) not in found}
            search.count(len(new))
            if not new:
                return list(found.values())
            found |= {text: Dataset.from_json(item) for text, item in new.items()}


def get(archive: Archive, study: str, series: str, keep: Callable[[str | None, BinaryIO], None], folder: Path) -> None:
    """Fetch a series by WADO-RS, as it is stored; see `medseg.service.dimse.get`."""
    session = BoundedSession(archive)
    with _spoken(archive):
        response = session.get(
            f"{archive.url}/studies/{study}/series/{series}",
            headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
            stream=True,
            timeout=TIMEOUT,
        )
        response.raise_for_status()
        with closing(response.iter_content()) as chunks:  # else a refused answer would go on being watched
            for content in parts(chunks, response.headers.get("Content-Type", ""), archive.name, folder):
                keep(None, content)
                session.next_object()


def _client(archive: Archive, session: BoundedSession) -> DICOMwebClient:
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
    """Turn what goes wrong in HTTP into words.

    Answers may quote patients, and errors quote the address with what was searched for: neither is passed on, in a
    traceback either.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    except ArchiveError:
        raise
    except requests.HTTPError as error:
        code = error.response.status_code if error.response is not None else 0
        if code in (401, 403):
            raise ArchiveRefusal(
                f"the archive rejected the login ({code})",
                where=archive.name,
                fix=f"Give --user and the variable {PASSWORD}, or {TOKEN}.",
            ) from None
        kind = ArchiveRefusal if 400 <= code < 500 and code not in BUSY else ArchiveError
        raise kind(
            f"the archive answered {code}", where=archive.name, fix="Check the address; the archive's log says more."
        ) from None
    except requests.RequestException as error:
        if isinstance(error, requests.JSONDecodeError):
            raise _malformed(archive, error) from None
        reason = getattr(error.args[0], "reason", None) if error.args else None  # why urllib3 gave up
        if isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError):
            raise no_connection(getattr(reason, "__cause__", None), archive.name, "Check the address.") from None
        what, fix = _in_words(error)
        raise ArchiveError(what, where=archive.name, fix=fix) from None
    except Exception as error:  # whatever parsing an answer raises, it is none of DICOMweb
        if isinstance(error, OSError) and error.errno in OF_A_PATH:  # of the folder that objects are kept in
            raise
        raise _malformed(archive, error) from None


def _in_words(error: requests.RequestException) -> tuple[str, str]:
    """Return what went wrong below HTTP or in it, and what to do."""
    if isinstance(error, requests.exceptions.SSLError):
        return "no encrypted connection to the archive", "Check the address; --ca names certificates to trust."
    if isinstance(error, requests.ReadTimeout):
        return f"the archive did not answer within {TIMEOUT[1]} s", LATER
    below = getattr(error.args[0], "args", ()) if error.args else ()
    if any(isinstance(one, TimeoutError) for one in below):
        return f"the archive took nothing of what is sent to it for {TIMEOUT[1]} s", LATER
    return "the archive ended the connection before its answer, or does not speak HTTP", "Check the address and port."


def _malformed(archive: Archive, error: Exception) -> ArchiveRefusal:
    kinds = {"it is nested too deeply": RecursionError, "it is no JSON": json.JSONDecodeError}
    why = next((f": {words}" for words, kind in kinds.items() if isinstance(error, kind)), "")
    return ArchiveRefusal(
        f"the archive's answer is not what DICOMweb asks for{why}",
        where=archive.name,
        fix="Check the address; a page to sign in may stand before it.",
    )
