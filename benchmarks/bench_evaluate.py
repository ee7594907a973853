"""Measures how fast medseg measures, beside google-deepmind's surface-distance and MONAI, and writes docs/benchmarks.

    python benchmarks/bench_evaluate.py            # all of it, about a quarter of an hour on one core
    python benchmarks/bench_evaluate.py --quick    # smaller volumes, no page written

Every tool runs in a process of its own on one thread, reads the same two label maps, and reports the CPU time and the
memory it took after reading them. surface-distance lives in an environment of its own (peer_environments.py).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from markdown import machine
from peer_environments import install
from scipy import ndimage

SPACING = (0.8, 0.8, 1.5)
TOLERANCE = 2.0
PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "evaluate.md"

# What a worker does around the measuring: read, note memory, measure, say what it took.
FRAME = """
import json, sys, time
import numpy as np
{imports}
reference, prediction = (np.load(path) for path in sys.argv[1:3])
values = [int(v) for v in np.unique(reference) if v]
spacing = {spacing}
def memory(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024
{warm_up}
open("/proc/self/clear_refs", "w").write("5")
before, start, wall = memory("VmRSS"), time.process_time(), time.perf_counter()
{measure}
print("RESULT" + json.dumps({{"cpu": time.process_time() - start, "wall": time.perf_counter() - wall,
    "megabytes": memory("VmHWM") - before, "figures": figures}}))
"""

MEDSEG = {
    "imports": "from medseg.evaluation.metrics.measure import measure_case\n"
    "from medseg.evaluation.options import EvaluateOptions\n"
    "from medseg.types import Geometry, LabelMap, LabelTable",
    "warm_up": """
table = LabelTable.unnamed(values)
def run(a, b, **more):
    maps = [LabelMap(x, Geometry(np.diag([*spacing, 1.0]), x.shape), table) for x in (a, b)]
    options = EvaluateOptions(tolerances_mm=(2.0,), objects=OBJECTS)
    return measure_case(*maps, {str(v): (v,) for v in values}, options).values
run(reference[:8, :8, :8], prediction[:8, :8, :8])
""",
    "measure": """
found = run(reference, prediction)
figures = {n: {"dice": v["dice"], "hd95": v["hd95"], "nsd": v["nsd@2mm"]} for n, v in found.items()}
""",
}
SURFACE_DISTANCE = {
    "imports": "import surface_distance.metrics as m",
    "warm_up": "",
    "measure": """
figures = {}
for v in values:
    a, b = reference == v, prediction == v
    d = m.compute_surface_distances(a, b, spacing)
    figures[str(v)] = {"dice": float(m.compute_dice_coefficient(a, b)),
        "hd95": float(m.compute_robust_hausdorff(d, 95)), "nsd": float(m.compute_surface_dice_at_tolerance(d, 2.0))}
""",
}
MONAI = {
    "imports": "import torch\nfrom monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice",
    "warm_up": "torch.set_num_threads(1)",
    "measure": """
figures = {}
for v in values:
    a, b = (torch.from_numpy(x == v)[None, None] for x in (reference, prediction))
    figures[str(v)] = {"dice": float(compute_dice(b, a)),
        "hd95": float(compute_hausdorff_distance(b, a, include_background=True, percentile=95, spacing=spacing)),
        "nsd": float(compute_surface_dice(b, a, [2.0], include_background=True, spacing=spacing))}
""",
}
TOOLS = {
    "medseg": (MEDSEG, "none"),
    "medseg with objects": (MEDSEG, "components"),
    "surface-distance": (SURFACE_DISTANCE, ""),
    "MONAI": (MONAI, ""),
}


def volumes(shape, labels, seed=0, error=0.05):
    """Label map of organ-like blobs, and a prediction whose surface wanders around the reference's."""
    rng = np.random.default_rng(seed)

    def field(step, amplitude):
        coarse = rng.standard_normal([int(np.ceil(n / step)) + 3 for n in shape]).astype(np.float32)
        zoom = [n / c for n, c in zip(shape, coarse.shape, strict=True)]
        return amplitude * ndimage.zoom(coarse, zoom, order=1)[: shape[0], : shape[1], : shape[2]]

    bumps = field(12, 0.12)
    wrong = bumps + field(8, error)
    reference, prediction = np.zeros((2, *shape), np.uint8)
    axes = np.ogrid[: shape[0], : shape[1], : shape[2]]
    size = min(1.0, (10 / labels) ** (1 / 3))
    for value in range(1, labels + 1):
        middle = rng.uniform(0.2, 0.8, 3) * shape
        radius = rng.uniform(0.08, 0.25, 3) * shape * size
        distance = sum(((a - m) / r) ** 2 for a, m, r in zip(axes, middle, radius, strict=True)).astype(np.float32)
        reference[distance + bumps < 1] = value
        prediction[distance + wrong < 1] = value
    return reference, prediction


def run(tool, paths, repeats=1):
    """Best of some runs of a tool in a process of its own."""
    parts, objects = TOOLS[tool]
    python = install("surface-distance") if tool == "surface-distance" else sys.executable
    script = FRAME.format(spacing=SPACING, **parts).replace("OBJECTS", repr(objects))
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    results = []
    for _ in range(repeats):
        done = subprocess.run(
            [str(python), "-W", "ignore", "-c", script, *map(str, paths)],
            capture_output=True, text=True, env={**os.environ, **threads},
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{tool}: {done.stderr[-2000:]}")
        results.append(json.loads(next(x for x in done.stdout.splitlines() if x.startswith("RESULT"))[6:]))
    return min(results, key=lambda result: result["cpu"])


def saved(folder, shape, labels, **keywords):
    paths = [folder / "reference.npy", folder / "prediction.npy"]
    for path, array in zip(paths, volumes(shape, labels, **keywords), strict=True):
        np.save(path, array)
    return paths


def comparison(folder, shape, repeats):
    """The same volume through every tool, for a good and for a poor prediction."""
    lines, base = [], {}
    for title, error in (("good", 0.05), ("poor", 0.5)):
        paths = saved(folder, shape, 10, error=error)
        found = {tool: run(tool, paths, 1 if tool == "MONAI" else repeats) for tool in TOOLS}
        ours = found["medseg"]
        dice = np.mean([f["dice"] for f in ours["figures"].values()])
        for tool, result in found.items():
            gap = max(abs(result["figures"][v]["hd95"] - f["hd95"]) for v, f in ours["figures"].items())
            ratio = "" if tool == "medseg" else f"{result['cpu'] / ours['cpu']:.1f}"
            lines.append(
                f"| {title} (mean Dice {dice:.2f}) | {tool} | {result['cpu']:.2f} | {ratio} | "
                f"{result['megabytes']:.0f} | {'' if tool.startswith('medseg') else f'{gap:.2f}'} |"
            )
            print(lines[-1], flush=True)
        base[title] = {tool: result["cpu"] / ours["cpu"] for tool, result in found.items()}
    return lines, base


def growth(folder, cases, tools, what):
    lines = []
    for shape, labels in cases:
        paths = saved(folder, shape, labels)
        found = {tool: run(tool, paths) for tool in tools}
        first = labels if what == "labels" else "x".join(map(str, shape))
        cells = [f"{found[t]['cpu']:.2f} | {found[t]['megabytes']:.0f}" for t in tools]
        lines.append(f"| {first} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    full = (128, 128, 75) if quick else (512, 512, 300)
    middle = (96, 96, 60) if quick else (256, 256, 150)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines, ratios = comparison(folder, full, 1 if quick else 2)
        tools = ("medseg", "surface-distance")
        by_labels = growth(folder, [(middle, n) for n in (1, 3, 10, 30, 100)], tools, "labels")
        sizes = [tuple(n // d for n in full) for d in (8, 4, 2, 1)]
        by_size = growth(folder, [(shape, 10) for shape in sizes], tools, "size")
    if not quick:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(lines, ratios, by_labels, by_size, full, middle))
        print(PAGE)


def page(lines, ratios, by_labels, by_size, full, middle):
    good, poor = ratios["good"], ratios["poor"]
    head = "| prediction | tool | CPU-s | times medseg | MB above the masks | largest HD95 difference, mm |"
    two = "| {} | medseg CPU-s | MB | surface-distance CPU-s | MB |"
    join = "\n".join
    return f"""# How fast medseg measures

Made by `python benchmarks/bench_evaluate.py` on one core ({machine()}), Python {platform.python_version()},
numpy {np.__version__}. Ten organ-like labels on {" x ".join(map(str, full))} voxels of
{" x ".join(map(str, SPACING))} mm. medseg measures everything it has but objects (row one) or with objects (row two):
Dice, IoU, precision, recall, volumes, HD, HD95, ASSD, MASD, NSD, boundary IoU; the others measure Dice, HD95 and NSD at
{TOLERANCE:g} mm. Time and memory are what a process took after reading the two masks; best of two runs (MONAI: one).

{head}
|---|---|---|---|---|---|
{join(lines)}

surface-distance is google-deepmind's package, 0.1 on PyPI, called a label at a time as its README shows; it takes
{good["surface-distance"]:.1f} times medseg's CPU time for the good prediction and
{poor["surface-distance"]:.1f} for the poor one. MONAI is called a label at a time too, which takes less memory than
one-hot: {good["MONAI"]:.0f} and {poor["MONAI"]:.0f} times. HD95 equals MONAI's to rounding where masks do not touch the
image's edge; surface-distance measures a surface between the voxels, weighted by area, and differs by up to a voxel
where surfaces are close.

## Growth with the number of labels

{" x ".join(map(str, middle))} voxels; the borders of all labels are found in one pass, so that labels cost little
beyond their border voxels.

{two.format("labels")}
|---|---|---|---|---|
{join(by_labels)}

## Growth with size

Ten labels.

{two.format("voxels")}
|---|---|---|---|---|
{join(by_size)}
"""


if __name__ == "__main__":
    main()
