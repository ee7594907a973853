"""An imported nnU-Net model in medseg beside nnUNetv2_predict: CPU time, wall time, memory of all processes, agreement.

    python benchmarks/bench_nnunet.py MODEL_FOLDER SCANS --nnunet VENV/bin/nnUNetv2_predict [--cases 52]

MODEL_FOLDER is a results folder (nnUNetTrainer__nnUNetPlans__...), SCANS a folder of NIfTI files, VENV an environment
of its own with `pip install nnunetv2==2.8.1`. Runs one after the other, on links to the same files: nnU-Net with its
defaults, nnU-Net in one process (-npp 0 -nps 0), and medseg with each engine asked for, start-up included and with all
that `medseg predict` writes. Mirroring is off and windows overlap by half on every side.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil


def measure(command: Sequence[str], environment: dict[str, str]) -> dict[str, float]:
    """Run a command; CPU time of it and all it started, wall time, peak of their proportional memory (PSS)."""
    before, begun = os.times(), time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            total = 0
            try:
                root = psutil.Process(process.pid)
                members = [root, *root.children(recursive=True)]
            except psutil.Error:
                return
            for member in members:
                try:
                    # Shared pages count once: summed resident memory would count what forks share again and again.
                    total += member.memory_full_info().pss
                except psutil.Error:
                    continue
            peak[0] = max(peak[0], total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, errors = process.communicate()
    wall = time.perf_counter() - begun
    stop.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with {process.returncode}:\n{errors[-2000:]}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"cpu_s": round(cpu, 1), "wall_s": round(wall, 1), "peak_gb": round(peak[0] / 1e9, 2)}


def agreement(ours: Path, theirs: Path) -> float:
    """Smallest share of voxels on which a case's labels agree."""
    import nibabel as nib
    import numpy as np

    shares = []
    for path in sorted(theirs.glob("*.nii.gz")):
        other = ours / path.name.removesuffix(".nii.gz") / "labels.nii.gz"
        # nnU-Net calls a case what is left of its file without the channel; medseg keeps the file's name.
        other = other if other.is_file() else ours / f"{path.name.removesuffix('.nii.gz')}_0000" / "labels.nii.gz"
        shares.append(float(np.mean(np.asanyarray(nib.load(path).dataobj) == np.asanyarray(nib.load(other).dataobj))))
    if not shares:
        raise SystemExit("nnU-Net wrote nothing")
    return min(shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("scans", type=Path)
    parser.add_argument("--nnunet", type=Path, required=True, help="path of nnUNetv2_predict")
    parser.add_argument("--cases", type=int, default=52)
    parser.add_argument("--engines", default="openvino,torch")
    options = parser.parse_args()
    medseg = [str(Path(sys.executable).with_name("medseg"))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "MEDSEG_HOME": str(folder / "home")}
        environment |= {key: str(folder) for key in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
        scans = sorted(options.scans.glob("*.nii.gz"))[-options.cases :]
        for scan in scans:
            link = folder / "scans" / f"{scan.name.removesuffix('.nii.gz').removesuffix('_0000')}_0000.nii.gz"
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(scan.resolve())
        subprocess.run([*medseg, "models", "import", str(options.model), "--name", "peer"], env=environment, check=True)
        subprocess.run([*medseg, "models", "export", "peer", "--format", "onnx"], env=environment, check=True)
        # nnU-Net finds a model by dataset, trainer, plans and configuration below nnUNet_results.
        dataset = json.loads((options.model / "plans.json").read_text())["dataset_name"]
        trainer, plans, configuration = options.model.resolve().name.split("__")
        (folder / dataset).mkdir()
        (folder / dataset / options.model.resolve().name).symlink_to(options.model.resolve())
        fold = next(options.model.glob("fold_*")).name.removeprefix("fold_")
        theirs = [str(options.nnunet), "-i", str(folder / "scans"), "-d", dataset, "-tr", trainer, "-p", plans]
        theirs += ["-c", configuration, "-f", fold, "-device", "cpu", "--disable_tta", "--disable_progress_bar"]
        ours = [*medseg, "predict", str(folder / "scans"), "--model", "peer", "--overlap", "0.5", "--mirror", "none"]
        runs = {
            "nnunet": [*theirs, "-o", str(folder / "nnunet")],
            "nnunet_one_process": [*theirs, "-o", str(folder / "one"), "-npp", "0", "-nps", "0"],
        }
        for engine in options.engines.split(","):
            runs[f"medseg_{engine}"] = [*ours, "--engine", engine, "--out", str(folder / engine)]
        result: dict[str, object] = {"cases": len(scans), "cpus": os.cpu_count()}
        for label, command in runs.items():
            found = measure(command, environment)
            if label.startswith("medseg"):
                found["agreement"] = agreement(folder / label.removeprefix("medseg_"), folder / "nnunet")
                for peer in ("nnunet", "nnunet_one_process"):
                    peers: dict[str, float] = result[peer]  # type: ignore[assignment]
                    found |= {f"{key}_ratio_{peer}": round(peers[key] / found[key], 1) for key in peers}
            result[label] = found
            sys.stderr.write(f"{label}: {found}\n")
        print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
