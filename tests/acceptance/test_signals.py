"""A request to stop, at any moment of a verb: exit code 75, one line, and no temporary file left."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from small_nifti import phantom, save

from medseg.errors import Interrupted
from medseg.signals import STOP_SIGNALS, stoppable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads which signals a process hears from /proc")
LINE = "medseg: stopped by {}; run the same command again to resume.\n"


def hears(process: subprocess.Popen[str], number: int) -> bool:
    """Whether a process has a handler for a signal by now."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "medseg", *map(str, arguments)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.starts_workers  # which begins with Python's own start
def test_from_the_first_moment(tmp_path, number):
    process = start("inspect", tmp_path)
    while not hears(process, number):  # Python itself hears SIGINT a little earlier, and SIGHUP last
        assert process.poll() is None
        time.sleep(0.0005)
    time.sleep(0.02 if number == signal.SIGINT else 0)
    while not hears(process, signal.SIGHUP):
        time.sleep(0.0005)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert said == LINE.format(signal.Signals(number).name)
    assert process.returncode == 75


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("verb", ["inspect", "convert"])
def test_while_patients_scans_are_unpacked(tmp_path, verb, number):
    scans, temporary = tmp_path / "scans", tmp_path / "tmp"
    scans.mkdir(), temporary.mkdir()
    save(tmp_path / "a.nii.gz", phantom((60, 60, 60)))
    with zipfile.ZipFile(scans / "p.zip", "w") as packed:
        for case in range(30):
            packed.write(tmp_path / "a.nii.gz", f"Doe_John/{case}.nii.gz")
    out = ["--out", tmp_path / "out"] if verb == "convert" else []
    process = start(verb, scans, *out, TMPDIR=str(temporary))
    while not any(temporary.glob("medseg-*/*/9.nii.gz")):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(number)
    process.send_signal(number)  # impatience does not end the tidying
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75
    assert said.endswith(LINE.format(signal.Signals(number).name))
    assert list(temporary.iterdir()) == []
    assert not list((tmp_path / "out").rglob(".medseg-part-*"))


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with pytest.raises(Interrupted, match="SIGTERM"), stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)
