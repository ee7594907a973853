"""The whole way: a sender, a node in a process of its own, and an archive; through kills too."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest
import requests
from node_peers import MR, Archive, archive, arrival, happens, node_yaml, send, sender
from peers.orthanc import free_port
from pydicom.uid import generate_uid

from medseg.cli.app import run
from medseg.demo.dicom import write_series
from medseg.review.opening import open_store
from medseg.service.node.segmenting import OUTBOX
from medseg.service.node.store import NodeStore
from medseg.types import Geometry


def another(series: Path, folder: Path) -> Path:
    """The same images as a series of another study."""
    folder.mkdir(parents=True)
    study, uid, frame = generate_uid(), generate_uid(), generate_uid()
    for path in sorted(series.iterdir()):
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, uid, frame
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.save_as(folder / path.name)
    return folder


class Served:
    """A process of `medseg serve`."""

    def __init__(self, config: Path, log: Path) -> None:
        self.config = config
        self.port = json.loads(config.read_text())["port"]
        command = [sys.executable, "-m", "medseg", "serve", "--config", str(config)]
        with log.open("ab") as stream:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True)

    def is_listening(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def served(config: Path) -> Iterator[Served]:
    node = Served(config, config.with_suffix(".log"))
    try:
        yield node
    finally:
        node.kill()


def segmentations(there: Archive) -> list[pydicom.Dataset]:
    return [dataset for dataset in there.kept.values() if dataset.Modality == "SEG"]


RULE = {"when": {"Modality": "MR", "SeriesDescription": "*T1*"}, "model": "hippocampus", "send_to": ["archive"]}


def keys(there: Archive, **more: object) -> dict:
    return {"callers": ["CT1"], "destinations": {"archive": there.address}, "rules": [RULE], **more}


def test_a_study_arrives_and_its_segmentation_is_delivered_and_reviewed(crop, tmp_path):
    with archive() as there:
        config = node_yaml(tmp_path, **keys(there))
        with served(config) as node:
            assert node.is_listening() == f"MEDSEG listens at 127.0.0.1:{node.port}\n"
            assert set(send(node.port, sorted(crop.iterdir()))) == {0x0000}
            assert happens(lambda: segmentations(there), 120), config.with_suffix(".log").read_text()
            assert run(["serve", "status", "--config", str(config)]) == 0
            with open_store(tmp_path / "node-data" / "results", create=True) as review:
                (case_id,) = review.results.cases()
                assert not review.finder.is_missing(case_id)
                found = review.finder.find(case_id, review.result(case_id).input_sha256)
                assert found[0].files[0].parent.parent == tmp_path / "node-data" / "incoming"
            node.process.send_signal(signal.SIGTERM)
            assert node.process.wait(30) == 75
    (segmentation,) = segmentations(there)
    first = pydicom.dcmread(min(crop.iterdir()))
    assert segmentation.StudyInstanceUID == first.StudyInstanceUID
    (reference,) = segmentation.ReferencedSeriesSequence
    assert reference.SeriesInstanceUID == first.SeriesInstanceUID
    log = config.with_suffix(".log").read_text() + (tmp_path / "node-data" / "medseg.log").read_text()
    assert not any(word in log for word in ("TEMPLATE", str(first.SeriesInstanceUID), str(first.StudyInstanceUID)))


def test_a_stop_waits_neither_for_senders_nor_for_archives(tmp_path):
    is_asked, may_answer = threading.Event(), threading.Event()

    def hold(_: str) -> int:
        is_asked.set()
        may_answer.wait(120)
        return 0x0000

    with archive(respond=hold) as there:
        config = node_yaml(tmp_path, **keys(there))
        outbox, one = tmp_path / "node-data" / OUTBOX, arrival()
        with NodeStore(outbox.parent) as store:
            outbox.mkdir()
            (outbox / "result.dcm").write_bytes(one.content.getvalue())
            store.change(
                "insert into deliveries(destination, instance, sop_class, job, series, case_id, file, made) "
                "values('archive', ?, ?, 'j', '1.2.3', 'mr-1', 'result.dcm', 0)", one.instance, MR,
            )  # fmt: skip
        with served(config) as node:
            node.is_listening()
            with sender(node.port) as link:
                assert is_asked.wait(30)
                began = time.monotonic()
                node.process.send_signal(signal.SIGTERM)
                assert node.process.wait(30) == 75
                assert time.monotonic() - began < 10
                assert happens(lambda: link.is_aborted, 5)
            may_answer.set()
        with NodeStore(outbox.parent) as store:
            assert [row["state"] for row in store.rows("select state from deliveries")] == ["ready"]


@pytest.mark.slow
def test_what_the_model_is_not_for_is_withheld_and_never_sent(tmp_path):
    grid = Geometry(np.diag([1.0, 1.0, 1.0, 1.0]), (40, 40, 40))
    values = np.random.default_rng(0).integers(0, 4000, grid.shape).astype(np.int16)
    write_series(values, grid, tmp_path / "noise", description="T1 noise")
    with archive() as there:
        config = node_yaml(tmp_path, **keys(there))
        with served(config) as node:
            node.is_listening()
            send(node.port, sorted((tmp_path / "noise").iterdir()))
            assert happens(lambda: run(["serve", "status", "--config", str(config)]) == 3, 120)
    assert not there.arrivals
    status = json.loads(next((tmp_path / "node-data" / "results").glob("*/status.json")).read_text())
    assert status["state"] == "withheld"


@pytest.mark.slow
def test_a_case_that_takes_too_long_fails_alone_is_seen_and_can_be_tried_again(crop, tmp_path, capsys):
    """It is ended in its own process; the node and what comes after it live."""
    site = f"127.0.0.1:{free_port()}"
    with archive() as there:
        config = node_yaml(tmp_path, **keys(there, http=site, tries=2, max_seconds=0.05))
        with served(config) as node:
            node.is_listening()
            send(node.port, sorted(crop.iterdir()))
            assert happens(lambda: run(["serve", "status", "--config", str(config)]) == 3, 120)
            assert "\tfailed\thippocampus\t2\tit took longer than one case may" in capsys.readouterr().out
            assert "it took longer than one case may" in requests.get(f"http://{site}/", timeout=10).text
            assert 'medseg_node_jobs{state="failed"} 1' in requests.get(f"http://{site}/metrics", timeout=10).text
            assert requests.get(f"http://{site}/healthz", timeout=10).text == "ok\n"
        assert not there.arrivals
        node_yaml(tmp_path, **keys(there, http=site, port=node.port))
        with served(config) as node:
            node.is_listening()
            assert run(["serve", "retry", "--config", str(config)]) == 0
            assert happens(lambda: segmentations(there), 120)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [150])
def test_kills_lose_nothing_and_send_one_result_a_series(crop, tmp_path, seconds):
    """A kill every few seconds while series arrive and are segmented and delivered; the archive is away at times."""
    chance = random.Random(1)
    waiting = [another(crop, tmp_path / "in" / f"{number}") for number in range(5)]
    expected = {str(pydicom.dcmread(next(folder.iterdir())).SeriesInstanceUID) for folder in waiting}
    objects = sum(len(list(folder.iterdir())) for folder in waiting)
    port = free_port()
    there = Archive(port)
    config = node_yaml(tmp_path, **keys(there), http=f"127.0.0.1:{free_port()}")
    kills, end = 0, time.monotonic() + seconds
    log = config.with_suffix(".log")
    kept: dict[str, pydicom.Dataset] = {}
    came: list[str] = []
    while time.monotonic() < end:
        up = chance.random() < 0.7
        node = Served(config, log)
        stop = time.monotonic() + chance.uniform(5, 30)
        context = archive(port) if up else None
        now = context.__enter__() if context is not None else None
        node.is_listening()
        while waiting and time.monotonic() < stop:
            if set(send(node.port, sorted(waiting[0].iterdir()))) == {0x0000}:
                waiting.pop(0)
        time.sleep(max(0.0, stop - time.monotonic()))
        node.kill()
        kills += 1
        if context is not None and now is not None:
            context.__exit__(None, None, None)
            kept.update(now.kept)
            came += now.arrivals
    with archive(port) as now, served(config) as node:
        node.is_listening()
        for folder in waiting:
            assert set(send(node.port, sorted(folder.iterdir()))) == {0x0000}

        def series_of_results() -> Counter[str]:
            results = {**kept, **now.kept}.values()
            return Counter(str(d.ReferencedSeriesSequence[0].SeriesInstanceUID) for d in results)

        assert happens(lambda: set(series_of_results()) == expected, 240), log.read_text()
        time.sleep(5)  # for what should not come
        assert set(series_of_results().values()) == {1}
        assert run(["serve", "status", "--config", str(config)]) == 0
    assert kills >= 5
    assert len(list((tmp_path / "node-data" / "incoming").rglob("*.dcm"))) == objects


@pytest.mark.slow
def test_2000_slices_from_four_senders_at_once(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    from small_series import small_series

    with archive() as there:
        config = node_yaml(tmp_path, **{**keys(there), "callers": [f"CT{n}" for n in range(4)], "quiet_seconds": 3600})
        folders = [tmp_path / f"{n}" for n in range(4)]
        for folder in folders:
            small_series(folder, shape=(64, 64, 500), SeriesDescription="T2")
        with served(config) as node:
            node.is_listening()
            with ThreadPoolExecutor(4) as pool:
                told = pool.map(lambda n: send(node.port, sorted(folders[n].iterdir()), caller=f"CT{n}"), range(4))
            assert Counter(status for answers in told for status in answers) == {0x0000: 2000}
            node.kill()
    files = list((tmp_path / "node-data" / "incoming").rglob("*.dcm"))
    assert len(files) == 2000
    uids = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in files}
    sent = {str(pydicom.dcmread(p, stop_before_pixels=True).SOPInstanceUID) for f in folders for p in f.iterdir()}
    assert uids == sent


def test_a_second_node_in_the_same_folder_is_refused(tmp_path, capsys):
    from medseg.service.node.store import holding

    config = node_yaml(tmp_path)
    with holding(tmp_path / "node-data"):
        assert run(["serve", "--config", str(config)]) == 2
    assert "another node runs in this folder" in capsys.readouterr().err


def test_a_folder_that_is_a_file_is_refused(tmp_path, capsys):
    config = node_yaml(tmp_path)
    (tmp_path / "node-data").write_text("something else")
    assert run(["serve", "--config", str(config)]) == 2
    assert "node-data: the node's folder is a file. Name a folder in `folder`." in capsys.readouterr().err
