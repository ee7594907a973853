"""The queue page, ``/healthz`` and ``/metrics`` by real requests, and what `serve status` says of the same store."""

import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests
from node_peers import arrival, node_yaml

from medseg.cli.app import run
from medseg.errors import UsageError
from medseg.service.node.load import load_node
from medseg.service.node.page import QueuePage, ago, serving_page
from medseg.service.node.reasons import GONE, REFUSED_FIX, UNANSWERED

FAILED = (
    "insert into jobs(id, series, upto, rule, model, formats, send_to, made, state, cases, error, fix) "
    "values('j', '1.2.3', 1, 1, 'hippocampus', '[]', '[]', 0, 'failed', '[\"mr-1\"]', 'cut <b>off</b>', 'Copy it.')"
)
REFUSED = (
    "insert into deliveries(destination, instance, sop_class, job, series, case_id, file, made, state, error) "
    "values('archive', '2.25.1', 's', 'j', '1.2.3', 'mr-1', 'f', 0, 'refused', 'the archive rejected it (0x0110)')"
)


def yaml_of(folder: Path, **keys: Any) -> Path:
    return node_yaml(folder, **{"destinations": {"archive": "dicom://127.0.0.1:1/ARCHIVE"}, **keys})


@pytest.fixture
def settings(tmp_path):
    return load_node(yaml_of(tmp_path))


@pytest.fixture
def site(store, settings, incoming):
    incoming.keep(arrival(PatientID="4711"))
    parts = {"alive": True}
    page = QueuePage(store, settings, Counter({0x0000: 1, 0x0111: 2}), lambda: parts["alive"])
    with serving_page(page, ("127.0.0.1", 0)) as address:
        yield address, parts


def test_the_queue_is_shown_and_nothing_of_a_patient(site, store):
    address, _ = site
    store.change(FAILED)
    store.change(REFUSED)
    answer = requests.get(address, timeout=10)
    assert answer.status_code == 200
    assert answer.headers["refresh"] == "10"
    assert "script" not in answer.headers["content-security-policy"]
    assert "cut &lt;b&gt;off&lt;/b&gt;" in answer.text
    assert "mr-1" in answer.text
    assert "the archive rejected it (0x0110)" in answer.text
    for path in ("", "metrics", "healthz"):
        text = requests.get(address + path, timeout=10).text
        assert not any(word in text for word in ("Doe", "4711", "1.2.3"))


def test_a_folder_that_cannot_be_written_is_named_until_it_can_be(site, store, incoming, monkeypatch, caplog, tmp_path):
    address, _ = site
    shut = str(incoming.parts)
    yaml = str(yaml_of(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr("medseg.service.node.status.os.access", lambda place, _: str(place) != shut)
        answer = requests.get(f"{address}healthz", timeout=10)
        assert (answer.status_code, answer.text) == (503, f"cannot be written: {shut}\n")
        assert "parts cannot be written." in requests.get(address, timeout=10).text
        assert run(["serve", "status", "--config", yaml]) == 3
    assert requests.get(f"{address}healthz", timeout=10).text == "ok\n"
    assert run(["serve", "status", "--config", yaml]) == 0
    incoming.parts.rmdir()
    with caplog.at_level("ERROR", "medseg"):
        assert incoming.keep(arrival()) == incoming.keep(arrival()) == 0xA700
    (line,) = [one.getMessage() for one in caplog.records if one.getMessage().startswith("Objects cannot be kept")]
    assert shut in line


def test_metrics_can_be_read_by_prometheus_and_count(site, store):
    address, _ = site
    store.change(FAILED)
    store.change(REFUSED)
    text = requests.get(f"{address}metrics", timeout=10).text
    samples = dict(re.findall(r"^(medseg_node_\w+(?:\{[^}]*\})?) ([-+.\de]+)$", text, re.MULTILINE))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(samples) == len(lines)
    named = {re.match(r"\w+", line)[0] for line in lines}
    assert named == set(re.findall(r"^# TYPE (\w+) (?:gauge|counter)$", text, re.MULTILINE))
    assert samples["medseg_node_objects"] == "1"
    assert samples['medseg_node_jobs{state="failed"}'] == "1"
    assert samples['medseg_node_deliveries{destination="archive",state="refused"}'] == "1"
    assert samples['medseg_node_answers_total{status="0x0111"}'] == "2"
    assert samples['medseg_node_series{state="arriving"}'] == "1"


def test_health_says_when_a_part_has_ended(site):
    address, parts = site
    assert requests.get(f"{address}healthz", timeout=10).text == "ok\n"
    parts["alive"] = False
    assert requests.get(f"{address}healthz", timeout=10).status_code == 503


def test_an_address_that_is_taken_is_named_by_its_key(site, store, settings):
    port = int(site[0].rpartition(":")[2].strip("/"))
    page = QueuePage(store, settings, Counter(), lambda: True)
    with pytest.raises(UsageError, match="cannot be used") as error, serving_page(page, ("127.0.0.1", port)):
        pass
    assert str(error.value).startswith(f"http: 127.0.0.1:{port}: ")


def test_only_its_own_names_and_only_reading(site):
    address, _ = site
    assert requests.get(address, headers={"Host": "evil.example"}, timeout=10).status_code == 421
    assert requests.post(address, timeout=10).status_code == 405
    assert requests.get(f"{address}node.sqlite", timeout=10).status_code == 404


def test_status_is_exit_code_3_when_somebody_is_needed(store, incoming, tmp_path, capsys):
    path = str(yaml_of(tmp_path))
    incoming.keep(arrival())
    assert run(["serve", "status", "--config", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["running"], found["objects"], found["needs_a_person"]) == (False, 1, False)
    for trouble in (
        FAILED,
        REFUSED,
        FAILED.replace("'failed'", "'withheld'"),
        "update series set state='incomplete'",
    ):
        store.change(trouble)
        assert run(["serve", "status", "--config", path]) == 3, trouble
        assert run(["serve", "dismiss", "--config", path, "ct-0"]) == 4
        assert run(["serve", "dismiss", "--config", path]) == 0
        assert run(["serve", "status", "--config", path]) == 0
        for table in ("jobs", "deliveries"):
            store.change(f"delete from {table}")
    incoming.keep(arrival("1.2.3.9"))
    incoming.keep(arrival("1.2.3.9", content=b"others"))
    assert run(["serve", "status", "--config", path]) == 3
    for file in incoming.quarantine.iterdir():
        file.unlink()
    assert run(["serve", "status", "--config", path]) == 0
    store.change(FAILED)
    store.change(REFUSED)
    capsys.readouterr()
    assert run(["serve", "status", "--config", path]) == 3
    assert capsys.readouterr().out.splitlines() == [
        "mr-1\tfailed\thippocampus\t0\tcut <b>off</b>. Copy it.",
        f"mr-1\trefused by\tarchive\t0\tthe archive rejected it (0x0110). {REFUSED_FIX}",
    ]
    assert run(["serve", "retry", "--config", path]) == 0
    assert run(["serve", "status", "--config", path]) == 0
    store.change("update jobs set state='failed'")
    assert run(["serve", "dismiss", "--config", path, "mr-1"]) == 0
    assert run(["serve", "status", "--config", path]) == 0


def test_what_no_archive_commits_to_is_shown_after_its_time(site, store, tmp_path, capsys):
    path = str(yaml_of(tmp_path))
    store.change(REFUSED.replace("'refused', 'the archive rejected it (0x0110)'", "'sent', ''"))
    for hours, late in ((23, 0), (25, 1)):
        store.change("update deliveries set sent=?", time.time() - hours * 3600)
        assert run(["serve", "status", "--config", path]) == (3 if late else 0)
        assert (UNANSWERED in capsys.readouterr().out) == bool(late)
        assert (UNANSWERED in requests.get(site[0], timeout=10).text) == bool(late)
        text = requests.get(f"{site[0]}metrics", timeout=10).text
        assert f'medseg_node_uncommitted{{destination="archive"}} {late}' in text
    # One that has no such service, or is not asked, has what it needs.
    assert run(["serve", "status", "--config", path, "--set", "commitment=false"]) == 0
    assert run(["serve", "status", "--config", path, "--set", "commitment_hours=48"]) == 0
    assert run(["serve", "dismiss", "--config", path, "mr-1"]) == 0
    assert run(["serve", "status", "--config", path]) == 0


def test_series_that_stay_past_their_days_because_no_archive_commits_are_shown(site, store, tmp_path, capsys):
    path = str(yaml_of(tmp_path, keep_days=2))
    store.change("update series set state='whole', changed=0, last=?", time.time() - 2.5 * 86400)
    assert run(["serve", "status", "--config", path]) == 0
    store.change("update series set asked=1, last=?", time.time() - 3.1 * 86400)
    assert run(["serve", "status", "--config", path]) == 3
    assert "1 series are past keep_days and stay" in capsys.readouterr().err
    store.change("update objects set committed=1")
    assert run(["serve", "status", "--config", path]) == 0


def test_what_is_for_a_destination_that_is_gone_is_shown_with_the_way_out_whether_the_node_runs_or_not(
    site, store, tmp_path, capsys
):
    path = str(yaml_of(tmp_path))
    for state in ("ready", "refused"):
        store.change("delete from deliveries")
        store.change(REFUSED.replace("'archive'", "'old'").replace("'refused', 'the", f"'{state}', 'the"))
        assert run(["serve", "status", "--config", path]) == 3
        assert f"\told\t0\t{GONE}. Put it back" in capsys.readouterr().out
        assert f"{GONE}. Put it back" in requests.get(site[0], timeout=10).text
    assert run(["serve", "retry", "--config", path]) == 0
    assert "0 deliveries" in capsys.readouterr().out
    assert run(["serve", "dismiss", "--config", path, "mr-1"]) == 0
    assert run(["serve", "status", "--config", path]) == 0


def test_without_a_node_there_is_no_status(tmp_path, capsys):
    assert run(["serve", "status", "--config", str(yaml_of(tmp_path))]) == 2
    assert "no node has run there yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s ago"), (60, "1 minute ago"), (7300, "2 hours ago"), (200000, "2 days ago")]
)
def test_how_long_ago(seconds, text):
    assert ago(1000.0, 1000.0 + seconds) == text
    assert ago(None, 0) == "never"


def test_a_list_that_is_cut_off_says_so(site, store, monkeypatch):
    monkeypatch.setattr("medseg.service.node.status.MOST_SHOWN", 2)
    for number in range(5):
        store.change(FAILED.replace("'j'", f"'j{number}'"))
        store.change(REFUSED.replace("2.25.1", f"2.25.{number}"))
    text = requests.get(site[0], timeout=10).text
    assert "And 3 more: what needs a person" in text
    assert text.count("And 3 more") == 2


def test_why_series_are_ignored_is_said(site, store, settings, tmp_path, capsys):
    store.change("update series set state='ignored', reason='no rule fits'")
    assert "1 series, no rule fits." in requests.get(site[0], timeout=10).text
    assert run(["serve", "status", "--config", str(yaml_of(tmp_path))]) == 0
    assert "1 series ignored: no rule fits" in capsys.readouterr().err
