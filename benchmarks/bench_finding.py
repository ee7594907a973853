"""Measures what finding scans costs as folders grow: CPU for each file, and the most memory.

python benchmarks/bench_finding.py [--files 500,4000,20000,100000] [--kinds nifti,dicom] [--out PAGE]

Each count is measured in a process of its own, on made-up files in a temporary folder: small images of 50 to a folder,
every tenth of which is called like one in another folder, or DICOM series of 20 slices. `nrrd` has headers read in a
process of their own, `named` gives each file by itself on the command line, and `names` measures the naming of cases
alone. The ratio is that of CPU for each file to the first count's; finding is linear where it stays near 1.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from markdown import table, write

A_FOLDER = 50
SLICES = 20
KINDS = {
    "nifti": "NIfTI",
    "nrrd": "NRRD",
    "dicom": "DICOM, series of 20 slices",
    "named": "NIfTI, every file named by itself",
    "names": "The naming of cases alone",
}
ABOUT = (
    "What it costs to find scans as folders grow, by `python benchmarks/bench_finding.py` on made-up images of a few "
    "voxels. Each count of files is measured in a process of its own; CPU seconds, not time, beside other work on the "
    "machine, so that they are an upper bound. The ratio is that of CPU for each file to the first count's: finding is "
    "linear where it stays near 1."
)
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
EVERY = 10  # how many files pass until one shares its name with others


def paths(folder: Path, count: int, suffix: str) -> list[Path]:
    """Where the made-up files lie."""
    return [
        folder / f"visit{n // A_FOLDER:05}" / (f"scan{n % A_FOLDER}{suffix}" if n % EVERY == 0 else f"scan-{n}{suffix}")
        for n in range(count)
    ]


def write_images(folder: Path, count: int, suffix: str) -> None:
    """Write images of a few voxels."""
    if suffix == ".nrrd":
        head = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 4 4\nencoding: raw\nspace: left-posterior-superior\n"
        head += "space directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n\n"
        content = head.encode() + bytes(64)
    else:
        content = nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)).to_bytes()
    for path in paths(folder, count, suffix):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_series(folder: Path, count: int) -> None:
    """Write DICOM series of a few slices each, as many files as asked for."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from small_series import small_series

    source, _ = small_series(folder / "study", shape=(4, 4, SLICES))
    headers = [pydicom.dcmread(path) for path in source.files]
    uids = {header[keyword].value for header in headers for keyword in UIDS}
    slices = [(path.name, path.read_bytes()) for path in source.files]
    for number in range(1, -(-count // SLICES)):
        place = folder / f"study{number:05}"
        place.mkdir()
        for name, content in slices:
            for uid in uids:  # another of the same length, so that the file is valid as it is
                content = content.replace(uid.encode(), f"{uid[:-5]}{number:05}".encode())
            (place / name).write_bytes(content)


def measure(folder: Path, kind: str, count: int) -> dict[str, float]:
    """Find everything in a folder; return seconds of CPU, the most memory in MB and the number of scans."""
    if kind == "names":
        from medseg.io.files.case_id import file_case_ids

        given = paths(folder, count, ".nii")
        began = cpu()
        found = len(file_case_ids(given))
    else:
        from medseg.io.discover import discover

        inputs = paths(folder, count, ".nii") if kind == "named" else [folder]
        discover([next(path for path in sorted(folder.rglob("*")) if path.is_file())])  # what is done once
        began = cpu()
        found = len(discover(inputs).found)
    return {
        "seconds": cpu() - began,
        "memory": max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        / 1024,
        "found": found,
    }


def cpu() -> float:
    """CPU seconds of this process and of those it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def rows_of(kind: str, counts: list[int]) -> dict[str, list[str]]:
    """Measure each count of files of one kind."""
    rows, first = {}, 0.0
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="finding-") as name:
            folder = Path(name)
            if kind == "dicom":
                write_series(folder, count)
            elif kind != "names":
                write_images(folder, count, ".nrrd" if kind == "nrrd" else ".nii")
            command = [sys.executable, __file__, "--measure", name, "--kinds", kind, "--files", str(count)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        each = found["seconds"] / count * 1000
        first = first or each
        shown = [f"{found['found']:,.0f}", f"{each:.3f}", f"{each / first:.2f}", f"{found['memory']:.0f}"]
        rows[f"{count:,}"] = shown
        print(kind, count, *shown, flush=True)
    return rows


def main() -> int:
    """Print a row for each count, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", default="500,4000,20000,100000")
    parser.add_argument("--kinds", default="nifti,dicom", help=", ".join(KINDS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    counts = [int(text) for text in options.files.split(",")]
    kinds = options.kinds.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"unknown kinds: {', '.join(sorted(unknown))}")
    if options.measure is not None:
        print(json.dumps(measure(options.measure, kinds[0], counts[0])))
        return 0
    parts = []
    for kind in kinds:
        found = rows_of(kind, counts)
        parts += [f"## {KINDS[kind]}", table(["scans", "ms CPU for each file", "ratio", "MB at most"], found)]
    if options.out is not None:
        write(options.out, "Finding scans", [ABOUT, *parts])
    return 0


if __name__ == "__main__":
    sys.exit(main())
