"""Lays the arena's sets out in nnU-Net's raw format, each from a clone of the public repository that holds it.

    python benchmarks/arena/layout.py drive CLONE --out /tmp/arena/data

CLONE is a work tree of the repository that `SETS` names. Training cases go to imagesTr and labelsTr, the held-out ones
to imagesTs and labelsTs, which no contestant's training reads. Nothing is resampled, cropped or scaled.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
from PIL import Image

Case = tuple[str, bool, np.ndarray, np.ndarray]
"""Name, whether it is held out, the image (rows, columns, colors), or (x, y, z) in 3D, and its labels."""


@dataclass(frozen=True)
class ArenaSet:
    """A public labeled set: where it is, its license as its makers state it, and what its cases are."""

    repository: str
    license: str
    what: str
    labels: dict[str, int]
    channels: tuple[str, ...]
    cases: Callable[[Path], Iterator[Case]]
    spacing: tuple[float, float, float] | None = None
    """Of a 3D set, where the repository's files have none of their own."""


def _drive(clone: Path) -> Iterator[Case]:
    for part in ("training", "test"):
        for path in sorted((clone / "DRIVE" / part / "images").glob("*.tif")):
            number = path.name[:2]
            vessels = _read(clone / "DRIVE" / part / "1st_manual" / f"{number}_manual1.gif") > 127
            yield f"drive_{number}", part == "test", _read(path), vessels


def _acdc(clone: Path) -> Iterator[Case]:
    for path in sorted((clone / "data" / "ACDC" / "ACDC_training_volumes").glob("*.h5")):
        patient, frame = int(path.stem[7:10]), int(path.stem[-2:])
        # Patients come in five groups of twenty by disease: every fifth keeps them even. End-diastole comes first.
        if patient % 5 == 1 or (patient % 5 == 0 and frame == _first_frame(path)):
            with h5py.File(path) as file:
                image, labels = (np.transpose(file[key][:], (2, 1, 0)) for key in ("image", "label"))
            yield path.stem, patient % 5 == 0, image, labels


def _first_frame(path: Path) -> int:
    return min(int(one.stem[-2:]) for one in path.parent.glob(f"{path.stem[:10]}_frame*.h5"))


def _atrium(clone: Path) -> Iterator[Case]:
    data = clone / "data"
    # The repository's own split; of its 80 training cases every second one, as reading them is a part of the budget.
    parts = {part: (data / f"{part}.list").read_text().split() for part in ("train", "test")}
    for part, step in (("train", 2), ("test", 1)):
        for name in sorted(parts[part])[::step]:
            with h5py.File(data / "2018LA_Seg_Training Set" / name / "mri_norm2.h5") as file:
                yield name, part == "test", file["image"][:], file["label"][:]


def _lungs(clone: Path) -> Iterator[Case]:
    for number, path in enumerate(sorted((clone / "data" / "cxr").glob("*.png"))):
        if number % 14 in (0, 5, 7):
            yield path.stem, number % 14 == 5, _gray(path)[..., None], _gray(clone / "data" / "masks" / path.name) > 127


def _busi(clone: Path) -> Iterator[Case]:
    for kind in ("benign", "malignant", "normal"):
        for number, path in enumerate(
            sorted(p for p in (clone / "dataset" / kind).glob("*.png") if "mask" not in p.name)
        ):
            masks = [_gray(mask) > 127 for mask in sorted(path.parent.glob(f"{path.stem}_mask*.png"))]
            image = _gray(path)
            if all(mask.shape == image.shape for mask in masks):  # one scan's mask is of another size
                name = path.stem.replace(" (", "_").rstrip(")")
                yield name, number % 3 == 0, image[..., None], np.any(masks, axis=0)


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def _gray(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


SETS = {
    "drive": ArenaSet(
        "hamdan92/retinal-vessel-segmentation", "none stated in the repository; DRIVE is public for research",
        "Retinal vessels in color photographs, 565 x 584", {"vessel": 1}, ("red", "green", "blue"), _drive,
    ),
    "busi": ArenaSet(
        "mohit-aren/Breast_Cancer", "CC0 (as BUSI is on Kaggle)",
        "Lesions in breast ultrasound, a third of the images without one", {"lesion": 1}, ("ultrasound",), _busi,
    ),
    "lungs": ArenaSet(
        "rochadiego/MultiResUNet-lung-segmentation", "public domain (US National Library of Medicine)",
        "Lungs in chest radiographs of Montgomery and Shenzhen, 512 x 512", {"lung": 1}, ("X-ray",), _lungs,
    ),
    "acdc": ArenaSet(
        "HiLab-git/WSL4MIS", "CC BY-NC-SA 4.0 (ACDC)",
        "Ventricles and myocardium in cardiac cine MR", {"right": 1, "myocardium": 2, "left": 3}, ("MR",), _acdc,
        (1.5, 1.5, 10.0),
    ),
    "atrium": ArenaSet(
        "yulequan/UA-MT", "none stated in the repository; the challenge's data of 2018 are public for research",
        "Left atrium in late-enhanced MR, cropped around the heart", {"atrium": 1}, ("MR",), _atrium,
        (0.625, 0.625, 0.625),
    ),
}  # fmt: skip


def lay_out(name: str, clone: Path, out: Path) -> Path:
    """Write one set; returns its folder."""
    one, folder, training = SETS[name], out / name, 0
    for part in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for case, held_out, image, labels in one.cases(clone):
        part = "Ts" if held_out else "Tr"
        training += not held_out
        if one.spacing is None:
            Image.fromarray(image.squeeze()).save(folder / f"images{part}" / f"{case}_0000.png")
            Image.fromarray(labels.astype(np.uint8)).save(folder / f"labels{part}" / f"{case}.png")
        else:
            affine = np.diag([*one.spacing, 1.0])
            scan = nib.Nifti1Image(image.astype(np.float32), affine)
            nib.save(scan, folder / f"images{part}" / f"{case}_0000.nii.gz")
            nib.save(nib.Nifti1Image(labels.astype(np.uint8), affine), folder / f"labels{part}" / f"{case}.nii.gz")
    description = {
        "channel_names": {str(number): channel for number, channel in enumerate(one.channels)},
        "labels": {"background": 0, **one.labels},
        "numTraining": training,
        "file_ending": ".png" if one.spacing is None else ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description, indent=1))
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("clone", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    print(lay_out(options.set, options.clone, options.out))
