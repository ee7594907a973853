"""TotalSegmentator's own code and medseg on the same weights and the same CT: time, memory, and labels that are equal.

    python benchmarks/peer_environments.py totalsegmentator
    python benchmarks/bench_composite.py --small --size 96,96,96    # tiny networks: does it run?
    python benchmarks/bench_composite.py --out docs/benchmarks/composite.md    # 512 x 512 x 300; half an hour
    python benchmarks/bench_composite.py --runs normal:32,fast:32              # all of true width; hours

Weights are random, in networks of the true shapes (`tests/models/totalsegmentator_networks.py`), but for their width:
a run is a mode and the features of the first level, 32 in truth; narrow ones show whether labels are equal, and what
all but the networks takes. Each side runs in a process of its own, from the scan's file to the labels' file, with as
many threads as there are cores; memory is the largest sum over its processes, looked at ten times a second.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/models"), str(ROOT / "benchmarks")]
DATASETS = {"normal": (291, 292, 293, 294, 295), "fast": (297,)}
SMALL = {"base": 8, "stages": 3, "patch": 32}


@dataclass
class Cost:
    """What a run took: wall and CPU seconds, and the largest memory in GB."""

    wall: float
    cpu: float
    memory: float


def measured(command: list[str]) -> Cost:
    """Run a command and its processes to their end."""
    import psutil

    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "OMP_NUM_THREADS")}
    if command[0] == sys.executable:
        environment["PYTHONPATH"] = str(ROOT)
    before, start, most = os.times(), time.perf_counter(), 0
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            own = psutil.Process(process.pid)
            most = max(most, sum(one.memory_info().rss for one in (own, *own.children(recursive=True))))
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(time.perf_counter() - start, cpu, most / 1e9)


def make_scan(path: Path, size: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    """Write a CT of smooth blobs in air, int16, as scanners' exports are."""
    import nibabel as nib
    import numpy as np
    from scipy.ndimage import zoom

    coarse = np.random.default_rng(0).normal(0, 600, [n // 16 + 4 for n in size])
    blobs = zoom(coarse.astype(np.float32), 16, order=1)[: size[0], : size[1], : size[2]]
    x, y = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]), indexing="ij")
    blobs[(x / 0.85) ** 2 + (y / 0.65) ** 2 > 1] = -1000
    image = nib.Nifti1Image(blobs.astype(np.int16), np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]))
    nib.save(image, path)


def compare(mode: str, home: Path, scan: Path) -> tuple[Cost, Cost, float]:
    """Run both on the scan; the fraction of voxels whose labels are equal."""
    import nibabel as nib
    import numpy as np
    import totalsegmentator_networks as networks
    from peer_environments import python_of

    from medseg.models.importing import import_model

    peer = python_of("totalsegmentator")
    if peer is None:
        raise SystemExit("python benchmarks/peer_environments.py totalsegmentator")
    script = str(ROOT / "tests/models/totalsegmentator_peer.py")
    theirs = measured([str(peer), script, str(home), str(scan), str(home / f"{mode}.nii.gz"), mode])
    results = home / "nnunet/results"
    source = results if mode == "normal" else results / networks.FOLDERS[297]
    package = import_model(source, mode, out=home / f"package-{mode}")
    out = home / f"medseg-{mode}"
    predict = [sys.executable, "-m", "medseg", "predict", str(scan), "--model", str(package.folder), "--out", str(out)]
    measured(predict)  # the first use of a package exports its networks; every later one does not
    ours = measured([*predict, "--overwrite"])
    expected = np.asanyarray(nib.load(home / f"{mode}.nii.gz").dataobj)
    found = np.asanyarray(nib.load(out / "scan" / "labels.nii.gz").dataobj)
    return theirs, ours, float(np.mean(expected == found))


def main() -> None:
    """Measure both modes and print or write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="512,512,300")
    parser.add_argument("--spacing", default="0.8,0.8,1.0")
    parser.add_argument("--small", action="store_true", help="tiny networks; give a small --size")
    parser.add_argument("--runs", default="fast:32,fast:4,normal:4", help="MODE:FEATURES, normal or fast")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    import totalsegmentator_networks as networks
    from markdown import table, write

    shapes = SMALL if given.small else networks.TRUE
    size = tuple(int(n) for n in given.size.split(","))
    rows: dict[str, list[str]] = {}
    ours_by_run: dict[tuple[str, str], Cost] = {}
    equals: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        scan = home / "scan.nii.gz"
        make_scan(scan, size, tuple(float(mm) for mm in given.spacing.split(",")))
        for mode, base in (run.split(":") for run in given.runs.split(",")):
            work = home / f"{mode}-{base}"
            for number in DATASETS[mode]:
                networks.write(work / "nnunet/results", number, **shapes | {"base": int(base)})
            theirs, ours, equal = compare(mode, work, scan)
            for name, cost in (("TotalSegmentator", theirs), ("medseg", ours)):
                rows[f"{mode}, {base} features, {name}"] = [f"{cost.wall:.0f}", f"{cost.cpu:.0f}", f"{cost.memory:.2f}"]
            less = [theirs.wall / ours.wall, theirs.cpu / ours.cpu, theirs.memory / ours.memory]
            rows[f"{mode}, {base} features, times less"] = [f"{one:.1f}" for one in less]
            equals.append(f"{mode} with {base} features: {equal:.3%} of voxels have the same label.")
            ours_by_run[mode, base] = ours
            for other in [other for kind, other in ours_by_run if kind == mode and other != base]:
                wide, narrow = max(base, other, key=int), min(base, other, key=int)
                more = ours_by_run[mode, wide].cpu - ours_by_run[mode, narrow].cpu
                equals.append(
                    f"Networks of {wide} features take medseg {more:.0f} CPU-s more in {mode} mode than those of "
                    f"{narrow}: the convolutions, which both sides leave to oneDNN."
                )
            # After each run, as all of them take long.
            text = table(["wall s", "CPU s", "memory GB"], rows)
            print(text, *equals, sep="\n", flush=True)
            if given.out:
                held = ", with AVX2 only" if os.environ.get("ONEDNN_MAX_CPU_ISA") == "AVX2" else ""
                by = "Written by `python benchmarks/bench_composite.py`, whose head says how."
                head = f"{by} A CT of {' x '.join(map(str, size))} voxels."
                title = f"Composite models beside TotalSegmentator{held}"
                write(given.out, title, [head, text, " ".join(equals)])


if __name__ == "__main__":
    main()
