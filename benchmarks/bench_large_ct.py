"""A whole-body-sized CT, reading to written labels, with a trivial network: medseg beside MONAI, or medseg alone.

    python benchmarks/bench_large_ct.py                          # 512 x 512 x 200, 10 classes, both
    python benchmarks/bench_large_ct.py --slices 800 --classes 117 --only medseg
    python benchmarks/bench_large_ct.py --table docs/benchmarks/large-ct.md      # and how it grows; several minutes

Each side runs in a process of its own on the same file, one after the other, with the same network (one convolution of
one voxel, so that everything but the network is measured). Prints CPU time, wall time, the peak of resident memory and
the fraction of voxels on which the two agree. With --repeats the two take turns, and of each its fastest run counts:
memory that the machine has not touched for a while can take seconds, on both sides.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SPACING = (0.8, 0.8, 1.0)
TARGET = 1.5
PATCH = 96


def make_scan(path: Path, slices: int) -> None:
    """Write a CT-like scan: a body of smooth organs with noise, int16, gzip as scanners' exports are."""
    import nibabel as nib
    import numpy as np

    rng = np.random.default_rng(0)
    shape = (512, 512, slices)
    x, y = np.meshgrid(*[np.linspace(-1, 1, 512, dtype=np.float32)] * 2, indexing="ij")
    body = (x / 0.85) ** 2 + (y / 0.65) ** 2 < 1
    array = np.empty(shape, dtype=np.int16, order="F")
    organs = [(*rng.uniform(-0.5, 0.5, 2), rng.uniform(0, 1), rng.uniform(0.05, 0.25), 100 * i) for i in range(1, 10)]
    for k in range(slices):
        plane = np.where(body, 0, -1000).astype(np.float32)
        for cx, cy, cz, radius, value in organs:
            dz = (k / slices - cz) * 2
            plane[(x - cx) ** 2 + (y - cy) ** 2 + dz**2 < radius**2] = value
        array[:, :, k] = plane + rng.normal(0, 10, plane.shape)
    image = nib.Nifti1Image(array, np.diag([*SPACING, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)


def lines(classes: int) -> tuple[list[float], list[float]]:
    """Slope and offset of each class: tangents of a parabola, so that each class wins on a band of intensities."""
    middles = [-1000.0] + [1000.0 * (i - 0.5) / (classes - 1) for i in range(1, classes)]
    return [2 * m for m in middles], [-(m**2) for m in middles]


def run_medseg(scan: Path, out: Path, classes: int) -> None:
    """Read, segment and write with medseg."""
    import numpy as np

    from medseg.infer.options import InferOptions
    from medseg.infer.predictor import Predictor
    from medseg.io.nifti import read_scan, write_labels
    from medseg.models.card import ClassCard, ModelCard, NetworkCard
    from medseg.models.package import ModelPackage
    from medseg.models.training_card import TrainingCard
    from medseg.prepare.card import ChannelCard, InputCard

    slopes, offsets = lines(classes)

    class Trivial:
        name = "one convolution of one voxel"
        working_bytes = 0

        def __init__(self) -> None:
            self.scores = np.empty((1, classes, PATCH, PATCH, PATCH), dtype=np.float32)

        def run(self, windows: np.ndarray) -> np.ndarray:
            scores = self.scores
            for index, (slope, offset) in enumerate(zip(slopes, offsets, strict=True)):
                np.multiply(windows[:, 0], np.float32(slope), out=scores[:, index])
                scores[:, index] += np.float32(offset)
            return scores

    card = ModelCard(
        name="trivial",
        title="Bands of intensity",
        classes=tuple(ClassCard(value=i, name=f"band {i}") for i in range(1, classes)),
        input=InputCard(
            channels=(ChannelCard(name="CT", normalization={"scheme": "none"}),),
            spacing=(TARGET,) * 3,
            patch=(PATCH,) * 3,
            resampling={"order": 1},
        ),
        network=NetworkCard(name="trivial"),
        training=TrainingCard(data="none", license="none", cases=0, command="none", seed=0),
        weights_sha256="0" * 64,
    )

    class Package(ModelPackage):
        hash = "0" * 64

    predictor = Predictor(Package(Path(), card), InferOptions(overlap=0.5), engine=Trivial())
    found = read_scan(scan)
    prediction = predictor.segment(found)
    write_labels(prediction.labels, out, found.source)


def run_monai(scan: Path, out: Path, classes: int) -> None:
    """The same with MONAI's transforms, as its bundles are written."""
    import torch
    from monai.data import MetaTensor
    from monai.inferers import sliding_window_inference
    from monai.transforms import (
        AsDiscreted,
        Compose,
        EnsureChannelFirstd,
        Invertd,
        LoadImaged,
        Orientationd,
        SaveImaged,
        Spacingd,
    )

    slopes, offsets = lines(classes)
    network = torch.nn.Conv3d(1, classes, 1)
    with torch.no_grad():
        network.weight.copy_(torch.tensor(slopes).reshape(-1, 1, 1, 1, 1))
        network.bias.copy_(torch.tensor(offsets))
    before = Compose(
        [
            LoadImaged("image"),
            EnsureChannelFirstd("image"),
            Orientationd("image", axcodes="RAS"),
            Spacingd("image", pixdim=(TARGET,) * 3, mode="bilinear"),
        ]
    )
    after = Compose(
        [
            Invertd("pred", transform=before, orig_keys="image", nearest_interp=False, to_tensor=True),
            AsDiscreted("pred", argmax=True),
            SaveImaged(
                "pred",
                output_dir=out.parent,
                output_postfix="monai",
                separate_folder=False,
                output_dtype="uint8",
                resample=False,
                print_log=False,
            ),
        ]
    )
    with torch.inference_mode():
        data = before({"image": str(scan)})
        scores = sliding_window_inference(
            data["image"][None], (PATCH,) * 3, 1, network, overlap=0.5, mode="gaussian", device="cpu"
        )
        data["pred"] = MetaTensor(scores[0], meta=data["image"].meta)
        after(data)
    (out.parent / scan.name.replace(".nii.gz", "_monai.nii.gz")).rename(out)


def measure_process(command: Sequence[str], environment: dict[str, str] | None = None) -> dict[str, float]:
    """Run a command of one process; its CPU time, wall time and peak memory as the system counts them, unwatched."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return {
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "wall_s": round(time.perf_counter() - begun, 1),
        "peak_gb": round(used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9, 2),
    }


def measure(side: str, scan: Path, out: Path, classes: int) -> dict[str, float]:
    """Run one side in a process of its own."""
    return measure_process([sys.executable, __file__, "--run", side, str(scan), str(out), "--classes", str(classes)])


def compare(slices: int, classes: int, sides: Sequence[str], scans: Path, repeats: int = 1) -> dict[str, Any]:
    """Measure the sides on one scan, and the fraction of voxels they agree on."""
    scan = scans / f"scan-{slices}.nii.gz"
    if not scan.exists():
        # In a process of its own, so that this one stays small.
        subprocess.run([sys.executable, __file__, "--make", str(scan), "--slices", str(slices)], check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result: dict[str, Any] = {"slices": slices, "classes": classes}
        for side in list(sides) * repeats:
            found = measure(side, scan, folder / f"{side}.nii.gz", classes)
            result[side] = min(found, result.get(side, found), key=lambda run: run["wall_s"])
            sys.stderr.write(f"{slices} slices, {classes} classes, {side}: {found}\n")
        if len(sides) == 2:
            import nibabel as nib
            import numpy as np

            a, b = (np.asanyarray(nib.load(folder / f"{side}.nii.gz").dataobj) for side in sides)
            result["agreement"] = round(float((a == b).mean()), 6)
            ours, theirs = (result[side] for side in sides)
            result["ratio"] = {key: round(theirs[key] / ours[key], 1) for key in ours}
    return result


def write_page(path: Path, scans: Path, repeats: int) -> dict[str, Any]:
    """Measure both sides once, and medseg's growth with voxels and classes, and write the page of the documentation."""
    import markdown

    both = compare(200, 10, ["medseg", "monai"], scans, repeats)
    small = compare(100, 10, ["medseg", "monai"], scans)
    slices = {n: compare(n, 10, ["medseg"], scans) for n in (400, 800)} | {100: small, 200: both}
    classes = {n: compare(200, n, ["medseg"], scans) for n in (2, 30, 117)} | {10: both}
    largest = compare(800, 117, ["medseg"], scans)
    ratio = both["ratio"]
    rows = {side: list(both[side].values()) for side in ("medseg", "monai")}
    rows["times less"] = list(ratio.values())
    columns = ["CPU-s", "wall s", "GB"]
    grown = {
        f"{n} slices": [*slices[n]["medseg"].values(), *(slices[n].get("monai") or dict.fromkeys(columns, "")).values()]
        for n in sorted(slices)
    }
    wider = {f"{n} classes": list(classes[n]["medseg"].values()) for n in sorted(classes)}
    markdown.write(
        path,
        "A large CT, without the network",
        [
            "Written by `python benchmarks/bench_large_ct.py --table`, whose head says how: 512 x 512 x 200 voxels of "
            "0.8 x 0.8 x 1 mm, a network grid of 1.5 mm, windows of 96 x 96 x 96 that overlap by half, 10 classes, and "
            "one convolution of one voxel in place of a network. From the gzip file read to labels written on the "
            f"scan's own grid; start-up included. The fastest of {repeats} runs of each, in turns; of the tables "
            "below, one run.",
            markdown.table(columns, rows),
            f"They agree on {both['agreement']:.4%} of the voxels.",
            "## Growth with the scan, 10 classes",
            markdown.table([*columns, *(f"MONAI {c}" for c in columns)], grown),
            "MONAI was measured up to 200 slices.",
            "## Growth with the classes, 200 slices",
            markdown.table(columns, wider),
            f"117 classes on 512 x 512 x 800: {largest['medseg']['cpu_s']} CPU-s, {largest['medseg']['wall_s']} s, "
            f"{largest['medseg']['peak_gb']} GB.",
        ],
    )
    return {"both": both, "slices": slices, "classes": classes, "largest": largest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--only", choices=["medseg", "monai"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--table", type=Path, help="write the page of the documentation")
    parser.add_argument("--scans", type=Path, help="folder that keeps the scans for the next time")
    parser.add_argument("--run", nargs=3, metavar=("SIDE", "SCAN", "OUT"), help=argparse.SUPPRESS)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make_scan(options.make, options.slices)
        return
    if options.run:
        side, scan, out = options.run
        {"medseg": run_medseg, "monai": run_monai}[side](Path(scan), Path(out), options.classes)
        return
    with tempfile.TemporaryDirectory() as name:
        scans = options.scans or Path(name)
        if options.table:
            result = write_page(options.table, scans, options.repeats)
        else:
            sides = [options.only] if options.only else ["medseg", "monai"]
            result = compare(options.slices, options.classes, sides, scans, options.repeats)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
