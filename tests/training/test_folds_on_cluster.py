"""Folds on a Ray cluster leave the models that folds on one machine leave."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from types import SimpleNamespace
from typing import NoReturn

import pytest
import yaml
from page_commands import page_block, shortened
from ray_cluster import Raylets
from tiny_dataset import train_config

from medseg.cluster import connection
from medseg.cluster.connection import OnCluster
from medseg.errors import MissingDependency, UsageError
from medseg.io.files.lock import exclusive
from medseg.training import fold_worker, run
from medseg.training.options import TrainOptions
from medseg.training.run import train


@pytest.mark.peers
@pytest.mark.timeout(600)
def test_folds_side_by_side_are_those_of_one_machine_though_one_is_lost(raylets: Raylets, balls, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(train_config(epochs=3).model_dump(mode="json", exclude_none=True)))
    medseg = [sys.executable, "-m", "medseg", "train", str(balls), "--config", str(config), "--device", "cpu"]
    environment = {**raylets.environment, "OMP_NUM_THREADS": "1"}
    where = {"env": environment, "cwd": tmp_path, "text": True, "stderr": subprocess.PIPE}
    one = subprocess.run([*medseg, "--folds", "all", "--out", str(tmp_path / "alone")], **where)
    assert one.returncode == 0, one.stderr
    cluster = ["--folds", "all", "--ray", raylets.address, "--out", str(tmp_path / "out")]
    running = subprocess.Popen([*medseg, *cluster], **where)
    said = ""
    while "Training fold_2" not in said:
        line = running.stderr.readline()
        assert line, said
        said += line
    raylets.kill_one()
    said += running.communicate(timeout=300)[1]
    assert running.returncode == 0, said
    for fold in range(3):
        assert f"fold_{fold} is trained." in said
        weights = [tmp_path / out / f"fold_{fold}" / "model" / "weights.safetensors" for out in ("alone", "out")]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    summaries = [json.loads((tmp_path / out / "cross_validation.json").read_text()) for out in ("alone", "out")]
    assert summaries[0] == summaries[1]


@pytest.mark.peers
@pytest.mark.timeout(600)
def test_the_command_of_the_page(raylets: Raylets, balls, tmp_path):
    (page,) = page_block(
        "docs/how-to/cluster-ray.md", "medseg train /data/dataset --out /data/run --folds all --ray auto"
    )
    shutil.copytree(balls, tmp_path / "dataset")
    words = page.with_names({"/data/dataset": "dataset", "/data/run": "run"}).words[1:]
    environment = {**raylets.environment, "OMP_NUM_THREADS": "1", "RAY_ADDRESS": raylets.address}
    command = [sys.executable, "-m", "medseg", *shortened(words)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model" / "model.yaml").is_file()
    assert json.loads((tmp_path / "run" / "cross_validation.json").read_text())["cases"] == 6


@pytest.mark.peers
@pytest.mark.timeout(600)
def test_ctrl_c_ends_folds_on_a_cluster_with_checkpoints_that_the_same_command_resumes(raylets, balls, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(train_config(epochs=400).model_dump(mode="json", exclude_none=True)))
    medseg = [sys.executable, "-m", "medseg", "train", str(balls), "--config", str(config), "--device", "cpu"]
    command = [*medseg, "--folds", "all", "--ray", raylets.address, "--out", str(tmp_path / "out")]
    environment = {**raylets.environment, "OMP_NUM_THREADS": "1"}
    for what, stop in (("Epoch 2:", signal.SIGINT), ("Resuming at step", signal.SIGTERM)):
        running = subprocess.Popen(command, env=environment, cwd=tmp_path, text=True, stderr=subprocess.PIPE)
        said = ""
        while what not in said:
            line = running.stderr.readline()
            assert line, said
            said += line
        running.send_signal(stop)
        said += running.communicate(timeout=120)[1]
        assert running.returncode == 75, said
        assert f"stopped by {stop.name}" in said
        assert "Traceback" not in said
        assert [*(tmp_path / "out").glob("fold_*/checkpoint.pt")]


def test_a_fold_waits_for_the_process_of_a_lost_run_to_end(tmp_path, monkeypatch):
    """Its lock lapses when it ends, some seconds after the node that it hung on."""
    lost = ExitStack()
    lost.enter_context(exclusive(tmp_path, "train"))
    threading.Timer(0.5, lost.close).start()

    def trained(run):
        with exclusive(run.out, "train"):
            pass

    monkeypatch.setattr("medseg.training.train.train_model", trained)
    fold_worker._train(SimpleNamespace(out=tmp_path))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ray": "auto"}, r"Add `folds` all"),
        ({"ray": "auto", "folds": "all", "processes": 2}, "exclude each other"),
        ({"worker_cpus": 2}, "for the workers of a cluster"),
    ],
)
def test_options_of_a_cluster_that_do_not_fit_are_refused(options, words, balls, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "find_spec", lambda name: object())
    with pytest.raises(UsageError, match=words):
        train(balls, tmp_path / "out", **options)


def test_without_ray_one_sentence_says_what_to_install(balls, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="Ray is not installed"):
        TrainOptions(balls, tmp_path, folds="all", ray="auto")


def test_where_no_cluster_answers_nothing_is_written(balls, tmp_path, monkeypatch):
    def nobody(where: OnCluster) -> NoReturn:
        raise UsageError("no Ray cluster answers there", where=f"--ray {where.address}")

    monkeypatch.setattr(connection, "find_spec", lambda name: object())
    monkeypatch.setattr(run, "connected", nobody)
    with pytest.raises(UsageError, match="no Ray cluster"):
        train(balls, tmp_path / "out", folds="all", ray="auto")
    assert not (tmp_path / "out").exists()
