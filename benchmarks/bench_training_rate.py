"""Training steps a second and fraction of the time spent waiting for data, beside nnU-Net's.

    python benchmarks/bench_training_rate.py DATASET --nnunet VENV/bin/python --work FOLDER [--steps 20]

DATASET is a folder in the Decathlon's layout, VENV an environment of its own with
`pip install nnunetv2==2.8.1 psutil`. Both sides train the network nnU-Net plans for the dataset, on its patch, with 2
patches a step and nnU-Net's augmentation at its probabilities, on the CPU with as many threads as PyTorch chooses. One
after the other in processes of their own; preparation and the first steps, which warm up, are not counted. The
CPU time is that of the process and all its workers.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from markdown import machine

BATCH = 2
WARM_UP = 3
NUMBER, NAME = 4, "Dataset004_Bench"


def folders(work: Path) -> dict[str, str]:
    names = {"nnUNet_raw": "raw", "nnUNet_preprocessed": "preprocessed", "nnUNet_results": "results"}
    return {key: str(work / folder) for key, folder in names.items()}


def prepare_nnunet(dataset: Path, venv: Path, work: Path, cases: int) -> Path:
    """Lay out some cases as nnU-Net wants them, plan and preprocess; the plans, with a batch of 2."""
    plans = work / "preprocessed" / NAME / "nnUNetPlans.json"
    if not plans.is_file():
        raw = work / "raw" / NAME
        shutil.rmtree(raw, ignore_errors=True)
        (raw / "imagesTr").mkdir(parents=True)
        (raw / "labelsTr").mkdir()
        described = json.loads((dataset / "dataset.json").read_text())
        for path in sorted((dataset / "labelsTr").glob("[!.]*.nii.gz"))[:cases]:
            name = path.name.removesuffix(".nii.gz")
            shutil.copy(dataset / "imagesTr" / path.name, raw / "imagesTr" / f"{name}_0000.nii.gz")
            shutil.copy(path, raw / "labelsTr" / path.name)
        labels = {name: int(value) for value, name in described["labels"].items()}
        layout = {
            "channel_names": described["modality"],
            "labels": labels,
            "numTraining": len(list((raw / "labelsTr").iterdir())),
            "file_ending": ".nii.gz",
        }
        (raw / "dataset.json").write_text(json.dumps(layout))
        command = [venv.parent / "nnUNetv2_plan_and_preprocess", "-d", str(NUMBER), "-c", "3d_fullres", "-np", "2"]
        subprocess.run(command, env={**os.environ, **folders(work)}, check=True, stdout=subprocess.DEVNULL)
    values = json.loads(plans.read_text())
    values["configurations"]["3d_fullres"]["batch_size"] = BATCH
    plans.write_text(json.dumps(values, indent=1))
    return plans


def processor_seconds() -> float:
    """Of this process and its living children."""
    import psutil

    own = psutil.Process()
    every = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return sum(times.user + times.system for times in every)


def measure_nnunet(plans: Path, steps: int) -> dict[str, Any]:
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    described = json.loads((plans.parent / "dataset.json").read_text())
    # nnU-Net 2.8 expects this key beside the plans' own.
    values = {**json.loads(plans.read_text()), "continue_training": False}
    trainer = nnUNetTrainer(values, "3d_fullres", 0, described, device=torch.device("cpu"))
    trainer.on_train_start()
    waited = 0.0
    for number in range(WARM_UP + steps):
        if number == WARM_UP:
            begun, cpu, waited = time.perf_counter(), processor_seconds(), 0.0
        asked = time.perf_counter()
        batch = next(trainer.dataloader_train)
        waited += time.perf_counter() - asked
        trainer.train_step(batch)
    wall = time.perf_counter() - begun
    result = _result(steps, wall, processor_seconds() - cpu, waited / wall)
    trainer.dataloader_train._finish()
    trainer.dataloader_val._finish()
    return result


def measure_medseg(plans: Path, dataset: Path, steps: int, precision: str) -> dict[str, Any]:
    import torch

    from medseg.data.layouts import read_dataset
    from medseg.models.registry import build_network
    from medseg.training.config import TrainConfig
    from medseg.training.device import memory_format
    from medseg.training.loop import EpochRecord, Loop
    from medseg.training.samples.augment import Augmentation
    from medseg.training.samples.patches import Patches
    from medseg.training.samples.prepared import prepare_cases
    from medseg.training.training_run import TrainingRun

    planned = json.loads(plans.read_text())["configurations"]["3d_fullres"]
    network = planned["architecture"]["arch_kwargs"]
    # nnU-Net's axes run z, y, x.
    patch = planned["patch_size"][::-1]
    config = TrainConfig.model_validate(
        {
            "input": {"channels": [{"name": "image"}], "spacing": planned["spacing"][::-1], "patch": patch},
            "network": {
                "name": "unet",
                "arguments": {
                    "features": network["features_per_stage"],
                    "strides": [stride[::-1] for stride in network["strides"]],
                    "kernels": [kernel[::-1] for kernel in network["kernel_sizes"]],
                    "deep_supervision": True,
                },
            },
            "sampling": {"batch": BATCH},
            "augment": {"flip": ["x", "y", "z"]},
            "optimizer": {"name": "sgd", "learning_rate": 0.01, "weight_decay": 3e-5, "schedule": "polynomial"},
            "precision": precision,
            "epochs": 2,  # the first warms up
            "iterations_per_epoch": steps,
            "tracking": False,
        }
    )
    names = {path.name for path in (plans.parent / "gt_segmentations").iterdir()}
    data = read_dataset(dataset)
    chosen = [case for case in data.labeled if f"{case.case_id}.nii.gz" in names]
    with tempfile.TemporaryDirectory() as folder:
        cases, _ = prepare_cases(data, chosen, config.input, Path(folder))
        classes = len(data.table) + 1
        built = build_network("unet", channels=1, classes=classes, dimensions=3, arguments=config.network.arguments).to(
            memory_format=memory_format(3)
        )  # type: ignore[call-overload]
        augmentation = Augmentation(
            config.augment, patch=config.input.patch, spacing=planned["spacing"][::-1], classes=classes, seed=0
        )
        patches = Patches(cases, config.input.patch, config.sampling, seed=0).with_regions(augmentation.region_of)
        loop = Loop(TrainingRun(data, config, Path(folder), torch.device("cpu")), built, patches, augmentation)
        ends: list[tuple[float, float, float]] = []

        def on_epoch(record: EpochRecord) -> None:
            ends.append((time.perf_counter(), processor_seconds(), record.metrics["data_wait_fraction"]))

        loop.run(on_epoch)
        (begun, cpu, _), (end, cpu_end, waiting) = ends
        return _result(steps, end - begun, cpu_end - cpu, waiting)


def _result(steps: int, wall: float, cpu: float, waiting: float) -> dict[str, Any]:
    import torch

    return {
        "steps_per_s": round(steps / wall, 3),
        "cpu_s_per_step": round(cpu / steps, 3),
        "data_wait_fraction": round(waiting, 4),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--nnunet", type=Path, required=True, help="python of nnU-Net's environment")
    parser.add_argument("--work", type=Path, required=True, help="nnU-Net's data, made once")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--prepare", action="store_true", help="only make nnU-Net's data")
    parser.add_argument("--measure", choices=["nnunet", "bf16", "fp32"], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    dataset, work = chosen.dataset.resolve(), chosen.work.resolve()
    plans = work / "preprocessed" / NAME / "nnUNetPlans.json"
    if chosen.measure == "nnunet":
        print(json.dumps(measure_nnunet(plans, chosen.steps)))
        return
    if chosen.measure:
        print(json.dumps(measure_medseg(plans, dataset, chosen.steps, chosen.measure)))
        return
    prepare_nnunet(dataset, chosen.nnunet, work, chosen.cases)
    if chosen.prepare:
        return
    rows = {}
    for side in ("nnunet", "fp32", "bf16"):
        python = chosen.nnunet if side == "nnunet" else sys.executable
        command = [python, __file__, dataset, "--nnunet", chosen.nnunet, "--work", work, "--steps", str(chosen.steps)]
        done = subprocess.run(
            [*command, "--measure", side],
            env={**os.environ, **folders(work)},
            check=True,
            capture_output=True,
            text=True,
        )
        rows[side] = json.loads(done.stdout.splitlines()[-1])
    print(f"{machine()}\n")
    print("| | steps a second | of nnU-Net's | CPU-s a step | waiting for data |")
    print("|---|---|---|---|---|")
    for side, name in (("nnunet", "nnU-Net"), ("fp32", "medseg, float32"), ("bf16", "medseg, bfloat16")):
        row = rows[side]
        ratio = row["steps_per_s"] / rows["nnunet"]["steps_per_s"]
        print(
            f"| {name} | {row['steps_per_s']:.2f} | {ratio:.2f} | {row['cpu_s_per_step']:.2f} "
            f"| {row['data_wait_fraction']:.1%} |"
        )
    print(json.dumps(rows), file=sys.stderr)


if __name__ == "__main__":
    main()
