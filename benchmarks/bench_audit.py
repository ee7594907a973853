"""Measures how an audit grows with the number of cases, and writes docs/benchmarks/audit.md.

    python benchmarks/bench_audit.py                       # 200, 500 and 2000 made-up cases
    python benchmarks/bench_audit.py --folder CASES --write-only   # make the cases now, and measure later:
    python benchmarks/bench_audit.py --folder CASES
    python benchmarks/bench_audit.py --cases 50,200        # fewer, no page written
    python benchmarks/bench_audit.py --cases 4,8 --shape 24x24x16 --page try.md   # a page elsewhere

The page is put into the navigation of mkdocs.yml where it is not there yet.

Each case is a noisy volume with three ellipsoids and their labels, written as compressed NIfTI. Each audit is a process
of its own; its wall time, the CPU time of it and its workers, and the largest memory that they hold together, looked at
ten times a second, are what is measured. The last audit is killed in the middle and given again, and given once more
when all is known.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import markdown
import nibabel as nib
import numpy as np
import psutil

COUNTS = (200, 500, 2000)
SHAPE = (64, 64, 48)
ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks" / "audit.md"
# Growth is told between these two.
FEW, MANY = 200, 2000


def write_cases(folder: Path, first: int, last: int, shape: tuple[int, ...]) -> None:
    """Add cases to a dataset of paired folders."""
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    for number in range(first, last):
        if (folder / "labels" / f"case{number:05}.nii.gz").exists():
            continue
        random = np.random.default_rng(number)
        labels = np.zeros(shape, np.uint8)
        for value in (1, 2, 3):
            middle, radius = random.uniform(0.3, 0.7, 3) * shape, random.uniform(0.08, 0.2, 3) * shape
            labels[sum(((a - m) / r) ** 2 for a, m, r in zip(axes, middle, radius, strict=True)) < 1] = value
        image = (random.normal(0, 20, shape) + 100 * labels).astype(np.int16)
        for kind, array in (("images", image), ("labels", labels)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array, np.eye(4)), folder / kind / f"case{number:05}.nii.gz")


def subset(folder: Path, count: int) -> Path:
    """A table of the first so many cases."""
    rows = [f"case{n:05},images/case{n:05}.nii.gz,labels/case{n:05}.nii.gz" for n in range(count)]
    path = folder / f"first-{count}.csv"
    path.write_text("\n".join(["case,MR,label", *rows]) + "\n")
    return path


def measured(dataset: Path, out: Path, jobs: int | None, *, kill_after: float | None = None) -> dict[str, float]:
    """Wall and CPU seconds and the largest memory of one audit, which may be killed after so many seconds."""
    command = [sys.executable, "-m", "medseg", "audit", str(dataset), "--out", str(out), "--quiet"]
    command += [] if jobs is None else ["--jobs", str(jobs)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start, most = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        time.sleep(0.1)
        most = max(most, held(process.pid))
        if kill_after is not None and time.perf_counter() - start > kill_after:
            process.send_signal(signal.SIGKILL)
            process.wait()
    if kill_after is None and process.returncode not in (0, 3):
        raise RuntimeError(f"the audit ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.perf_counter() - start, "cpu": cpu, "megabytes": most / 2**20}


def held(pid: int) -> int:
    """Bytes that a process and its children hold."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for one in (parent, *parent.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.Error:
        pass
    return total


def curve(rows: dict[int, dict[str, float]]) -> str:
    """Seconds by cases, as a text chart: a line through the origin is linear growth."""
    most = max(row["wall"] for row in rows.values())
    lines = [
        f"{n:>6} cases  {'#' * max(1, round(60 * row['wall'] / most))} {row['wall']:.1f} s" for n, row in rows.items()
    ]
    return "\n".join(["```text", *lines, "```"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", help="numbers of cases, separated by commas; no page is written then")
    parser.add_argument("--shape", default="x".join(map(str, SHAPE)), help="voxels of a case")
    parser.add_argument("--jobs", type=int, help="cases read at a time; by default medseg's own choice")
    parser.add_argument("--page", type=Path, help="where to write the page; by default docs/benchmarks/audit.md")
    parser.add_argument("--folder", type=Path, help="where cases are made and kept; by default a folder deleted after")
    parser.add_argument("--write-only", action="store_true", help="only make the cases")
    given = parser.parse_args()
    print(f"{markdown.machine()}; {os.cpu_count()} CPUs", flush=True)
    counts = COUNTS if given.cases is None else tuple(sorted(int(n) for n in given.cases.split(",")))
    shape = tuple(int(n) for n in given.shape.split("x"))
    rows: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, made = given.folder or Path(name), 0
        if given.write_only:
            write_cases(folder, 0, counts[-1], shape)
            return
        for count in counts:
            write_cases(folder, made, count, shape)
            made = count
            rows[count] = measured(subset(folder, count), Path(name) / f"out-{count}", given.jobs)
            print(count, {key: round(value, 1) for key, value in rows[count].items()}, flush=True)
        last = counts[-1]
        out = Path(name) / "stopped"
        measured(subset(folder, last), out, given.jobs, kill_after=rows[last]["wall"] / 2)
        journal = out / "examined.jsonl"
        kept = len(journal.read_text().splitlines()) if journal.exists() else 0
        resumed = measured(subset(folder, last), out, given.jobs)
        again = measured(subset(folder, last), out, given.jobs)
    resuming = (
        f"Another audit of {last} cases was killed after {rows[last]['wall'] / 2:.0f} s, when {kept} were done (their "
        f"files were still in memory from the one before); the same command then took "
        f"{resumed['wall']:.1f} s, and once more, with nothing left to read, {again['wall']:.1f} s."
    )
    print(resuming)
    written = given.page or (PAGE if given.cases is None else None)
    if written is not None:
        written.write_text(page(rows, resuming, shape), encoding="utf-8")
        print(written)
    if written == PAGE:
        into_navigation(ROOT / "mkdocs.yml")


def into_navigation(file: Path) -> None:
    """Name the page behind the first of the benchmarks, where the site does not name it yet."""
    text = file.read_text(encoding="utf-8")
    if "benchmarks/audit.md" not in text:
        head = "  - Benchmarks:\n      - benchmarks/index.md\n"
        file.write_text(text.replace(head, f"{head}      - benchmarks/audit.md\n"), encoding="utf-8")


def growth(rows: dict[int, dict[str, float]]) -> str:
    """How much longer many cases take than few; where these were not measured, the most and the fewest."""
    few, many = (FEW, MANY) if FEW in rows and MANY in rows else (min(rows), max(rows))
    times = rows[many]["wall"] / rows[few]["wall"]
    return f"{many:,} cases take {times:.1f} times as long as {few:,}; {many / few:.1f} times would be linear growth."


def page(rows: dict[int, dict[str, float]], resuming: str, shape: tuple[int, ...]) -> str:
    cells = {
        f"{n} cases": [
            f"{row['wall']:.1f}",
            f"{1000 * row['wall'] / n:.0f}",
            f"{row['cpu']:.1f}",
            f"{row['megabytes']:.0f}",
        ]
        for n, row in rows.items()
    }
    table = markdown.table(["wall s", "wall ms a case", "CPU s", "MB at most"], cells)
    return f"""# Auditing many cases

Made by `python benchmarks/bench_audit.py` on {os.cpu_count()} CPUs ({markdown.machine()}), Python
{platform.python_version()}. `medseg audit` of made-up cases of {" x ".join(map(str, shape))} voxels with three classes,
compressed; memory is that of all its processes together.

{table}

{curve(rows)}

{growth(rows)}

{resuming}
"""


if __name__ == "__main__":
    main()
