"""Segments hundreds of small scans in one run and watches the process: nothing may grow with their number.

python tests/soak.py --cases 400 (`make soak`): crops of a sample scan are given to the hippocampus model, and every
second the run's processes are looked at. Resident memory, open files and temporary files of the last quarter are
compared with those of the second; the report must stay under 2 MB for each hundred cases. Exit code 1 where one grew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil

MB = 2**20
GROWTH_MB, GROWTH_FILES = 48, 4  # of what counts as flat
REPORT_MB = 2.0


@dataclass(frozen=True)
class Look:
    """What the run's processes hold at one moment."""

    cases: int
    memory: int  # bytes resident
    files: int  # open descriptors
    temporary: int  # files in the temporary folder


def write_cases(folder: Path, count: int) -> None:
    """Write crops, each another one, of the demonstration's hippocampus."""
    from medseg.demo.scans import lay_out

    lay_out(folder / "demo")
    source = nib.load(next((folder / "demo").rglob("left-hippocampus.nii.gz")))
    (folder / "scans").mkdir()
    for number in range(count):
        i, j, k = np.unravel_index(number, (8, 8, 8))
        nib.save(source.slicer[int(i) :, int(j) :, int(k) :], folder / "scans" / f"case{number:04}.nii.gz")


def watch(process: subprocess.Popen[bytes], out: Path, scratch: Path, every: float) -> list[Look]:
    """Look at a run until it ends."""
    looks = []
    parent = psutil.Process(process.pid)
    while process.poll() is None:
        time.sleep(every)
        memory = files = 0
        try:
            for one in (parent, *parent.children(recursive=True)):
                memory += one.memory_info().rss
                files += one.num_fds()
        except psutil.Error:
            continue
        cases = sum(1 for _ in out.glob("*/status.json")) if out.is_dir() else 0
        looks.append(Look(cases, memory, files, sum(1 for path in scratch.rglob("*") if path.is_file())))
    return looks


def complaints(looks: list[Look], report_bytes: int, count: int) -> list[str]:
    """Compare the last quarter with the second, and return what grew."""
    early = [look for look in looks if count / 4 <= look.cases < count / 2]
    late = [look for look in looks if look.cases >= 3 * count / 4]
    if not early or not late:
        return ["the run was too short to be watched"]
    said = []
    for name, limit, unit in (("memory", GROWTH_MB * MB, MB), ("files", GROWTH_FILES, 1), ("temporary", 2, 1)):
        first, last = (max(getattr(look, name) for look in part) for part in (early, late))
        if last - first > limit:
            said.append(f"{name} grew from {first / unit:.0f} to {last / unit:.0f}")
    if report_bytes > REPORT_MB * 1e6 * count / 100:
        said.append(f"report.html has {report_bytes / 1e6:.1f} MB for {count} cases")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two looks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder, scratch = Path(name), Path(name) / "tmp"
        scratch.mkdir()
        write_cases(folder, options.cases)
        command = [str(Path(sys.executable).with_name("medseg")), "predict", str(folder / "scans")]
        command += [
            "--model",
            "hippocampus",
            "--out",
            str(folder / "out"),
            "--overlap",
            "0",
            "--mirror",
            "none",
            "--quiet",
        ]
        begun = time.monotonic()
        process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(scratch)}, stdout=subprocess.DEVNULL)
        looks = watch(process, folder / "out", scratch, options.every)
        report = (folder / "out" / "report.html").stat().st_size
        left = sum(1 for path in scratch.rglob("*") if path.is_file())
        states = [json.loads(path.read_text())["state"] for path in (folder / "out").glob("*/status.json")]
    said = complaints(looks, report, options.cases)
    if left:
        said.append(f"{left} temporary files are left")
    if len(states) != options.cases:
        said.append(f"{len(states)} of {options.cases} cases have a record")
    counted = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    print(f"{counted}; exit code {process.returncode}; {time.monotonic() - begun:.0f} s; report {report / 1e6:.2f} MB")
    for look in looks[:: max(1, len(looks) // 12)]:
        print(f"{look.cases:5} cases {look.memory / MB:7.0f} MB {look.files:5} files {look.temporary:3} temporary")
    print(*said, sep="\n")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
