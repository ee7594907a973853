"""Measures how long objects take and how much memory, beside scikit-image and SciPy; writes docs/benchmarks/objects.md.

    python benchmarks/bench_objects.py [--quick]

Every figure is the best of three processes of its own with one thread: CPU time of the work itself (user and system,
without imports and making the input), and the peak of its resident memory, input and interpreter included.
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
import threading
from importlib.metadata import version
from pathlib import Path

import numpy as np
from markdown import machine

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "objects.md"
FULL = (512, 512, 800)
SPACING = (0.8, 0.8, 1.5)
CLASSES = 5
SMALL = 8
REPEATS = 3

METHODS = {
    "medseg components": "every class in one pass; voxels, volume, centroid and box of each object",
    "medseg panoptic": "the same, and longest diameter and sphericity of each object",
    "medseg components, slab files": "as the first, from one memory-mapped file into another, in slabs",
    "scikit-image": "`label` and `regionprops`: voxels, centroid and box",
    "SciPy": "`label` of each class and `find_objects`; voxels and centroid from each box",
}


def blobs(shape: tuple[int, int, int], count: int, largest: int, out: np.ndarray) -> None:
    """Draw ellipsoids of random classes, of 4 to `largest` voxels radius, that do not touch one another."""
    rng = np.random.default_rng(0)
    drawn = 0
    while drawn < count:
        radii = rng.integers(4, largest + 1, 3)
        center = [rng.integers(radius + 1, size - radius - 1) for radius, size in zip(radii, shape, strict=True)]
        around = tuple(slice(at - r - 1, at + r + 2) for at, r in zip(center, radii, strict=True))
        if out[around].any():
            continue
        grid = np.ogrid[tuple(slice(-radius, radius + 1) for radius in radii)]
        inside = sum((axis / radius) ** 2 for axis, radius in zip(grid, radii, strict=True)) <= 1
        box = tuple(slice(at - r, at + r + 1) for at, r in zip(center, radii, strict=True))
        out[box][inside] = rng.integers(1, CLASSES + 1)
        drawn += 1


def medseg_labels(array: np.ndarray) -> object:
    from medseg.types import Geometry, LabelClass, LabelMap, LabelTable

    table = LabelTable(tuple(LabelClass(n, f"class {n}", is_thing=True) for n in range(1, CLASSES + 1)))
    return LabelMap(array, Geometry(np.diag([*SPACING, 1]), array.shape), table)


def medseg_components(array: np.ndarray, _: Path) -> int:
    from medseg.post.components import components

    return len(components(medseg_labels(array)).rows)


def medseg_panoptic(array: np.ndarray, _: Path) -> int:
    from medseg.post.panoptic import panoptic

    return len(panoptic(medseg_labels(array)).rows)


def medseg_slab_files(array: np.ndarray, folder: Path) -> int:
    from medseg.post.components import components

    ids = np.memmap(folder / "ids", np.int32, "w+", shape=array.shape, order="F")
    return len(components(medseg_labels(array), out=ids).rows)


def scikit_image(array: np.ndarray, _: Path) -> int:
    from skimage.measure import label, regionprops

    objects = regionprops(label(array, connectivity=3))
    return len([(item.area, item.centroid, item.bbox) for item in objects])


def scipy(array: np.ndarray, _: Path) -> int:
    from scipy import ndimage

    found, everywhere = [], ndimage.generate_binary_structure(3, 3)
    for value in range(1, CLASSES + 1):
        numbered, _ = ndimage.label(array == value, everywhere)
        for number, box in enumerate(ndimage.find_objects(numbered), start=1):
            inside = np.argwhere(numbered[box] == number)
            found.append((box, len(inside), inside.mean(axis=0)))
    return len(found)


WORK = dict(zip(METHODS, (medseg_components, medseg_panoptic, medseg_slab_files, scikit_image, scipy), strict=True))


def child(method: str, shape: tuple[int, int, int], count: int, largest: int, folder: Path) -> None:
    """Make the input, import, then measure."""
    if "files" in method:
        array = np.memmap(folder / "labels", np.uint8, "w+", shape=shape, order="F")
    else:
        array = np.zeros(shape, np.uint8, order="F")
    blobs(shape, count, largest, array)
    small = np.zeros((8, 8, 8), np.uint8, order="F")
    small[1:3, 1:3, 1:3] = 1
    WORK[method](small, folder)  # imports, and caches that are built once
    before = os.times()
    with _AnonymousPeak() as anonymous:
        objects = WORK[method](array, folder)
    after = os.times()
    cpu = after.user + after.system - before.user - before.system
    peak = anonymous.bytes if "files" in method else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"objects": objects, "cpu": cpu, "peak": peak}))


class _AnonymousPeak:
    """Watches the memory that is not pages of a file, which the system can drop at will: what a small machine needs."""

    def __init__(self) -> None:
        self.bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _AnonymousPeak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            lines = Path("/proc/self/status").read_text().splitlines()
            fields = dict(line.split(":", 1) for line in lines)
            self.bytes = max(self.bytes, int(fields["RssAnon"].split()[0]) * 1024)


def measure(method: str, shape: tuple[int, int, int], count: int, largest: int = 24) -> dict[str, float]:
    """Run one method in processes of its own; the one that took least time counts."""
    return min((_once(method, shape, count, largest) for _ in range(REPEATS)), key=lambda found: found["cpu"])


def _once(method: str, shape: tuple[int, int, int], count: int, largest: int) -> dict[str, float]:
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--child", method, *map(str, (*shape, count, largest)), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **threads})
    found: dict[str, float] = json.loads(done.stdout)
    if found["objects"] != count:
        raise SystemExit(f"{method} found {found['objects']} objects of {count}")
    size = "x".join(map(str, shape))
    print(
        f"{method:32s} {size:12s} {count:5d} objects {found['cpu']:6.2f} CPU-s {found['peak'] / 1e9:.2f} GB", flush=True
    )
    return found


def table(rows: list[list[str]]) -> str:
    """Return rows as a Markdown table, the first its head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def main(quick: bool) -> None:
    full = (256, 256, 400) if quick else FULL
    count = 600
    shorter = [full[2] // 8, full[2] // 4, full[2] // 2]
    whole = {method: measure(method, full, count) for method in METHODS if method != "SciPy"}
    growth = {
        method: [measure(method, (*full[:2], depth), count * depth // full[2]) for depth in shorter] + [whole[method]]
        for method in ("medseg components", "medseg panoptic", "scikit-image")
    }
    # Minutes for more than that: it labels class by class.
    growth["SciPy"] = [measure("SciPy", (*full[:2], shorter[0]), count // 8)]
    numbers = (0, 60, 600, 6000)
    many = {
        method: [measure(method, (*full[:2], full[2] // 4), number, SMALL) for number in numbers]
        for method in ("medseg components", "medseg panoptic", "scikit-image")
    }
    head = ["Method", "What it gives", "CPU-s", "GB"]
    first = [
        head,
        *([m, METHODS[m], f"{f['cpu']:.2f}", f"{f['peak'] / 1e9:.2f}"] for m, f in whole.items()),
    ]
    second = [
        ["Method", *(f"{depth} slices" for depth in (*shorter, full[2]))],
        *([m, *(f"{f['cpu']:.2f}" for f in found), *["–"] * (4 - len(found))] for m, found in growth.items()),
    ]
    third = [
        ["Method", *(f"{number} objects" for number in numbers)],
        *([m, *(f"{f['cpu']:.2f}" for f in found)] for m, found in many.items()),
    ]
    tools = ", ".join(
        f"{name} {version(name)}" for name in ("connected-components-3d", "scikit-image", "scipy", "numpy")
    )
    size = " x ".join(map(str, full))
    ours, peer = whole["medseg panoptic"], whole["scikit-image"]
    text = f"""# Objects: time and memory

Written by `python benchmarks/bench_objects.py`. A label map of {size} voxels, uint8, holds {count} ellipsoids
of {CLASSES} classes with radii of 4 to 24 voxels. Every method finds all of them. Each figure is from a process
of its own with one thread, the best of {REPEATS} such: CPU time of the work itself, user and system, and the peak of
the process's memory, the label map and the interpreter included. CPU time still varies by a third or so from run to
run, most of all where it is system time spent on fresh pages: compare within the table.

{table(first)}

For slab files the memory is what is not pages of the two files, which the system can drop when it needs to: that much
is needed however large the volume is.

**medseg panoptic**, which gives the whole table, takes {ours["cpu"] / peer["cpu"]:.2f} of the CPU time of scikit-image,
which gives neither diameter nor sphericity here, and {ours["peak"] / peer["peak"]:.2f} of its memory.

## Growth with the volume

CPU-s, with objects in proportion; SciPy labels class by class and was measured on the smallest only:

{table(second)}

## Growth with the number of objects

CPU-s on {full[0]} x {full[1]} x {full[2] // 4} voxels, with radii of 4 to {SMALL} voxels:

{table(third)}

Measured with {tools}, Python {platform.python_version()}, on {machine()}.
"""
    if quick:
        print(text)
        return
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    print(f"wrote {PAGE.relative_to(PAGE.parents[2])}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small volume; prints the page and does not write it")
    parser.add_argument(
        "--child", nargs=7, metavar=("METHOD", "X", "Y", "Z", "COUNT", "LARGEST", "FOLDER"), help=argparse.SUPPRESS
    )
    chosen = parser.parse_args()
    if chosen.child:
        name, *numbers, place = chosen.child
        x, y, z, number, radius = map(int, numbers)
        child(name, (x, y, z), number, radius, Path(place))
    else:
        main(chosen.quick)
