"""A full disk, a full temporary folder, a read-only home: a sentence or it works, and nothing half-written."""

import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from small_nifti import phantom, save
from tiny_dataset import write_config, write_msd

from medseg import resources
from medseg.cli.app import run

UNSHARE = shutil.which("unshare")


def can_mount() -> bool:
    """Whether this user may mount in a namespace of its own."""
    if UNSHARE is None:
        return False
    done = subprocess.run([UNSHARE, "-m", "mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True, check=False)
    return done.returncode == 0


pytestmark = pytest.mark.skipif(not can_mount(), reason="this user may not mount a small disk")


def medseg(small, *arguments, **environment):
    """Run a verb where a folder is a disk of 40 KiB, the shared memory read-only and so is the home."""
    script = (
        f"mount -t tmpfs -o size=40k tmpfs {small} && mount -t tmpfs -o ro tmpfs /dev/shm && mkdir {small}/home && "
        f"mount -t tmpfs -o ro tmpfs {small}/home && "
        f'"$@"; code=$?; find {small} -type f -size +0 >&2; exit $code'
    )
    command = [UNSHARE, "-m", "sh", "-c", script, "sh", sys.executable, "-m", "medseg", *map(str, arguments)]
    return subprocess.run(
        command,
        env={**os.environ, "HOME": f"{small}/home", **{k: str(v) for k, v in environment.items()}},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def small(tmp_path):
    (tmp_path / "small").mkdir()
    noise = np.random.default_rng(0).integers(0, 1000, (40, 40, 40))
    save(tmp_path / "a.nii.gz", (phantom((40, 40, 40)) + noise).astype(np.int16))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.write(tmp_path / "a.nii.gz", "in/a.nii.gz")
    return tmp_path / "small"


def check(done, code):
    assert done.returncode == code, done.stderr
    assert "bug" not in done.stderr
    assert "Traceback" not in done.stderr
    assert ".medseg-part" not in done.stderr
    assert "a.nii.gz" not in done.stderr.partition(str(done.args[0]))[2]


@pytest.mark.parametrize("format", ["nifti", "nrrd", "mha"])
def test_a_full_disk_costs_the_case_and_leaves_no_half_of_it(small, format):
    done = medseg(small, "convert", small.parent / "a.nii.gz", "--out", small / "out", "--format", format)
    check(done, 4)
    assert "No space left on device" in done.stdout
    assert "image." not in done.stderr


def test_a_full_disk_ends_a_training_with_a_sentence(small):
    """NumPy raises an error without a number, of what it wrote and what not."""
    dataset, config = write_msd(small.parent / "dataset"), write_config(small.parent / "tiny.yaml")
    done = medseg(small, "train", dataset, "--config", config, "--device", "cpu", "--out", small / "out")
    check(done, 2)
    assert "nothing can be written there (No space left on device)" in done.stderr


def test_a_full_disk_ends_an_import_with_the_place_that_is_full(small):
    package = resources.models()["hippocampus"]
    done = medseg(small, "models", "import", package, "--name", "mine", "--out", small / "mine")
    assert done.returncode == 2, done.stderr
    assert f"medseg: {small}/" in done.stderr
    assert str(package) not in done.stderr
    assert len(done.stderr.splitlines()) == 1, "something half-written is left"


def test_a_full_temporary_folder_costs_the_archive(small):
    done = medseg(small, "inspect", small.parent / "a.zip", TMPDIR=small)
    check(done, 4)
    assert "MiB are free" in " ".join(done.stdout.split())


def test_scans_are_not_unpacked_where_nobody_wanted_them(small):
    """Python falls back to /tmp where TMPDIR cannot be written, without a word."""
    archive = small.parent / "a.zip"
    check(medseg(small, "inspect", archive, TMPDIR=f"{small}/home"), 4)  # write-protected
    done = medseg(small, "inspect", archive, TMPDIR=small / "none")
    check(done, 4)
    assert "no temporary folder can be made" in " ".join(done.stdout.split())
    script = 'head -c 40000 /dev/zero > "$TMPDIR/full"; "$@"; code=$?; rm "$TMPDIR/full"; exit $code'
    done = subprocess.run(
        [UNSHARE, "-m", "sh", "-c", f"mount -t tmpfs -o size=8k tmpfs {small}; {script}", "sh"]  # noqa: RUF005
        + [sys.executable, "-m", "medseg", "inspect", str(archive)],
        env={**os.environ, "TMPDIR": str(small)},
        capture_output=True,
        text=True,
        check=False,
    )
    check(done, 4)
    assert "0.00 MiB are free" in " ".join(done.stdout.split())


def test_a_home_that_cannot_be_written_does_not_matter(small):
    check(medseg(small, "convert", small.parent / "a.nii.gz", "--out", small.parent / "out"), 0)
    done = medseg(small, "models", "import", small.parent / "a.zip", "--name", "mine")
    assert done.returncode in (2, 4)
    assert done.stderr.count("medseg:") == 1


def test_what_a_shell_may_have_set(small):
    """Few files, files for their owner alone, no home, an encoding of few letters."""
    out = small.parent / "out"
    limits = "ulimit -n 256; umask 077; unset HOME; export LC_ALL=C PYTHONUTF8=0"
    command = f"{limits}; exec {sys.executable} -m medseg convert {small.parent}/a.nii.gz --out {out}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    check(done, 0)
    assert (out / "a" / "image.nii.gz").stat().st_mode & 0o777 == 0o600


def test_a_file_may_be_read_by_whom_the_umask_lets(small):
    assert run(["convert", f"{small.parent}/a.nii.gz", "--out", f"{small.parent}/out"]) == 0
    image = small.parent / "out" / "a" / "image.nii.gz"
    assert image.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    before = os.umask(0)
    os.umask(before)
    return before
