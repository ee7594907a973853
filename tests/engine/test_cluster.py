"""Batches on a Ray cluster of three raylets on this machine."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from page_commands import page_block
from ray_cluster import Raylets
from shared_data import DATA
from toy_stages import script

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]
CASES = [f"t{number:02d}" for number in range(24)]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    place = tmp_path / "texts"
    place.mkdir()
    for name in CASES:
        (place / f"{name}.txt").write_text(f"text of {name}")
    return place


def results(out: Path) -> dict[str, bytes]:
    """Every file of every case."""
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.parent != out and p.is_file()}


def hidden(out: Path) -> set[str]:
    return {path.name for path in out.glob(".*")}


def states(out: Path) -> dict[str, str]:
    return {case["case_id"]: case["state"] for case in json.loads((out / "run.json").read_text())["cases"]}


def command(texts: Path, out: Path, raylets: Raylets | None = None, **write: Any) -> dict[str, Any]:
    address = "" if raylets is None else raylets.address
    environment = dict(os.environ) if raylets is None else raylets.environment
    return {"args": script(texts, out, write, address=address), "env": environment, "cwd": texts}


def test_results_are_those_of_one_machine_whatever_is_lost_and_poison_is_blamed(raylets, texts, tmp_path):
    alone, out = tmp_path / "alone", tmp_path / "out"
    subprocess.run(**command(texts, alone, signal_at="t05"), check=True)

    writes = {"signal_at": "t05", "orphaned_at": "t09", "seconds": 0.4}
    started = command(texts, out, raylets, **writes)
    running = subprocess.Popen(**started, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    wait_for_cases(out, 4)
    raylets.kill_one()
    printed = running.communicate(timeout=200)[0]
    assert printed == b"", printed[:3000]  # what Ray says of lost workers is no data
    assert running.returncode == 0

    ended = states(out)
    assert ended == states(alone) | {"t09": "failed"}
    assert ended["t05"] == "failed"  # it crashes its process, not its worker
    poison = json.loads((out / "t09" / "status.json").read_text())
    assert poison["error"] == "each of the 3 workers that had it was lost"
    mine, theirs = results(out), results(alone)
    assert {name: value for name, value in mine.items() if not name.startswith("t09/")} == {
        name: value for name, value in theirs.items() if not name.startswith("t09/")
    }
    assert not [name for name in hidden(out) if name.startswith(".medseg-part-")]


def test_a_stopped_batch_ends_with_75_leaves_nothing_half_written_and_resumes(raylets, texts, tmp_path):
    out = tmp_path / "out"
    running = subprocess.Popen(
        **command(texts, out, raylets, seconds=0.4), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_cases(out, 4)
    os.kill(running.pid, signal.SIGINT)
    printed, said = running.communicate(timeout=60)
    assert "Interrupted: stopped by SIGINT" in said
    assert printed == ""
    before = states(out)
    assert 4 <= [*before.values()].count("done") < len(CASES)
    for case_id in CASES:
        if before[case_id] != "done":
            left = {path.name for path in (out / case_id).glob("*")}
            assert left <= {".medseg-running", "quiet.txt", "loud.txt"}, case_id

    subprocess.run(**command(texts, out, raylets), check=True)
    assert set(states(out).values()) == {"done"}
    alone = tmp_path / "alone"
    subprocess.run(**command(texts, alone), check=True)
    assert results(out) == results(alone)


@pytest.mark.parametrize("with_head", [False, True])
def test_a_batch_whose_own_node_is_lost_ends_with_a_sentence_leaves_nothing_half_written_and_resumes(
    raylets, texts, tmp_path, with_head
):
    out = tmp_path / "out"
    running = subprocess.Popen(
        **command(texts, out, raylets, seconds=0.4), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_cases(out, 4)
    raylets.kill_own(with_head=with_head)
    printed, said = running.communicate(timeout=60)
    assert "ResourceLimit: --ray" in said.splitlines()[-1], said
    assert "the connection to the Ray cluster was lost (" in said
    assert printed == ""
    assert hidden(out) <= {".medseg-1-of-1.lock", ".medseg-inputs.json"}
    before = states(out)
    done = {path.parent.name for path in out.glob("*/status.json")}
    assert {case_id for case_id, state in before.items() if state == "done"} == done
    assert 4 <= len(done) < len(CASES)

    subprocess.run(**command(texts, out), check=True)
    assert set(states(out).values()) == {"done"}
    alone = tmp_path / "alone"
    subprocess.run(**command(texts, alone), check=True)
    assert results(out) == results(alone)


def test_a_killed_driver_leaves_nothing_that_its_resumption_does_not_delete(raylets, texts, tmp_path):
    out = tmp_path / "out"
    running = subprocess.Popen(**command(texts, out, raylets, seconds=0.4), stderr=subprocess.DEVNULL)
    wait_for_cases(out, 4)
    running.kill()
    running.wait()
    subprocess.run(**command(texts, out, raylets), check=True)
    assert set(states(out).values()) == {"done"}
    assert hidden(out) <= {".medseg-1-of-1.lock", ".medseg-inputs.json"}


@pytest.mark.needs_data("data/hippocampus")
def test_predict_leaves_the_same_bytes_on_a_cluster(raylets, tmp_path):
    """By the page's command, which finds the cluster by itself, and without its last words."""
    (page,) = page_block(
        "docs/how-to/cluster-ray.md",
        "medseg predict /data/scans --model hippocampus --out /data/results --ray auto",
    )
    scans = sorted((DATA / "hippocampus" / "imagesTr").glob("*.nii.gz"))[:5]
    (tmp_path / "scans").mkdir()
    for scan in scans:
        shutil.copy(scan, tmp_path / "scans")
    threads = {"OMP_NUM_THREADS": "1", "RAY_ADDRESS": raylets.address}
    where = {"env": raylets.environment | threads, "cwd": tmp_path, "check": False, "text": True}
    medseg = [sys.executable, "-m", *page.with_names({"/data/scans": "scans", "/data/results": "out"}).words]
    done = subprocess.run(medseg, **where, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert medseg[-2:] == ["--ray", "auto"]
    assert subprocess.run(["alone" if word == "out" else word for word in medseg[:-2]], **where).returncode == 0
    assert len(done.stdout.splitlines()) == len(scans)
    assert re.search(r"\[5/5\] .*: done in", done.stderr)
    assert results(tmp_path / "out") == results(tmp_path / "alone")
    for name in ("cases.csv", "sources.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def predict(tmp_path: Path, address: str, **environment: str) -> dict[str, Any]:
    """A command that never comes to its one scan."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed (pip install 'medseg[ray]')")
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.nii.gz").write_bytes(b"")
    line = [sys.executable, "-m", "medseg", "predict", "scans", "--model", "hippocampus", "--ray", address, "--out"]
    return {"args": [*line, "out"], "cwd": tmp_path, "text": True, "env": {**os.environ, **environment}}


def test_where_no_cluster_answers_one_sentence_says_so_and_nothing_is_left(tmp_path):
    done = subprocess.run(
        **predict(tmp_path, "auto", RAY_ADDRESS="", RAY_TMPDIR=str(tmp_path / "ray")), capture_output=True
    )
    assert done.returncode == 2
    assert "--ray auto: no Ray cluster answers there (Could not find any running Ray instance). Start" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_wrong_token_is_called_so_and_nothing_is_left(raylets, tmp_path):
    other = {**raylets.environment, "RAY_AUTH_TOKEN": "0" * 64}
    done = subprocess.run(**predict(tmp_path, raylets.address, **other), capture_output=True)
    assert done.returncode == 2
    assert "the Ray cluster there has another token than this process. Set RAY_AUTH_MODE=token" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_signal_is_heard_while_a_server_that_is_not_ray_says_nothing(tmp_path):
    with socket.create_server(("", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        running = subprocess.Popen(**predict(tmp_path, address), stderr=subprocess.PIPE)
        server.settimeout(60)
        for _ in range(2):  # medseg looks whether anybody listens, and then Ray tries
            server.accept()
        running.terminate()
        said = running.communicate(timeout=20)[1]
    assert running.returncode == 75, said
    assert "stopped by SIGTERM" in said
    assert not (tmp_path / "out").exists()


def wait_for_cases(out: Path, count: int) -> None:
    for _ in range(1200):
        if len([*out.glob("*/status.json")]) >= count:
            return
        time.sleep(0.1)
    raise AssertionError("no case came to its end")
