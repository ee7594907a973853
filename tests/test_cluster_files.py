"""The files for clusters in the docs do what the page says: SIGTERM is passed on, and 75 alone queues again."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

HOW_TO = Path(__file__).parents[1] / "docs" / "how-to"
SCRIPT = HOW_TO / "predict.sbatch"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="SLURM runs on POSIX systems")


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def start(tmp_path: Path, medseg: str) -> "subprocess.Popen[str]":
    """Start the script with a medseg of our own, and a scontrol that says what it was told."""
    program(tmp_path / "medseg", f'echo "$@" > {tmp_path}/given; {medseg}')
    program(tmp_path / "scontrol", f'echo "$@" > {tmp_path}/requeued')
    own = {"MANIFEST": "my cases.csv", "MODEL": "m", "OUT": "o", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    environment = {**os.environ, **own, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.Popen(["bash", str(SCRIPT), "--anyway"], env=environment, text=True)


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (3, False), (75, True)])
def test_a_task_ends_with_the_code_of_medseg_and_75_is_queued_again(tmp_path: Path, code: int, requeued: bool) -> None:
    assert start(tmp_path, f"exit {code}").wait(60) == code
    assert (tmp_path / "given").read_text().split() == (
        ["predict", "--manifest", "my", "cases.csv", "--model", "m", "--out", "o", "--shard", "auto", "--anyway"]
    )
    assert (tmp_path / "requeued").is_file() == requeued
    assert not requeued or (tmp_path / "requeued").read_text().strip() == "requeue 7_3"


def test_a_signal_reaches_medseg_and_the_task_waits_for_its_end(tmp_path: Path) -> None:
    """The end of a case takes a moment, in which the script must neither end nor lose the exit code."""
    task = start(tmp_path, f"trap 'sleep 0.3; exit 75' TERM; touch {tmp_path}/begun; while true; do sleep 0.05; done")
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    task.send_signal(signal.SIGTERM)
    assert task.wait(60) == 75
    assert (tmp_path / "requeued").is_file()


def test_signals_that_come_again_are_no_end_either(tmp_path: Path) -> None:
    task = start(tmp_path, f"trap 'sleep 0.5; exit 75' TERM; touch {tmp_path}/begun; while true; do sleep 0.05; done")
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    for _ in range(3):
        task.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    assert task.wait(60) == 75
    assert (tmp_path / "requeued").is_file()


def test_the_job_of_kubernetes_names_as_many_parts_as_it_has_completions() -> None:
    job = yaml.safe_load((HOW_TO / "predict-job.yaml").read_text())
    spec = job["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert spec["completionMode"] == "Indexed"
    assert container["command"][-2:] == ["--shard", f"auto/{spec['completions']}"]
    rules = spec["podFailurePolicy"]["rules"]
    codes = {code: rule["action"] for rule in rules for code in rule.get("onExitCodes", {}).get("values", ())}
    assert codes == {75: "Ignore", 2: "FailIndex", 3: "FailIndex", 4: "FailIndex"}
    conditions = [one for rule in rules for one in rule.get("onPodConditions", ())]
    assert conditions == [{"type": "DisruptionTarget", "status": "True"}]  # Kubernetes before 1.35 requires the status
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # which the rules need
