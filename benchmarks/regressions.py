"""Whether anything became slower: everyday work beside what is recorded for the same instruction set; `make bench`.

    python benchmarks/regressions.py                 # compare; exit code 1 where something became slower or larger
    python benchmarks/regressions.py --record        # write what is measured into benchmarks/recorded.json
    python benchmarks/regressions.py --isa AVX2      # as on a CPU with AVX2 only

Every kind of work is one command in a process of its own, on made-up data. Its CPU time is divided by that of a fixed
piece of work run just before and after it, so that neither the clock nor a neighbor on the machine counts; of several
rounds the fastest counts. Memory is the largest of any one process. No comparison is made between instruction sets.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench_large_ct import make_scan, measure_process
from markdown import machine, table

from medseg.cpu_features import instruction_sets
from medseg.io.files.atomic import write_text

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "recorded.json"
SLOWER, LARGER = 1.3, 1.2
HELD = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
# About a second of work that no instruction set changes.
YARDSTICK = [
    sys.executable,
    "-c",
    "import zlib; b = bytes(i * i >> 3 & 255 for i in range(1 << 21)); [zlib.compress(b, 6) for _ in range(75)]",
]
# CPU time as a multiple of the yardstick's, and MB, by kind of work.
Figures = dict[str, tuple[float, float]]


def main() -> int:
    """Measure, and compare or record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--isa", choices=["AVX2"])
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        make_inputs(given.make)
        return 0
    if given.isa:
        os.environ.update(HELD)
    best = (instruction_sets() or ("unknown",))[-1]
    everything = json.loads(RECORDED.read_text()) if RECORDED.is_file() else {}
    recorded: dict[str, list[float]] = everything.get(best, {}).get("work", {})
    found = measured(given.rounds)
    columns = ["CPU, times the yardstick's", "recorded", "MB", "recorded"]
    print(table(columns, {kind: _row(found[kind], recorded.get(kind)) for kind in found}))
    print(f"\nMeasured on: {machine()}.")
    if given.record:
        rounded = {kind: [round(cpu, 2), round(memory)] for kind, (cpu, memory) in found.items()}
        everything[best] = {"machine": machine(), "work": rounded}
        write_text(RECORDED, json.dumps(everything, indent=1, sort_keys=True) + "\n")
        return 0
    if not recorded:
        print(f"Nothing is recorded for {best}; --record records what was measured.")
        return 0
    said = complaints(found, recorded)
    print(*(said or ["Nothing became slower or larger."]), sep="\n")
    return 1 if said else 0


def make_inputs(folder: Path) -> None:
    """Write what the commands are given; in a process of its own, whose memory no command inherits."""
    import nibabel as nib
    import nilearn.datasets
    import numpy as np

    from medseg.demo.dataset import write_dataset
    from medseg.demo.dicom import write_series
    from medseg.demo.scans import TEMPLATE
    from medseg.types import Geometry

    rng = np.random.default_rng(0)
    (folder / "scans").mkdir(parents=True)
    for number in range(200):
        image = nib.Nifti1Image(rng.integers(0, 99, (16, 16, 16), np.int16), np.eye(4))
        nib.save(image, folder / "scans" / f"{number:03}.nii.gz")
    grid = Geometry(np.diag([0.8, 0.8, 1.0, 1.0]), (256, 256, 120))
    write_series(rng.integers(0, 1000, grid.shape, np.int16), grid, folder / "series", description="T1 3D")
    write_dataset(folder / "dataset", cases=12)
    make_scan(folder / "ct.nii.gz", 80)
    shutil.copy(Path(nilearn.datasets.__file__).parent / "data" / TEMPLATE, folder / "head.nii.gz")


def commands(data: Path, out: Path) -> dict[str, list[str]]:
    """By name, the command that does it into a folder that is not there yet."""
    medseg = [sys.executable, "-m", "medseg"]
    short = ["tracking=false", "epochs=2", "iterations_per_epoch=30", "split.folds=3"]
    settings = [argument for setting in short for argument in ("--set", setting)]
    labels = str(data / "dataset" / "labelsTr")
    whole_ct = [sys.executable, str(HERE / "bench_large_ct.py"), "--run", "medseg", str(data / "ct.nii.gz")]
    return {
        "the command line starts": [*medseg, "--help"],
        "200 NIfTI files inspected": [*medseg, "inspect", str(data / "scans"), "--json"],
        "a DICOM series of 120 slices inspected": [*medseg, "inspect", str(data / "series"), "--json"],
        "the demonstration": [*medseg, "demo", "--out", f"{out}-demo"],
        "a whole head segmented": [
            *medseg,
            "predict",
            str(data / "head.nii.gz"),
            "--model",
            "hippocampus",
            "-o",
            f"{out}-head",
        ],
        "a CT of 512 x 512 x 80, 10 classes": [*whole_ct, f"{out}-ct.nii.gz"],
        "60 training steps": [
            *medseg,
            "train",
            str(data / "dataset"),
            "-o",
            f"{out}-run",
            "--device",
            "cpu",
            *settings,
        ],
        "12 label maps evaluated": [*medseg, "evaluate", labels, labels, "-o", f"{out}-evaluation"],
    }


def measured(rounds: int) -> Figures:
    """Do all of it, `rounds` times in turn."""
    found: Figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, __file__, "--make", folder / "data"], check=True)
        home = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
        for once in range(rounds):
            before = measure_process(YARDSTICK)["cpu_s"]
            for kind, command in commands(folder / "data", folder / str(once)).items():
                used = measure_process(command, {**os.environ, **home})
                after = measure_process(YARDSTICK)["cpu_s"]
                cpu, memory = 2 * used["cpu_s"] / (before + after), used["peak_gb"] * 1000
                sys.stderr.write(f"{kind}: {used['cpu_s']} CPU-s, {cpu:.2f} times the yardstick's\n")
                fastest, least = found.get(kind, (cpu, memory))
                found[kind] = (min(fastest, cpu), min(least, memory))
                before = after
    return found


def complaints(found: Mapping[str, tuple[float, float]], recorded: Mapping[str, Sequence[float]]) -> list[str]:
    """One sentence for everything that became slower or larger than is recorded, or that only one of the two has."""
    said = [f"{kind} is recorded and was not measured." for kind in recorded.keys() - found.keys()]
    for kind, (cpu, memory) in found.items():
        if kind not in recorded:
            said.append(f"{kind} is not recorded.")
            continue
        cpu_then, memory_then = recorded[kind]
        if cpu > SLOWER * cpu_then:
            said.append(f"{kind} takes {cpu / cpu_then:.2f} times the CPU time recorded.")
        if memory > LARGER * memory_then:
            said.append(f"{kind} takes {memory:.0f} MB; {memory_then:.0f} MB are recorded.")
    return sorted(said)


def _row(found: tuple[float, float], recorded: Sequence[float] | None) -> list[str]:
    then = ["", ""] if recorded is None else [f"{recorded[0]:.2f}", f"{recorded[1]:.0f}"]
    return [f"{found[0]:.2f}", then[0], f"{found[1]:.0f}", then[1]]


if __name__ == "__main__":
    sys.exit(main())
