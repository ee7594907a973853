"""An imported nnU-Net model in medseg beside nnUNetv2_predict: CPU time, wall time, memory of all processes, agreement.

    python benchmarks/bench_nnunet.py MODEL_FOLDER DATASET --nnunet VENV/bin/nnUNetv2_predict [--cases 52]

MODEL_FOLDER is a results folder (nnUNetTrainer__nnUNetPlans__...), DATASET a labeled dataset for it with scans in
imagesTr, VENV an environment of its own with `pip install nnunetv2==2.8.1`. Runs one after the other, on links to the
last scans of the dataset: nnU-Net with its defaults, nnU-Net in one process (-npp 0 -nps 0), and medseg with each
engine and precision asked for, start-up included and with all that `medseg predict` writes. What bfloat16 costs is
measured before, by `medseg models optimize` on the first cases of the dataset. Mirroring is off and windows overlap by
half on every side. Each program has run once before, so that its modules are compiled.
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
        # Not oftener: reading a process's memory map holds it up. 20 times a second made 4.6 s of a run of 3.2 s.
        while not stop.wait(0.2):
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
    """Smallest fraction of voxels on which a case's labels agree."""
    import nibabel as nib
    import numpy as np

    fractions = []
    for path in sorted(theirs.glob("*.nii.gz")):
        other = ours / path.name.removesuffix(".nii.gz") / "labels.nii.gz"
        # nnU-Net calls a case what is left of its file without the channel; medseg keeps the file's name.
        other = other if other.is_file() else ours / f"{path.name.removesuffix('.nii.gz')}_0000" / "labels.nii.gz"
        fractions.append(
            float(np.mean(np.asanyarray(nib.load(path).dataobj) == np.asanyarray(nib.load(other).dataobj)))
        )
    if not fractions:
        raise SystemExit("nnU-Net wrote nothing")
    return min(fractions)


def _lay_out_first_cases(dataset: Path, scans: Sequence[Path], folder: Path) -> None:
    """Links to some labeled cases, as a dataset of their own."""
    content = json.loads((dataset / "dataset.json").read_text())
    for kind, source in (("imagesTr", "imagesTr"), ("labelsTr", "labelsTr")):
        (folder / kind).mkdir(parents=True)
        for scan in scans:
            (folder / kind / scan.name).symlink_to((dataset / source / scan.name).resolve())
    names = [{"image": f"./imagesTr/{scan.name}", "label": f"./labelsTr/{scan.name}"} for scan in scans]
    content |= {"training": names, "numTraining": len(names), "test": [], "numTest": 0}
    (folder / "dataset.json").write_text(json.dumps(content))


def _write_page(path: Path, result: dict[str, object], labels: Sequence[str]) -> None:
    import markdown

    rows: dict[str, list[object]] = {}
    for label in labels:
        found: dict[str, float] = result[label]  # type: ignore[assignment]
        ratios = [f"{found.get(f'cpu_s_ratio_{p}', '')}" for p in ("nnunet", "nnunet_one_process")]
        wall = found.get("wall_s_ratio_nnunet_one_process", "")
        agreed = f"{found['agreement']:.5f}" if "agreement" in found else ""
        rows[label.replace("_", ", ", 1).replace("_", " ")] = [
            *(found[key] for key in ("cpu_s", "wall_s", "peak_gb")), *ratios, wall,
            found.get("peak_gb_ratio_nnunet", ""), agreed,
        ]  # fmt: skip
    columns = ["CPU-s", "wall s", "GB", "CPU, times less than nnU-Net", "than its one process", "wall, times less than "
               "that", "memory, times less than nnU-Net", "smallest agreement"]  # fmt: skip
    one: dict[str, dict[str, float]] = result["one"]  # type: ignore[assignment]
    drops = [
        f"| {m['precision']} | {name} | {m['dice'][name]:.4f} | {m['drop'][name]:+.4f} | {m['agreement']:.5f} |"
        for m in result["precisions"]  # type: ignore[attr-defined]
        for name in m["dice"]
    ]
    markdown.write(
        path,
        "Beside nnU-Net, on its own model",
        [
            f"Written by `python benchmarks/bench_nnunet.py`, whose head says how. {result['cases']} scans of the "
            f"Decathlon's hippocampus task and a model trained by nnU-Net 2.8.1, on {result['cpus']} cores; everything "
            "from start to exit, memory as the proportional set size of all processes. The row `medseg-shipped` is the "
            "model that comes with medseg, mirrored, in float32. Agreement is that of the labels "
            "with nnU-Net's, for the case where it is smallest.",
            markdown.table(columns, rows),
            "One scan, the whole command, when it has been run before:",
            markdown.table(["CPU-s", "wall s", "GB"], {k: list(v.values()) for k, v in one.items()}),
            *(_optimized(drops) if drops else []),
        ],
    )


def _optimized(drops: Sequence[str]) -> list[str]:
    head = "| Precision | Class | Dice | Drop | Smallest agreement |\n| --- | --- | --- | --- | --- |\n"
    return [
        "What `medseg models optimize` measured on other cases before bfloat16 was allowed:",
        head + "\n".join(drops),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--nnunet", type=Path, required=True, help="path of nnUNetv2_predict")
    parser.add_argument("--cases", type=int, default=52)
    parser.add_argument("--ways", default="openvino-bfloat16,openvino-float32,torch-float32", help="engine-precision")
    parser.add_argument("--optimize-cases", type=int, default=40)
    parser.add_argument("--table", type=Path, help="write the page of the documentation")
    options = parser.parse_args()
    medseg = [str(Path(sys.executable).with_name("medseg"))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "MEDSEG_HOME": str(folder / "home")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment |= {key: str(folder) for key in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
        every = sorted((options.dataset / "imagesTr").glob("*.nii.gz"))
        scans = every[-options.cases :]
        for place, scan in [("scans", scan) for scan in scans] + [("one", every[0]), ("first", every[0])]:
            link = folder / place / f"{scan.name.removesuffix('.nii.gz').removesuffix('_0000')}_0000.nii.gz"
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(scan.resolve())
        subprocess.run([*medseg, "models", "import", str(options.model), "--name", "peer"], env=environment, check=True)
        _lay_out_first_cases(options.dataset, every[: options.optimize_cases], folder / "labeled")
        optimize = [
            *medseg,
            "models",
            "optimize",
            "peer",
            "--data",
            str(folder / "labeled"),
            "--precision",
            "bfloat16",
        ]
        measured: list[dict[str, object]] = []
        if "bfloat16" in options.ways:
            found = subprocess.run([*optimize, "--json"], env=environment, check=True, stdout=subprocess.PIPE).stdout
            measured = json.loads(found)["precisions"]
        # nnU-Net finds a model by dataset, trainer, plans and configuration below nnUNet_results.
        dataset = json.loads((options.model / "plans.json").read_text())["dataset_name"]
        trainer, plans, configuration = options.model.resolve().name.split("__")
        (folder / dataset).mkdir()
        (folder / dataset / options.model.resolve().name).symlink_to(options.model.resolve())
        fold = next(options.model.glob("fold_*")).name.removeprefix("fold_")
        theirs = [str(options.nnunet), "-d", dataset, "-tr", trainer, "-p", plans]
        theirs += ["-c", configuration, "-f", fold, "-device", "cpu", "--disable_tta", "--disable_progress_bar"]
        ours = [*medseg, "predict", "--model", "peer", "--overlap", "0.5", "--mirror", "none"]
        ways = options.ways.split(",")
        runs = {"nnunet": [], "nnunet_one_process": ["-npp", "0", "-nps", "0"]}
        runs |= {f"medseg-{way}": [] for way in ways}
        runs["medseg-shipped"] = [
            "--model",
            "hippocampus",
            "--mirror",
            "left-right",
            "--set",
            "segment.precision=float32",
        ]
        result: dict[str, object] = {"cases": len(scans), "cpus": os.cpu_count(), "precisions": measured}
        # The first time, modules are compiled and MLflow makes the database that later runs copy.
        for inputs in ("first", "one", "scans"):
            for label, more in runs.items():
                out = folder / f"{inputs}-out" / label
                if label == "medseg-shipped":
                    command = [*medseg, "predict", str(folder / inputs), "--overlap", "0.5", *more, "--out", str(out)]
                elif label.startswith("nnunet"):
                    command = [*theirs, "-i", str(folder / inputs), "-o", str(out), *more]
                else:
                    _, engine, precision = label.split("-")
                    own = ["--engine", engine, "--set", f"segment.precision={precision}"]
                    command = [*ours, str(folder / inputs), *own, "--out", str(out)]
                found = measure(command, environment)
                if inputs != "scans":
                    result.setdefault(inputs, {})[label] = found
                    continue
                if label.startswith("medseg"):
                    if label != "medseg-shipped":
                        found["agreement"] = agreement(out, folder / "scans-out" / "nnunet")
                    for peer in ("nnunet", "nnunet_one_process"):
                        peers: dict[str, float] = result[peer]  # type: ignore[assignment]
                        found |= {f"{key}_ratio_{peer}": round(peers[key] / found[key], 1) for key in peers}
                result[label] = found
                sys.stderr.write(f"{label}: {found}\n")
        print(json.dumps(result, indent=2))
        if options.table:
            _write_page(options.table, result, list(runs))


if __name__ == "__main__":
    main()
