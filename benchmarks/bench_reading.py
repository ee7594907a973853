"""Measures time and memory of reading a 500-slice CT, beside SimpleITK; writes docs/benchmarks/reading.md.

    python benchmarks/bench_reading.py [--slices 500]

Then a fifth as many slices, compressed in each of the usual ways.

Every figure comes from a process of its own with one thread: CPU time (user and system) of finding the series and
reading it, without imports, and the growth of the process's peak resident memory. Of several runs, the best counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks" / "reading.md"
RUNS = 5
COMPRESSED = {"RLE": RLELossless, "JPEG-LS, lossless": JPEGLSLossless, "JPEG 2000, lossless": JPEG2000Lossless}
SHARE_COMPRESSED = 5
READERS = {
    "medseg": "finds the series and reads it: `load_scan`",
    "medseg, series found": "reads it, its headers known from finding it, as in a batch: `read_scan`",
    "SimpleITK": "`GetGDCMSeriesFileNames` and `ImageSeriesReader.Execute`",
}


def make(folder: Path, slices: int) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    from dicom_phantom import grid, write_series

    random = np.random.default_rng(0)
    where = grid(columns=512, rows=512, slices=slices, spacing=(0.7, 0.7), step=0.8)

    def slice_of_noise(world: Any) -> Any:
        """Noise of 20 HU over something smooth, which compresses about as well as a patient."""
        return 300 * np.sin(world[..., 0] / 20) * np.cos(world[..., 1] / 30) + random.normal(0, 20, world.shape[:2])

    write_series(folder, where, values=slice_of_noise)


def compress(folder: Path, out: Path, syntax: str, slices: int) -> None:
    """Compress the first slices."""
    out.mkdir()
    files = sorted(
        folder.iterdir(), key=lambda path: int(pydicom.dcmread(path, specific_tags=["InstanceNumber"]).InstanceNumber)
    )
    for path in files[:slices]:
        dataset = pydicom.dcmread(path)
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(out / path.name)


def measure(reader: str, folder: Path) -> dict[str, float]:
    """Read once, in this process."""
    if reader == "SimpleITK":
        import SimpleITK as sitk  # noqa: N813

        def read() -> object:
            series = sitk.ImageSeriesReader()
            series.SetFileNames(series.GetGDCMSeriesFileNames(str(folder)))
            return series.Execute()
    else:
        import medseg.io.dicom.discover
        import medseg.io.dicom.series  # noqa: F401
        from medseg.io.discover import discover
        from medseg.io.read import load_scan, read_scan

        if reader == "medseg":

            def read() -> object:
                return load_scan(folder)
        else:
            (found,) = discover([folder]).found

            def read() -> object:
                return read_scan(found)

    before, start = _peak(), time.process_time()
    scan = read()
    spent = time.process_time() - start
    assert scan is not None
    return {"seconds": spent, "mib": _peak() - before}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=500)
    parser.add_argument("--measure", nargs=2, metavar=("READER", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], Path(options.measure[1]))))
        return
    few = options.slices // SHARE_COMPRESSED
    with tempfile.TemporaryDirectory() as place:
        plain = Path(place) / "plain"
        make(plain, options.slices)
        best = {reader: _best(reader, str(plain)) for reader in READERS}
        compressed = {}
        for name, syntax in COMPRESSED.items():
            compress(plain, Path(place) / syntax, syntax, few)
            compressed[name] = {r: _best(r, str(Path(place) / syntax)) for r in ("medseg", "SimpleITK")}
    lines = [
        "# Reading a CT",
        "",
        f"{options.slices} slices of 512 x 512 pixels, 16 bits, uncompressed: "
        f"{options.slices * 512 * 512 * 2 / 2**20:.0f} MiB of voxels. Best of {RUNS} runs, each in a process of its "
        "own with one thread; made by `python benchmarks/bench_reading.py`.",
        "",
        "| Reader | What it does | CPU time, s | of SimpleITK's | Memory, MiB | of SimpleITK's |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    peer = best["SimpleITK"]
    lines += [f"| {reader} | {about} | {_cells(best[reader], peer)} |" for reader, about in READERS.items()]
    lines += [
        "",
        f"The same, {few} slices of it, compressed; found and read:",
        "",
        "| Transfer syntax | Reader | CPU time, s | of SimpleITK's | Memory, MiB | of SimpleITK's |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, readers in compressed.items():
        lines += [f"| {name} | {r} | {_cells(got, readers['SimpleITK'])} |" for r, got in readers.items()]
    lines += [
        "",
        f"Python {platform.python_version()}, SimpleITK {version('SimpleITK')}, pydicom {version('pydicom')}.",
    ]
    print("\n".join(lines))
    if options.slices == parser.get_default("slices"):
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cells(got: dict[str, float], peer: dict[str, float]) -> str:
    seconds, mib = got["seconds"], got["mib"]
    return f"{seconds:.2f} | {seconds / peer['seconds']:.2f} | {mib:.0f} | {mib / peer['mib']:.2f}"


def _best(reader: str, folder: str) -> dict[str, float]:
    runs = []
    for _ in range(RUNS):
        command = [sys.executable, __file__, "--measure", reader, folder]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {key: min(run[key] for run in runs) for key in ("seconds", "mib")}


if __name__ == "__main__":
    main()
