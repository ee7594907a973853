"""One whole case with a network of nnU-Net's size: MONAI with PyTorch beside medseg with each engine and precision.

    python benchmarks/bench_whole_case.py [--size 144] [--repeats 3] [--sides monai,torch-bfloat16,openvino-float32,...]

A scan of 1.5 x SIZE x SIZE voxels a plane is read, brought to 1.5 mm, segmented in 96 x 96 x 96 windows that overlap by
half by a DynUNet of nnU-Net's widths with random weights, and written on the scan's own grid. Each side runs in a
process of its own, one after the other, start-up included, so many times over as --repeats says; of each its fastest
run counts, because memory that the machine has not touched for a while can take seconds. The network is exported and
quantized before; the time that takes is given apart. As in `medseg predict`, the model is loaded while the scan is
read. Random weights say nothing about Dice, so the precision is chosen here and not by a card. They also leave nearly
every voxel uncertain, which is more work than a trained network makes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_large_ct import measure_process

PATCH = 96
CLASSES = 3
SPACING = (1.0, 1.0, 1.5)
TARGET = 1.5
FEATURES = (32, 64, 128, 256, 320, 320)
ARGUMENTS = {"features": list(FEATURES)}
SIDES = (
    "monai,torch-float32,torch-bfloat16,compiled-bfloat16,onnx-float32,openvino-float32,openvino-bfloat16,openvino-int8"
)


def make_scan(path: Path, size: int) -> None:
    """Write a smooth volume, int16, gzip: a network that is not trained would hand noise on to the labels."""
    import nibabel as nib
    import numpy as np

    shape = (round(size * TARGET / SPACING[0]), round(size * TARGET / SPACING[1]), size)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij")
    body = 1000 * np.exp(-(x**2 + y**2 + z**2) * 3) + 200 * np.sin(4 * x) * np.cos(5 * y + z)
    image = nib.Nifti1Image(body.astype(np.int16), np.diag([*SPACING, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)


def network():
    """Build the DynUNet that nnU-Net would plan for such a patch."""
    from medseg.models.registry import build_network

    return build_network("dynunet", channels=1, classes=CLASSES, dimensions=3, arguments=ARGUMENTS)


def prepare(folder: Path) -> dict[str, float]:
    """Write the package, its ONNX file and its int8 files; seconds each step took."""
    import numpy as np
    import torch

    from medseg.infer.engines.onnx_export import export_onnx
    from medseg.infer.engines.quantize import quantize
    from medseg.models.card import ClassCard, ModelCard, NetworkCard
    from medseg.models.package import write_card, write_package
    from medseg.models.training_card import TrainingCard
    from medseg.models.validation_card import PrecisionCard
    from medseg.prepare.card import ChannelCard, InputCard

    torch.manual_seed(0)
    card = ModelCard(
        name="dynunet",
        title="A DynUNet of nnU-Net's size, untrained",
        classes=tuple(ClassCard(value=i, name=f"class {i}") for i in range(1, CLASSES)),
        input=InputCard(
            channels=(ChannelCard(name="CT"),), spacing=(TARGET,) * 3, patch=(PATCH,) * 3, resampling={"order": 1}
        ),
        network=NetworkCard(name="dynunet", arguments=ARGUMENTS),
        training=TrainingCard(data="none", license="none", cases=0, command="none", seed=0),
        weights_sha256="0" * 64,
    )
    # MONAI's DynUNet names each tensor twice; a file cannot hold one for two names.
    weights = {name: tensor.clone() for name, tensor in network().state_dict().items()}
    package = write_package(folder / "package", card, weights)
    begun = time.perf_counter()
    export_onnx(package, package.folder)
    exported = time.perf_counter()
    rng = np.random.default_rng(0)
    windows = [rng.standard_normal((1, 1, PATCH, PATCH, PATCH), np.float32) for _ in range(2)]
    files = quantize(package.folder / "model.onnx", card, windows, package.folder)
    write_card(package.folder, card.model_copy(update={"weights_sha256": package.card.weights_sha256, "precisions": {
        "int8": PrecisionCard(dice_drop={}, cases=1, files=files)}}))  # fmt: skip
    return {"export_s": round(exported - begun, 1), "quantize_s": round(time.perf_counter() - exported, 1)}


def run_medseg(side: str, scan: Path, out: Path, folder: Path) -> None:
    """Read, segment and write with one of medseg's engines."""
    from concurrent.futures import ThreadPoolExecutor

    from medseg.infer.engines.onnx_files import find_export
    from medseg.infer.engines.select import Candidate, make_engine
    from medseg.infer.options import InferOptions
    from medseg.models.package import load_package

    name, precision = side.split("-")
    options = InferOptions(device="cpu", overlap=0.5, compiled=name == "compiled")
    package = load_package(folder / "package")
    way = Candidate("torch" if name == "compiled" else name, precision)
    exported = None if way.engine == "torch" else find_export(package)
    with ThreadPoolExecutor(1) as aside:
        engine = aside.submit(make_engine, way, package, options, exported)
        from medseg.infer.predictor import Predictor
        from medseg.io.nifti import read_scan, write_labels

        read = read_scan(scan)
        labels = Predictor(package, options, engine=engine.result()).segment(read).labels
    write_labels(labels, out, read.source)


def run_monai(scan: Path, out: Path, folder: Path) -> None:
    """Do the same as a MONAI bundle does it, with PyTorch as it comes."""
    import torch
    from monai.data import MetaTensor
    from monai.inferers import sliding_window_inference
    from monai.transforms import (
        AsDiscreted,
        Compose,
        EnsureChannelFirstd,
        Invertd,
        LoadImaged,
        NormalizeIntensityd,
        Orientationd,
        SaveImaged,
        Spacingd,
    )
    from safetensors.torch import load_file

    model = network().eval()
    model.load_state_dict(load_file(folder / "package" / "weights.safetensors"))
    before = Compose(
        [
            LoadImaged("image"),
            EnsureChannelFirstd("image"),
            Orientationd("image", axcodes="RAS"),
            NormalizeIntensityd("image"),
            Spacingd("image", pixdim=(TARGET,) * 3, mode="bilinear"),
        ]
    )
    after = Compose(
        [
            Invertd("pred", transform=before, orig_keys="image", nearest_interp=False, to_tensor=True),
            AsDiscreted("pred", argmax=True),
            SaveImaged(
                "pred", output_dir=out.parent, output_postfix="monai", separate_folder=False, output_dtype="uint8",
                resample=False, print_log=False,
            ),
        ]
    )  # fmt: skip
    with torch.inference_mode():
        data = before({"image": str(scan)})
        scores = sliding_window_inference(data["image"][None], (PATCH,) * 3, 1, model, overlap=0.5, mode="gaussian")
        data["pred"] = MetaTensor(scores[0], meta=data["image"].meta)
        after(data)
    (out.parent / scan.name.replace(".nii.gz", "_monai.nii.gz")).rename(out)


def write_page(path: Path, size: int, repeats: int, result: dict[str, dict[str, float]]) -> None:
    """Write the page of the documentation."""
    import markdown

    prepared = result["prepared"]
    rows = {
        side: [found[key] for key in ("cpu_s", "wall_s", "peak_gb", "wall_s_ratio", "cpu_s_ratio")]
        for side, found in result.items()
        if side != "prepared"
    }
    markdown.write(
        path,
        "A whole case with a network of nnU-Net's size",
        [
            "Written by `python benchmarks/bench_whole_case.py`, whose head says how: a DynUNet with "
            f"{', '.join(map(str, FEATURES))} channels and windows of {PATCH} x {PATCH} x {PATCH}; a scan that is "
            f"{size} x {size} x {size} voxels to the network; from the gzip file read to labels written on the scan's "
            f"own grid, start-up included, on {os.cpu_count()} cores; the fastest of {repeats} runs of each. The "
            "weights are random.",
            markdown.table(
                ["CPU-s", "wall s", "GB", "wall, times less", "CPU, times less"],
                rows,
            ),
            f"Once for a model, and not in the table: {prepared['export_s']} s to write it as ONNX, "
            f"{prepared['quantize_s']} s to quantize it to int8.",
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=144, help="voxels of the network's grid along each axis")
    parser.add_argument("--sides", default=SIDES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--table", type=Path, help="write the page of the documentation")
    parser.add_argument("--run", nargs=4, metavar=("SIDE", "SCAN", "OUT", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        side, scan, out, folder = options.run[0], *map(Path, options.run[1:])
        run_monai(scan, out, folder) if side == "monai" else run_medseg(side, scan, out, folder)
        return
    if options.prepare:
        make_scan(options.prepare / "scan.nii.gz", options.size)
        print(json.dumps(prepare(options.prepare)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan = folder / "scan.nii.gz"
        # In a process of its own: a child's peak memory begins with that of the process that started it.
        command = [sys.executable, __file__, "--prepare", name, "--size", str(options.size)]
        prepared = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        result: dict[str, dict[str, float]] = {"prepared": json.loads(prepared.splitlines()[-1])}
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        sides = options.sides.split(",")
        for side in sides:
            command = [sys.executable, __file__, "--run", side, str(scan), str(folder / f"{side}.nii.gz"), name]
            found = min(
                (measure_process(command, environment) for _ in range(options.repeats)), key=lambda run: run["wall_s"]
            )
            first = result.get(sides[0], found)
            found |= {f"{key}_ratio": round(first[key] / found[key], 2) for key in ("cpu_s", "wall_s", "peak_gb")}
            result[side] = found
            sys.stderr.write(f"{side}: {found}\n")
        if options.table:
            write_page(options.table, options.size, options.repeats, result)
        print(
            json.dumps({"size": options.size, "cpus": os.cpu_count(), "repeats": options.repeats, **result}, indent=2)
        )


if __name__ == "__main__":
    main()
