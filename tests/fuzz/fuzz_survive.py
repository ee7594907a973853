"""What becomes of one damaged file in the readers and in a verb; runs in a child process."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import typer
from fuzz_mutations import LOSES_ITS_END, mutate
from fuzz_seeds import Seed

from medseg.cli.app import run
from medseg.errors import Interrupted, MedsegError
from medseg.io.discover import survey
from medseg.io.read import read_labels, read_scan

BUG = re.compile(r"this is a bug|an unexpected error ended|Traceback \(most recent", re.IGNORECASE)
CONTRACT = (0, 2, 3, 4)  # exit codes; 1 is a bug, and nothing was stopped
READ = ("scan", "image", "dicom", "labels", "contours", "report", "zip")  # roles of what readers read
NOWHERE = "http://127.0.0.1:9"  # no archive: what is sent is read first

# Half of the time of a small verb is spent on building the command line, which stays the same.
typer.main.get_command = cache(typer.main.get_command)

# {f} is the folder, {d} the damaged file, {o} an output folder that is not there yet.
VERBS = {
    "scan": (
        "inspect {f} --json",
        "convert {f} --out {o} --format nifti",
        "convert {d} --out {o} --format nrrd",
        "predict {f} --model hippocampus --out {o} --dry-run",
    ),
    "image": ("inspect {d} --json", "convert {d} --out {o} --format nifti"),
    "dicom": (
        "inspect {f} --json",
        "convert {f} --out {o} --format nifti",
        "deidentify {f} --out {o}",
        "push {f} --to {n} --retries 0",
        "predict {f} --model hippocampus --out {o} --dry-run",
    ),
    "labels": (
        "inspect {f}",
        "convert {f} --out {o} --format nifti",
        "evaluate {f}/labels {f}/labels --out {o}",
        "export {d} --source {f}/scan --format dicom-seg,rtstruct --manual --out {o}",
        "deidentify {f} --out {o}",
        "push {f}/labels --to {n} --retries 0",
    ),
    "contours": (
        "inspect {f}",
        "convert {f} --out {o} --format nifti",
        "export {d} --source {f}/scan --format dicom-seg --manual --out {o}",
        "deidentify {f} --out {o}",
        "push {f}/labels --to {n} --retries 0",
    ),
    "report": ("inspect {f}", "deidentify {f} --out {o}", "push {f}/labels --to {n} --retries 0"),
    "dataset": ("audit {f}/data --out {o}", "plan {f}/data", "inspect {f}/data"),
    "config": ("plan {f}/data --config {d}", "audit {f}/data --config {d}"),
    "package": ("models import {p} --name fuzzed --out {o}", "models show {p}", "models verify {p}"),
    "zip": ("inspect {f}", "convert {d} --out {o} --format nifti"),
    "evaluation": ("compare {f}/one {f}/two",),
}


@dataclass(frozen=True)
class Task:
    """A seed, and the number that says how it is damaged and which verb gets it."""

    seed: Seed
    number: int
    step: str  # "read" or "verb"
    as_user: bool = False  # whether the verb runs in a process of its own, with all it does against crashes


@dataclass(frozen=True)
class Outcome:
    """What became of one damaged file."""

    damage: str
    verdict: str  # read, refused, bug, silent, left
    detail: str = ""


def survive(task: Task) -> tuple[Outcome, ...]:
    """Damage a copy, and read it or give it to a verb; return what became of it."""
    seed = task.seed
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        work, scratch = Path(name), Path(name) / "tmp"
        scratch.mkdir()
        shutil.copytree(seed.folder, work / "in")
        damaged = work / "in" / seed.damaged
        whole = damaged.read_bytes()
        content, kind = mutate(whole, task.number)
        if content == whole:
            return ()
        damaged.write_bytes(content)
        with _own_place(work, scratch):
            became = _read(seed, work / "in", kind) if task.step == "read" else _verb(task, work, kind)
            left = sorted(path.name for path in scratch.rglob("*") if path.is_file())
        outcomes = [Outcome(kind, *became)]
        if left and seed.role != "zip":  # what zips hold is unpacked until the process ends, and this one does not yet
            outcomes.append(Outcome(kind, "left", f"temporary files {left[:3]}"))
        return tuple(outcomes)


@contextlib.contextmanager
def _own_place(work: Path, scratch: Path):
    """The user's store and the temporary folder within this task's own."""
    before = dict(os.environ), tempfile.tempdir
    os.environ |= {"MEDSEG_HOME": str(work / "home"), "TMPDIR": str(scratch)}
    tempfile.tempdir = str(scratch)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.environ.clear()
        os.environ.update(before[0])
        tempfile.tempdir = before[1]


def _read(seed: Seed, folder: Path, kind: str) -> tuple[str, str]:
    """Read every scan and label file by the library alone, in this process."""
    try:
        found, whole = digests(folder), _digests_of_seed(seed.folder)
    except (KeyboardInterrupt, Interrupted):
        raise
    except MedsegError as error:
        return "refused", str(error)
    except BaseException as error:
        return "bug", f"{type(error).__name__}: {error}"
    other = found - whole
    if other and ((seed.has_length and kind == LOSES_ITS_END) or (seed.has_checksum and kind == "flip_data")):
        return "silent", f"{kind}: other voxels or another grid, and nobody told"
    return ("read", "") if found else ("refused", "")


@cache
def _digests_of_seed(folder: Path) -> set[str]:
    return digests(folder)


def digests(folder: Path) -> set[str]:
    """Hash of the voxels and grid of every scan and of every label object that can be read."""
    searched = survey([folder])
    found = set()
    for one in searched.discovery.found:
        try:
            scan = read_scan(one)
        except MedsegError:
            continue
        assert scan.array.shape[1:] == scan.geometry.shape
        assert np.isfinite(scan.geometry.affine).all()
        found.add(_digest(scan.array, scan.geometry.affine))
    for path in searched.label_objects:
        try:
            labels = read_labels(path)
        except MedsegError:
            continue
        found.add(_digest(labels.array, labels.geometry.affine))
    return found


def _digest(array, affine) -> str:
    content = np.ascontiguousarray(array).tobytes() + np.round(affine, 6).tobytes() + str(array.shape).encode()
    return hashlib.sha256(content).hexdigest()


def _verb(task: Task, work: Path, kind: str) -> tuple[str, str]:
    """Give the folder to one of its verbs, which one by the task's number."""
    lines = VERBS[task.seed.role]
    line = lines[task.number % len(lines)]
    damaged = work / "in" / task.seed.damaged
    package = damaged if damaged.suffix == ".zip" else damaged.parent
    names = {"f": work / "in", "d": damaged, "o": work / "out", "n": NOWHERE, "p": package}
    words = [word.format(**names) for word in line.split()]
    code, *printed = _as_user(words) if task.as_user else _right_here(words)
    written = [path.read_text(errors="replace") for path in (work / "out").rglob("*.json")]
    said = "\n".join((*printed, *written))
    bug = BUG.search(said)
    if code not in CONTRACT or bug:
        excerpt = said[max(0, bug.start() - 200) : bug.start() + 300] if bug else printed[1][-400:]
        return "bug", f"exit code {code} of {line}: {excerpt}"
    return ("read" if code == 0 else "refused"), line.split()[0]


def _right_here(words: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run(words)
        except SystemExit as stop:
            code = int(stop.code or 0)
    return code, out.getvalue(), err.getvalue()


def _as_user(words: list[str]) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "medseg", *words]
    ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=600)
    return ended.returncode, ended.stdout, ended.stderr
