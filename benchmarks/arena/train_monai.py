"""MONAI as its tutorials train it, with a budget of CPU seconds in place of their epochs.

    python benchmarks/arena/train_monai.py DATASET PREDICTIONS SECONDS SEED

2D: `2d_segmentation/torch` (U-Net of 16 to 256 channels with residual units, four crops of 96 x 96 of each of two
images a step, Dice loss, Adam at 0.001). 3D: `modules/dynunet_pipeline` (DynUNet with deep supervision, kernels and
strides by its rule from spacing and patch, Dice and cross entropy, SGD with momentum 0.99 from 0.1, polynomial; of each
of two scans two crops around a class to one of background). The pipeline lists a patch for each Decathlon task; another
set gets 128 x 128 and 8 slices. Prints steps and the CPU seconds of training.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai import transforms as t
from monai.data import CacheDataset, DataLoader, list_data_collate
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss, DiceLoss
from monai.networks.nets import DynUNet, UNet
from monai.utils import set_determinism
from PIL import Image

PATCH_3D = (128, 128, 8)


def cpu_seconds() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def read(path: Path) -> torch.Tensor:
    """Channels first, float."""
    array = np.asarray(Image.open(path)) if path.suffix == ".png" else np.asanyarray(nib.load(path).dataobj)
    colors = path.suffix == ".png" and array.ndim == 3
    return torch.from_numpy(np.moveaxis(array, -1, 0) if colors else array[None]).float()


def kernels_and_strides(sizes: list[float], spacing: list[float]) -> tuple[list[list[int]], list[list[int]]]:
    """The pipeline's rule: halve an axis of 8 or more voxels whose spacing is within twice the finest."""
    kernels, strides = [], [[1] * len(sizes)]
    while True:
        near = [one / min(spacing) <= 2 for one in spacing]
        stride = [2 if close and size >= 8 else 1 for close, size in zip(near, sizes, strict=True)]
        if max(stride) == 1:
            return [*kernels, [3] * len(sizes)], strides
        kernels.append([3 if close else 1 for close in near])
        strides.append(stride)
        sizes = [size / step for size, step in zip(sizes, stride, strict=True)]
        spacing = [one * step for one, step in zip(spacing, stride, strict=True)]


def augmented(flat: bool, scale: t.MapTransform) -> t.Compose:
    keys = ("image", "label")
    crop = {"keys": keys, "label_key": "label"}
    if flat:
        return t.Compose([
            scale, t.SpatialPadd(keys, (96, 96)),
            t.RandCropByPosNegLabeld(**crop, spatial_size=(96, 96), pos=1, neg=1, num_samples=4),
            t.RandRotate90d(keys, prob=0.5, spatial_axes=(0, 1)),
        ])  # fmt: skip
    return t.Compose([
        scale, t.SpatialPadd(keys, PATCH_3D),
        t.RandCropByPosNegLabeld(**crop, spatial_size=PATCH_3D, pos=2, neg=1, num_samples=1),
        t.RandZoomd(keys, 0.15, 0.9, 1.2, mode=("trilinear", "nearest"), align_corners=(True, None)),
        t.RandGaussianNoised(("image",), std=0.01, prob=0.15),
        t.RandGaussianSmoothd(("image",), sigma_x=(0.5, 1.15), sigma_y=(0.5, 1.15), sigma_z=(0.5, 1.15), prob=0.15),
        t.RandScaleIntensityd(("image",), factors=0.3, prob=0.15),
        *(t.RandFlipd(keys, prob=0.5, spatial_axis=axis) for axis in range(3)),
    ])  # fmt: skip


def main(dataset: Path, out: Path, budget: float, seed: int) -> None:
    set_determinism(seed)
    torch.set_num_threads(1)
    description = json.loads((dataset / "dataset.json").read_text())
    ending, outputs = description["file_ending"], len(description["labels"])
    flat = ending == ".png"
    scale = t.ScaleIntensityd(("image",)) if flat else t.NormalizeIntensityd(("image",), nonzero=True)
    cases = [
        {"image": read(path), "label": read(dataset / "labelsTr" / path.name.replace("_0000", ""))}
        for path in sorted((dataset / "imagesTr").glob(f"*{ending}"))
    ]
    channels = len(cases[0]["image"])
    if flat:
        widths = (16, 32, 64, 128, 256)
        network: torch.nn.Module = UNet(2, channels, 1, channels=widths, strides=(2, 2, 2, 2), num_res_units=2)
        loss: torch.nn.Module = DiceLoss(sigmoid=True)
        optimizer: torch.optim.Optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    else:
        first = next((dataset / "imagesTr").glob(f"*{ending}"))
        kernels, strides = kernels_and_strides(list(PATCH_3D), [float(x) for x in nib.load(first).header.get_zooms()])
        network = DynUNet(
            3, channels, outputs, kernels, strides, strides[1:],
            norm_name="instance", deep_supervision=True, deep_supr_num=min(3, len(strides) - 2),
        )  # fmt: skip
        loss = DiceCELoss(to_onehot_y=True, softmax=True)
        optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.99, weight_decay=3e-5, nesterov=True)
    data = CacheDataset(cases, augmented(flat, scale), progress=False)
    loader = DataLoader(data, batch_size=2, shuffle=True, collate_fn=list_data_collate)
    steps = 0
    network.train()
    while cpu_seconds() < budget:
        for batch in loader:
            if (spent := cpu_seconds()) >= budget:
                break
            if not flat:
                optimizer.param_groups[0]["lr"] = 0.1 * (1 - spent / budget) ** 0.9
            optimizer.zero_grad()
            outputs_now, label = network(batch["image"].as_tensor()), batch["label"].as_tensor()
            if flat:
                total = loss(outputs_now, label)
            else:
                levels = torch.unbind(outputs_now, dim=1)
                total = sum(0.5**depth * loss(level, label) for depth, level in enumerate(levels))
            total.backward()
            if not flat:
                torch.nn.utils.clip_grad_norm_(network.parameters(), 12)
            optimizer.step()
            steps += 1
    patch = [96, 96] if flat else list(PATCH_3D)
    print(json.dumps({"steps": steps, "patch": patch, "batch": 8 if flat else 2, "cpu_s": round(cpu_seconds(), 1)}))
    network.eval()
    out.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        for path in sorted((dataset / "imagesTs").glob(f"*{ending}")):
            image = scale({"image": read(path)})["image"][None]
            logits = sliding_window_inference(image, patch, 4, network, overlap=0.25 if flat else 0.5)
            labels = (logits[0, 0] > 0) if flat else logits[0].argmax(0)
            array, name = labels.numpy().astype(np.uint8), path.name.replace("_0000", "")
            if flat:
                Image.fromarray(array).save(out / name)
            else:
                nib.save(nib.Nifti1Image(array, nib.load(path).affine), out / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
