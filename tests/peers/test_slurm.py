"""The sbatch script of the docs on a SLURM of one node: an array, a signal, the task queued again, one report."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from page_commands import Command, page_block
from peers.slurm import missing, slurm, wait_for_jobs

from medseg.demo.scans import lay_out

SCRIPT = Path(__file__).parents[2] / "docs" / "how-to" / "predict.sbatch"
CASES = 8
QUICK = ("--anyway", "--overlap", "0", "--mirror", "none", "--engine", "torch", "--set", "segment.precision=float32")


pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(900),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


def test_an_array_that_is_interrupted_resumes(tmp_path: Path) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for number in range(CASES):
        values = (np.arange(36 * 50 * 40) % (150 + number)).reshape(36, 50, 40).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.eye(4)), scans / f"case{number}.nii.gz")
    manifest = tmp_path / "cases.csv"
    subprocess.run(["medseg", "inspect", str(scans), "--manifest", str(manifest)], check=True, capture_output=True)
    (tmp_path / "slurm").mkdir()
    given = f"ALL,MANIFEST={manifest},MODEL=hippocampus,OUT={out}"
    options = ["--array=0-1", "--mem=0", "--cpus-per-task=1", f"--output={tmp_path}/task%a.log", f"--export={given}"]
    with slurm(tmp_path / "slurm") as environment:
        command = ["sbatch", "--parsable", *options, str(SCRIPT), *QUICK]
        job = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
        first = [f"case{number}" for number in range(0, CASES, 2)]  # of the array's first task
        end = time.monotonic() + 300
        while not any((out / name / "status.json").is_file() for name in first) and time.monotonic() < end:
            time.sleep(0.1)
        subprocess.run(["scancel", "--signal=TERM", "--batch", f"{job}_0"], env=environment, check=True)
        wait_for_jobs(environment, 400)
        shown = subprocess.run(
            ["scontrol", "show", "job", f"{job}_0"], env=environment, check=True, capture_output=True, text=True
        ).stdout
    log = (tmp_path / "task0.log").read_text()
    assert "stopped by SIGTERM; run the same command again to resume" in log, log
    assert "up to date" in log  # what was done before the signal
    assert "Restarts=1" in shown
    assert "ExitCode=0:0" in shown
    report = subprocess.run(["medseg", "report", str(out), "--json"], capture_output=True, text=True, check=False)
    assert report.returncode == 0, report.stderr
    assert {case["state"] for case in json.loads(report.stdout)["cases"]} == {"done"}
    assert len(json.loads(report.stdout)["cases"]) == CASES
    assert json.loads((out / "run.json").read_text())["shards"] == {"count": 2, "unfinished": []}
    assert not list(out.rglob(".medseg-part-*"))


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    """With an array of two tasks in place of 200."""
    array, report = page_block(
        "docs/how-to/cluster.md",
        "sbatch --export=ALL,MANIFEST=cases.csv,MODEL=hippocampus,OUT=results predict.sbatch",
    )
    report_after = page_block(
        "docs/how-to/cluster.md",
        "job=$(sbatch --parsable --export=ALL,MANIFEST=cases.csv,MODEL=hippocampus,OUT=results predict.sbatch)",
    )
    again = page_block("docs/how-to/cluster.md", "for part in 7 19; do")
    results = tmp_path / "results"
    one = lay_out(tmp_path / "demo").folder / "research" / "left-hippocampus.nii.gz"
    (tmp_path / "scans").mkdir()
    for number in range(2):
        image = nib.load(one)
        moved = np.roll(np.asarray(image.dataobj), number, axis=1)
        nib.save(nib.Nifti1Image(moved, image.affine, image.header), tmp_path / "scans" / f"case{number}.nii.gz")
    shutil.copy(SCRIPT, tmp_path)
    inspect = ["medseg", "inspect", "scans", "--manifest", "cases.csv"]
    subprocess.run(inspect, check=True, capture_output=True, cwd=tmp_path)
    (tmp_path / "slurm").mkdir()
    with slurm(tmp_path / "slurm") as environment:

        def done(*commands: Command) -> None:
            script = "\n".join(["set -e", *[command.text for command in commands]])
            subprocess.run(
                ["bash", "-c", script], env=environment | {"SBATCH_ARRAY_INX": "1-2"}, cwd=tmp_path, check=True
            )
            wait_for_jobs(environment, 300)

        done(array)
        done(report)
        assert_done(results, 2)
        (results / "run.json").unlink()
        done(*report_after)
        assert_done(results, 2)
        shutil.rmtree(results)
        done(*again)
    assert {path.name for path in results.glob("run.*.json")} == {"run.7-of-200.json", "run.19-of-200.json"}


def assert_done(results: Path, cases: int) -> None:
    run = json.loads((results / "run.json").read_text())
    assert run["shards"] == {"count": 2, "unfinished": []}
    assert [case["state"] for case in run["cases"]] == ["done"] * cases
