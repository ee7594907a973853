"""Killed at any moment and started again, a batch leaves what an undisturbed one leaves."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import pytest

CASES = 6


def content(out: Path) -> dict[str, bytes]:
    """Every file by name, but for the two with times in them, and the lock."""
    files = (path for path in out.rglob("*") if path.is_file() and path.name not in ("run.json", "medseg.log"))
    files = (path for path in files if not path.name.startswith((".", "mlflow")))
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kill_9_at_ten_random_moments_then_run_again(medseg, scans, tmp_path):
    source = nib.load(scans / "research" / "left-hippocampus.nii.gz")
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(CASES):
        crop = source.slicer[number:, number:, :]
        nib.save(crop, folder / f"case{number}.nii.gz")
    (folder / "broken.nii.gz").write_bytes((folder / "case0.nii.gz").read_bytes()[:2000])
    command = [str(Path(sys.executable).with_name("medseg")), "predict", str(folder), "--model", "hippocampus", "--out"]
    undisturbed = tmp_path / "undisturbed"
    started = time.monotonic()
    assert subprocess.run([*command, str(undisturbed)], capture_output=True, check=False).returncode == 3
    whole = time.monotonic() - started
    disturbed = tmp_path / "disturbed"
    chance = random.Random(7)
    for _ in range(10):
        process = subprocess.Popen([*command, str(disturbed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(chance.uniform(0.3, whole))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for path in disturbed.glob("*/labels.nii.gz"):
            nib.load(path).get_fdata()
    assert subprocess.run([*command, str(disturbed)], capture_output=True, check=False).returncode == 3
    assert content(disturbed) == content(undisturbed)
