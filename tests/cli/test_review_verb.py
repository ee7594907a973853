"""`medseg review` by the command line: the page's process, where the review stands, and whether it is whole."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import requests
from review_process import Page
from review_server import WRITE, nifti
from reviewed_results import edited, make_results

import medseg
from medseg.cli.app import run
from medseg.review.events import SUGGESTED
from medseg.review.opening import open_store
from medseg.review.sample import draw_sample

CASE = "scan_0"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return make_results(tmp_path)


def test_one_line_is_printed_and_a_signal_ends_it_with_the_code_of_resumable(out: Path) -> None:
    page = Page(out)
    page.come_in()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?key=[\w-]{32}", page.address)
    assert page.case(CASE)["state"] == "open"
    assert page.stop() == 75
    assert "Traceback" not in page.errors
    assert "stopped by SIGINT" in page.errors
    assert not (out / "review/review.sqlite-wal").exists()


@pytest.mark.slow
def test_it_stops_by_itself_when_nobody_uses_it(out: Path) -> None:
    page = Page(out, "--idle", "1s")
    assert page.end() == 0
    assert "nobody used the page" in page.errors


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 2, "DIR nowhere: there is no such file or folder"),
        (["statuss"], 2, "there is no verb 'statuss'. Did you mean 'status'?"),
        (["OUT", "--host", "0.0.0.0"], 2, "--host 0.0.0.0: another address than this machine's own needs TLS"),
        (["OUT", "--tls-cert", __file__], 2, "--tls-cert and --tls-key belong together"),
        (["OUT", "--tls-cert", __file__, "--tls-key", __file__], 4, "certificate and key cannot be used"),
        (["OUT", "--trust-header", "X Remote"], 2, "--trust-header: 'X Remote' cannot be a header's name"),
        (["OUT", "--trust-header", "X-User", "--reviewer", "Ada"], 2, "--reviewer and --trust-header exclude"),
        (["OUT", "--sample", "3"], 2, "--sample 3: a sample of 3 cannot be drawn of 2 cases"),
        (["OUT", "--sample", "0"], 2, "--sample 0: must be at least 1"),
        (["OUT", "--port", "70000"], 2, "--port 70000: must be between 0 and 65535"),
        (["OUT", "--idle", "8"], 2, "--idle 8: must have a unit"),
        (["OUT", "--reviewer", "a\nb"], 2, "cannot be a reader's name"),
        (["EMPTY"], 2, "no case has labels to review"),
        (["status", "OUT"], 2, "nothing was reviewed there yet. Begin with `medseg review"),
        (["verify", "OUT"], 2, "nothing was reviewed there yet"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(out: Path, capsys, arguments, code: int, message: str) -> None:
    (out.parent / "empty").mkdir()
    places = {"OUT": str(out), "EMPTY": str(out.parent / "empty")}
    assert run(["review", *(places.get(word, word) for word in arguments)]) == code
    errors = capsys.readouterr().err.strip()
    assert message in errors
    assert "\n" not in errors
    assert not any((out.parent / "empty").iterdir())  # no review is begun where there is nothing to review


def test_a_folder_called_like_the_verb_of_the_page_is_a_folder(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["review", "results"]) == 2
    assert "DIR results: there is no such file or folder" in capsys.readouterr().err
    assert run(["review", "--quiet", "results", "--scans", "a", "b"]) == 2


def test_the_status_says_how_many_are_judged_and_what_a_sample_tells(tmp_path: Path, capsys) -> None:
    out = make_results(tmp_path, 4)
    with open_store(out, create=True) as store:
        draw_sample(store, 2, "Ada", seed=1)
        for case in ("scan_0", "scan_1", "scan_2"):
            store.verdict(case, kind="accept", revision=0, who="Ada")
        store.verdict("scan_3", kind="reject", revision=0, who="Ben", reason="missed")
        for marked in (1, 2):
            store.record("Ben", SUGGESTED, {"class": "liver", "inside": marked, "outside": 0}, "scan_3")
    assert run(["review", "status", str(out)]) == 0
    printed = capsys.readouterr()
    assert "scan_3\trejected\t0\tBen\tmissed" in printed.out.splitlines()
    assert "4 of 4 judged: 3 accepted; 1 rejected\n" in printed.err
    assert "Ada judged 3, Ben judged 1" in printed.err
    assert re.search(r"random sample of 2 of 4: \d of 2 wrong, \d+\.0% \(95% interval", printed.err)
    assert run(["review", "status", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["judged"], found["reasons"], found["events"]) == (4, {"missed": 1}, 7)
    assert found["suggestions"] == 2
    assert [case["suggestions"] for case in found["cases"]] == [0, 0, 0, 2]
    assert found["sample"]["is_complete"] is True
    again = medseg.review.status(out)
    assert (again.judged, again.sample.judged) == (4, 2)


def test_the_status_counts_corrections_by_state_and_names_the_revision_that_was_judged(tmp_path: Path, capsys) -> None:
    out = make_results(tmp_path, 3)
    with open_store(out, create=True) as store:
        for case in ("scan_0", "scan_1"):
            labels = edited(store.labels(case), (0, 0, 1), 300)
            store.save_labels(case, labels, who="Ada", expected=0, origin="test", reader="Ada")
        store.verdict("scan_0", kind="accept", revision=1, who="Ada", reader="Ada")
        store.save_labels("scan_0", store.labels("scan_0", 0), who="Bob", expected=0, origin="test", reader="Bob")
    assert run(["review", "status", str(out)]) == 0
    printed = capsys.readouterr()
    assert "scan_0\taccepted\t1\tAda\t" in printed.out.splitlines()
    assert "1 of 3 judged: 1 accepted (1 corrected); 2 open (1 corrected)\n" in printed.err


def test_verify_names_what_was_changed_and_the_newest_hash(out: Path, capsys) -> None:
    with open_store(out, create=True) as store:
        store.verdict(CASE, kind="accept", revision=0, who="Ada")
        head = store.log.head[1]
    assert run(["review", "verify", str(out), "--expect", head]) == 0
    assert head in capsys.readouterr().out
    assert run(["review", "verify", str(out), "--expect", "0" * 64]) == 3
    database = sqlite3.connect(out / "review/review.sqlite")
    database.execute("update events set who='Eve'")
    database.commit()
    database.close()
    assert run(["review", "verify", str(out), "--json"]) == 3
    printed = capsys.readouterr().out
    assert "event 1: is not as it was written" in printed
    assert run(["review", "status", str(out)]) == 4
    assert "the audit trail was changed: event 1" in capsys.readouterr().err


def test_a_review_in_python_lists_what_changed(out: Path) -> None:
    with open_store(out, create=True) as store:
        labels = store.labels(CASE)
        array = labels.array.copy()
        array[0, 0, 1] = 300
        store.save_labels(
            CASE, medseg.LabelMap(array, labels.geometry, labels.table), who="Ada", expected=0, origin="x"
        )
    with medseg.review.open(out) as review:
        (revision,) = review.corrections()
        assert (revision.case_id, revision.changed_voxels, revision.who) == (CASE, 1, "Ada")
        assert review.case("scan_1").revisions == ()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_another_address_is_served_with_tls_alone(out: Path, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    page = Page(out, "--host", "0.0.0.0", "--allow-host", "localhost", *tls)
    assert re.fullmatch(r"https://localhost:\d+/\?key=[\w-]{32}", page.address)
    answer = page.come_in(verify=certificate, allow_redirects=False)
    assert answer.status_code == 303
    assert "secure" in answer.headers["set-cookie"].lower()
    worklist = f"{page.at}/api/worklist"
    assert page.session.get(worklist, verify=certificate, timeout=30).status_code == 200
    other = page.session.get(worklist, verify=certificate, timeout=30, headers={"Host": "evil.example"})
    assert other.status_code == 421
    assert page.stop() == 75


def body(turn: int, page: Page) -> bytes:
    image = nib.Nifti1Image.from_bytes(page.session.get(f"{page.at}/api/case/{CASE}/labels", timeout=30).content)
    return gzip.compress(nifti(np.full(image.shape, (0, 1, 300)[turn % 3], np.uint16), image))


def kill_while_saving(out: Path, kills: int, seed: int, *, is_alone: bool = True) -> int:
    """Kill the server at random moments while a client saves; returns how many saves were acknowledged.

    What it leaves is deleted at once where nobody else works there.
    """
    moments, acknowledged, total = random.Random(seed), 0, 0
    for _ in range(kills):
        page = Page(out)
        page.come_in()
        revision = page.case(CASE)["revision"]
        assert revision >= acknowledged, "an acknowledged save was lost"
        bodies = [body(turn, page) for turn in range(3)]
        timer = threading.Timer(moments.uniform(0.1, 1), page.process.kill)
        timer.start()
        try:
            while True:
                answer = page.session.put(
                    f"{page.at}/api/case/{CASE}/labels",
                    data=bodies[total % 3],
                    headers={**WRITE, "If-Match": str(revision)},
                    timeout=30,
                )
                answer.raise_for_status()
                revision = acknowledged = answer.json()["revision"]
                total += 1
        except requests.ConnectionError:
            pass
        timer.join()
        page.stop(signal.SIGKILL)
        with open_store(out) as store:  # tidies, as the next server would
            assert store.verify() == ()
            assert store.case(CASE).revision >= acknowledged
            names = {one.file.name for one in store.case(CASE).revisions}
            files = {path.name for path in (out / "review/labels").iterdir() if is_alone or path.name[0] != "."}
            assert files - names == {Path(name).name for name in store.leftovers()}
            assert not (is_alone and files - names)
    return total


@pytest.mark.slow
def test_no_acknowledged_save_is_lost_over_two_kills(out: Path) -> None:
    assert kill_while_saving(out, 2, seed=4) > 0


@pytest.mark.slow
def test_what_kills_leave_beside_others_at_work_is_no_change(out: Path) -> None:
    with open_store(out, create=True):
        assert kill_while_saving(out, 10, seed=6, is_alone=False) > 0
        assert run(["review", "verify", str(out)]) == 0


@pytest.mark.slow
def test_no_acknowledged_save_is_lost_over_twenty_kills(out: Path) -> None:
    started = time.monotonic()
    saves = kill_while_saving(out, 20, seed=5)
    print(f"20 kills, {saves} acknowledged saves, none lost, {time.monotonic() - started:.0f} s")
    assert saves > 20
