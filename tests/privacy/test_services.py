"""What serves and fetches, with the same markers: no answer, page, figure, log, table or message has any of them."""

from __future__ import annotations

import gzip
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pydicom
import pytest
import requests
from combine_packages import part
from every_verb import SERVED
from local_server import web_server
from marked_scans import MARKERS, WORDS, broken, found_in, leaks, planted
from node_peers import happens, node_yaml, send
from peers.orthanc import free_port
from review_server import serving
from reviewed_dicom import make_dicom_results
from run_here import run_here

from medseg.types import Source

Answer = Callable[[str, bytes], tuple[int, str, bytes]]


def test_each_of_these_verbs_has_its_test():
    assert set(SERVED.values()) <= set(globals())


def inflated(content: bytes) -> bytes:
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


@pytest.mark.parametrize("how", [{}, {"blind": True, "blind_model": True}], ids=["plain", "blind"])
def test_no_answer_of_the_review_has_a_marker(tmp_path, caplog, how):
    caplog.set_level(logging.DEBUG)
    out, case_id, _ = make_dicom_results(tmp_path, formats=("nifti", "dicom-seg", "sr"), **MARKERS)
    with serving(out, **how) as client:
        case = f"case/{case_id}"
        read = [f"{case}{rest}" for rest in ("", "/image", "/labels", "/labels?of=model", "/instances", "/thumbnail")]
        answers = [client.get(path) for path in ("worklist", *read, "case/Quimby", f"{case}/labels?revision=99")]
        assert [answer.status_code for answer in answers[:4]] == [200] * 4
        answers += [
            client.put(case_id, b"nonsense"),
            client.judge(case_id, revision=0, kind="reject", reason="nonsense"),
            client.judge(case_id, revision=7, kind="accept"),
            client.judge(case_id, revision=0, kind="reject", reason="boundary"),
            client.session.get(client.at),
        ]
        assert {answer.status_code for answer in answers[-5:-2]} <= {400, 409, 422}
        if not how:
            answers.append(client.draw(case_id, (0, 0, 0), 1))
            assert answers[-1].status_code == 200, answers[-1].text
        for path in out.parent.joinpath("series").iterdir():
            path.unlink()
        answers.append(client.get(f"{case}/image?again"))  # what is gone is said without its name
    for answer in answers:
        said = "\n".join([answer.url, str(answer.headers)]).encode() + inflated(answer.content)
        assert found_in(said) == set(), (answer.url, answer.text[:300])
    assert found_in(caplog.text.encode()) == set()
    assert leaks(out) == {}


@contextmanager
def archive(answer: Answer) -> Iterator[str]:
    """A DICOMweb service, or a webhook; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            code, kind, content = answer(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815 - as the library calls it

        def log_message(self, *_: object) -> None:
            pass

    with web_server(Handler) as address:
        yield f"{address}/dicom-web"


def listed(source: Source, **other: object) -> bytes:
    """What an archive says of the study and the series, all of the patient's elements among it."""
    header = pydicom.dcmread(source.files[0], stop_before_pixels=True)
    header.NumberOfSeriesRelatedInstances = len(source.files)
    for keyword, value in other.items():
        setattr(header, keyword, value)
    return b"[" + header.to_json().encode() + b"]"


def objects(source: Source, **other: object) -> bytes:
    parts = []
    for path in source.files:
        header = pydicom.dcmread(path)
        for keyword, value in other.items():
            setattr(header, keyword, value)
        header.save_as(path)
        parts.append(b"--x\r\nContent-Type: application/dicom\r\n\r\n" + path.read_bytes() + b"\r\n")
    return b"".join(parts) + b"--x--\r\n"


DICOM, JSON = 'multipart/related; type="application/dicom"; boundary=x', "application/dicom+json"
PAGE = f"<html>Welcome {MARKERS['PatientName']}, {MARKERS['PatientID']}</html>".encode()


def plain_answer(source: Source, path: str) -> tuple[int, str, bytes]:
    is_search = path.partition("?")[0].endswith(("/studies", "/series"))
    return (200, JSON, listed(source)) if is_search else (200, DICOM, objects(source))


# What the archive does, and the exit code.
ARCHIVES: dict[str, tuple[Callable[[Source, str], tuple[int, str, bytes]], int]] = {
    "right": (plain_answer, 0),
    "another patient's objects": (
        lambda source, path: (
            plain_answer(source, path)
            if "?" in path
            else (200, DICOM, objects(source, PatientID="OLD-331-77", PatientName="Marlowe^A"))
        ),
        4,
    ),
    "another patient in the list": (lambda source, _: (200, JSON, listed(source, PatientID="OLD-331-77")), 4),
    "a page of its own": (lambda *_: (200, "text/html", PAGE), 4),
    "an error with a page": (lambda *_: (500, "text/html", PAGE), 4),
    "a refusal": (lambda *_: (403, "text/plain", PAGE), 4),
    "no JSON": (lambda *_: (200, JSON, PAGE), 4),
    "another type in JSON": (
        lambda *_: (200, JSON, json.dumps([{"0020000D": {"vr": "UI", "Value": [WORDS[0]]}}]).encode()),
        4,
    ),
    "objects that are none": (
        lambda source, path: (
            plain_answer(source, path) if "?" in path else (200, DICOM, b"--x\r\n\r\n" + PAGE + b"--x--")
        ),
        4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ARCHIVES)
def test_what_is_fetched_names_nobody(tmp_path, kind):
    answer, code = ARCHIVES[kind]
    source = planted(tmp_path / "archive")
    out = tmp_path / "out"
    query = [
        word
        for pair in ("PatientID", "PatientName", "AccessionNumber")
        for word in ("--query", f"{pair}={MARKERS[pair]}")
    ]
    with archive(lambda path, _: answer(source, path)) as address:
        done = run_here("pull", "--from", address, *query, "--out", out, "--retries", "0", "--debug")
    assert done.returncode == code, done.stderr[-1000:]
    assert "this is a bug" not in done.stderr
    assert found_in((done.stdout + done.stderr).encode()) == set(), done.stdout + done.stderr[-1000:]
    assert leaks(out) == {}


def test_the_check_of_rules_names_nobody(tmp_path):
    planted(tmp_path / "study" / "a")
    broken(tmp_path / "study" / "b")
    for when in ({"Modality": "MR"}, {"PatientName": "*"}, {"StudyDescription": "*nobody*"}):
        config = node_yaml(tmp_path, rules=[{"when": when, "model": "hippocampus"}])
        done = run_here("serve", "check", config, tmp_path / "study", "--debug")
        assert done.returncode in (0, 4), done.stderr
        assert found_in((done.stdout + done.stderr).encode()) == set(), done.stdout


@pytest.mark.slow
def test_a_node_tells_nobody_whose_scans_it_has(tmp_path):
    """Results, those withheld, corrupt objects, a destination that is not there and one that refuses with a page."""
    package = part(tmp_path, "tiny", modality="MR").folder
    source = planted(tmp_path / "a", shape=(40, 40, 12))
    broken(tmp_path / "b")
    heard: list[bytes] = []

    def webhook(path: str, body: bytes) -> tuple[int, str, bytes]:
        heard.append(path.encode() + body)
        return (200, "text/plain", b"") if path.endswith("/hook") else (400, "text/html", PAGE)

    with archive(webhook) as address:
        port = free_port()
        rule: dict[str, Any] = {"when": {"Modality": "MR"}, "model": str(package), "formats": ["dicom-seg", "sr"]}
        config = node_yaml(
            tmp_path,
            http=f"127.0.0.1:{port}",
            rules=[{**rule, "send_to": ["gone", "web"]}],
            destinations={"gone": f"dicom://127.0.0.1:{free_port()}/GONE", "web": address},
            notify={"webhook": f"{address}/hook"},
            tries=1,
        )
        with (tmp_path / "node.log").open("wb") as log:
            command = [sys.executable, "-m", "medseg", "serve", "start", "--config", str(config), "--debug"]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            said = process.stdout.readline()
            files = [*source.files, *(path for path in (tmp_path / "b").glob("[!s]*/*"))]
            send(json.loads(config.read_text())["port"], files)
            results = tmp_path / "node-data" / "results"
            assert happens(lambda: list(results.glob("*/status.json")), 120)
            assert happens(lambda: any(not one.startswith(b"/dicom-web/studies") for one in heard), 60), heard
            pages = [
                requests.get(f"http://127.0.0.1:{port}{path}", timeout=30) for path in ("/", "/metrics", "/healthz")
            ]
            verbs = [run_here("serve", "status", "--config", config, *more, "--debug") for more in ([], ["--json"])]
            verbs += [run_here("serve", verb, "--config", config, "--debug") for verb in ("retry", "dismiss")]
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate(timeout=60)
            assert process.returncode == 75
        finally:
            process.kill()
    texts = [said, rest, *(page.text + str(page.headers) for page in pages)]
    texts += [done.stdout + done.stderr for done in verbs] + [
        one.decode(errors="replace") for one in heard if b"/hook" in one
    ]
    for text in texts:
        assert found_in(text.encode()) == set(), text
    assert found_in((tmp_path / "node.log").read_bytes()) == set()
    assert leaks(tmp_path / "node-data") == {}
