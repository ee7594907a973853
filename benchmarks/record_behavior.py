"""Record what medseg makes of fixed inputs, and compare two records: the proof that a refactoring changed nothing.

    python benchmarks/record_behavior.py record RECORD.json --work FOLDER [--data ../shared/data]
    python benchmarks/record_behavior.py compare BEFORE.json AFTER.json

A record holds, made by the command line alone: the SHA-256 of the voxels of 52 hippocampus predictions of the shipped
model, their volumes, the evaluation of them (every figure of per_case.csv), every element of the demo's DICOM SEG, and
the SHA-256 of every tensor of a short training. Take both records with the same OMP_NUM_THREADS, which changes the
order in which floats are summed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

ROOT = Path(__file__).resolve().parent.parent


def medseg(*arguments: Any) -> None:
    """Run one command line, and stop where it fails."""
    subprocess.run([sys.executable, "-m", "medseg", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def voxels(path: Path) -> str:
    """SHA-256 of a NIfTI file's voxels and affine, whatever its compression."""
    image = nib.load(path)
    content = np.ascontiguousarray(np.asarray(image.dataobj)), image.affine
    return hashlib.sha256(b"".join(part.tobytes() for part in content)).hexdigest()


def predictions(data: Path, work: Path) -> dict[str, Any]:
    """Labels of 52 cases by the shipped model, and the evaluation of them."""
    images = sorted((data / "hippocampus" / "imagesTr").glob("[!.]*.nii.gz"))[::4][:52]
    medseg("predict", *images, "--model", "hippocampus", "--out", work / "out", "--format", "nifti")
    medseg("evaluate", work / "out", data / "hippocampus" / "labelsTr", "--out", work / "evaluation")
    with (work / "evaluation" / "per_case.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if not row[0].startswith("#")]
    return {
        "labels": {p.parent.name: voxels(p) for p in sorted((work / "out").glob("*/labels.nii.gz"))},
        "evaluation": [",".join(row) for row in rows],
    }


def segments(work: Path) -> dict[str, Any]:
    """Every element of the DICOM SEG objects of the demo, long ones as a hash."""
    import pydicom

    medseg("demo", "--out", work / "demo")
    found = {}
    for path in sorted((work / "demo").rglob("*.seg.dcm")):
        elements = pydicom.dcmread(path).to_json_dict(bulk_data_threshold=10**9)
        found[path.parent.name] = {
            tag: text
            if len(text := json.dumps(value, sort_keys=True)) < 200
            else hashlib.sha256(text.encode()).hexdigest()
            for tag, value in elements.items()
        }
    return found


def training(work: Path) -> dict[str, str]:
    """Hash of each tensor of a short training on made-up cases."""
    from safetensors.numpy import load_file

    write_cases(work / "dataset")
    short = ("--epochs", 2, "--set", "iterations_per_epoch=8", "--device", "cpu", "--set", "input.patch=[16,16,16]")
    medseg("train", work / "dataset", "--out", work / "run", *short)
    tensors = load_file(next((work / "run" / "model").glob("*.safetensors")))
    return {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in sorted(tensors.items())}


def write_cases(folder: Path, cases: int = 8) -> None:
    """Write a dataset of the Decathlon's layout: a bright ball in noise, another place and size in each case."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(24)] * 3, indexing="ij"))
    names = [f"ball_{number:02d}.nii.gz" for number in range(cases)]
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name in names:
        center = rng.uniform(8, 16, (3, 1, 1, 1))
        ball = ((grid - center) ** 2).sum(axis=0) < rng.uniform(4, 7) ** 2
        image = (100 * ball + rng.normal(0, 20, ball.shape)).astype(np.float32)
        nib.save(nib.Nifti1Image(image, np.eye(4)), folder / "imagesTr" / name)
        nib.save(nib.Nifti1Image(ball.astype(np.uint8), np.eye(4)), folder / "labelsTr" / name)
    description = {
        "name": "balls",
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "ball"},
        "training": [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names],
        "test": [],
        "numTraining": cases,
        "numTest": 0,
    }
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    """Paths at which two records differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted({*before, *after})
        return [line for key in keys for line in differences(before.get(key), after.get(key), f"{where}/{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = zip(before, after, strict=True)
        return [line for i, (a, b) in enumerate(pairs) for line in differences(a, b, f"{where}/{i}")]
    return [] if before == after else [f"{where}: {str(before)[:80]} -> {str(after)[:80]}"]


def main() -> int:
    """Record or compare; exit 1 where two records differ."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    record = verbs.add_parser("record")
    record.add_argument("file", type=Path)
    record.add_argument("--work", type=Path, required=True)
    record.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    compare = verbs.add_parser("compare")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    given = parser.parse_args()
    if given.verb == "record":
        content = {**predictions(given.data, given.work), "dicom_seg": segments(given.work)}
        content["training"] = training(given.work)
        given.file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return 0
    found = differences(*(json.loads(path.read_text(encoding="utf-8")) for path in (given.before, given.after)))
    print("\n".join(found) or "equal")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
