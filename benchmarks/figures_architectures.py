"""Draws the figures of docs/explanation/architectures.md, and prints the numbers its text quotes.

    python benchmarks/figures_architectures.py [--seconds 60]

Everything is made here: tissue of cells drawn from seeds, networks trained on it by `medseg.bench.architectures` for so
many seconds of CPU time each, and operations counted by PyTorch. Figures go to docs/images.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from markdown import machine
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from medseg.bench.architectures import Comparison, compare_architectures
from medseg.bench.architectures_config import read_architectures
from medseg.bench.claims import per_case
from medseg.data.layouts import read_dataset
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.io.read import load_scan, read_labels
from medseg.models.networks.sliding_window_classifier import cost
from medseg.models.package import load_package
from medseg.models.registry import build_network
from medseg.models.upsampling import bed_of_nails, nearest, transposed_by_definition, unpool
from medseg.post.components import components
from medseg.post.panoptic import panoptic
from medseg.types import Geometry, LabelMap
from medseg.types.labels import LabelClass, LabelTable

FIGURES = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZE = 128
WALL, NUCLEUS = 1, 2
COLORS = np.array([[245, 245, 245], [0, 114, 178], [230, 159, 0]], np.uint8)


def tissue(seed: int) -> tuple[Any, Any]:
    """A 2D image of cells with dark walls and dim nuclei, uint8, and its classes: wall 1, nucleus 2."""
    random = np.random.default_rng(seed)
    seeds = random.uniform(-10, SIZE + 10, (34, 2))
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")
    distance = np.sqrt((x[..., None] - seeds[:, 0]) ** 2 + (y[..., None] - seeds[:, 1]) ** 2)
    near = np.sort(distance, axis=-1)
    classes = np.zeros((SIZE, SIZE), np.uint8)
    classes[near[..., 0] < random.uniform(3.5, 4.5)] = NUCLEUS
    classes[near[..., 1] - near[..., 0] < 2.2] = WALL
    light = np.choose(classes, [175.0, 105.0, 125.0]) + 12 * np.sin(x / 17 + seed) + random.normal(0, 24, classes.shape)
    return np.clip(light, 0, 255).astype(np.uint8), classes


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=60.0)
    given = arguments.parse_args()
    FIGURES.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    draw_boards()
    draw_windows()
    draw_views()
    draw_objects()
    draw_architectures(given.seconds)


def draw_boards() -> None:
    """Ways up, as one writes them on a board."""
    small = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    large = torch.tensor([[[[1.0, 3.0, 2.0, 1.0], [2.0, 0.0, 1.0, 5.0], [6.0, 1.0, 0.0, 2.0], [0.0, 4.0, 8.0, 3.0]]]])
    pooled, switches = nn.functional.max_pool2d(large, 2, return_indices=True)
    image, kernel = torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[4.0, 1.0], [2.0, 3.0]])
    boards = [
        ("input", small[0, 0]),
        ("nearest", nearest(small, (2, 2))[0, 0]),
        ("bed of nails", bed_of_nails(small, (2, 2))[0, 0]),
        ("max pooling's input", large[0, 0]),
        ("pooled", pooled[0, 0]),
        ("max unpooling", unpool(pooled, switches, (4, 4))[0, 0]),
        ("input", image),
        ("kernel", kernel),
        ("transposed convolution", transposed_by_definition(image, kernel)),
    ]
    figure = Figure(figsize=(7.5, 7.5), layout="constrained")
    for axis, (title, board) in zip(figure.subplots(3, 3).ravel(), boards, strict=True):
        axis.imshow(board, cmap="Blues", vmin=0, vmax=20)
        for (i, j), value in np.ndenumerate(board.numpy()):
            axis.text(j, i, f"{value:g}", ha="center", va="center", fontsize=11)
        axis.set_title(title, fontsize=10)
        axis.set_xticks([])
        axis.set_yticks([])
    save(figure, "architectures-upsampling.png")


def draw_windows() -> None:
    """Operations of one map, window by window and all at once."""
    network = build_network("sliding_window_classifier", channels=1, classes=2, dimensions=2).eval()
    sizes = [32, 64, 96, 128]
    costs = [cost(network, (n, n)) for n in sizes]
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    for mode, label in (
        ("sliding", "window by window"),
        ("stitched", "shift and stitch"),
        ("dilated", "fully convolutional"),
    ):
        axis.plot(sizes, [c[mode].operations / 1e9 for c in costs], "o-", label=label)
    axis.set_yscale("log")
    axis.set_xlabel("pixels along each side")
    axis.set_ylabel("operations, 10⁹")
    axis.legend()
    axis.grid(alpha=0.3, which="both")
    save(figure, "architectures-windows.png")
    last = costs[-1]
    for mode in ("sliding", "stitched"):
        operations = last[mode].operations / last["dilated"].operations
        seconds = last[mode].seconds / last["dilated"].seconds
        print(f"{mode} at {sizes[-1]} pixels: {operations:.1f} times the operations, {seconds:.0f} times the seconds")
    print(f"window: {network.window} pixels")


def draw_views() -> None:
    """Which pixels the score of one depends on: the gradient's size, untrained, over random images."""
    full = {"features": [16] * 6}
    nets = [
        ("six convolutions", "fcn_full_resolution", full),
        ("the same, dilated", "fcn_full_resolution", {**full, "dilations": [1, 2, 4, 8, 4, 1]}),
        ("U-Net without skips", "unet", {"features": [16, 32, 64, 64], "skip": "none"}),
        ("U-Net", "unet", {"features": [16, 32, 64, 64]}),
    ]
    figure = Figure(figsize=(10, 2.9), layout="constrained")
    for axis, (title, name, arguments) in zip(figure.subplots(1, 4), nets, strict=True):
        network = build_network(
            name, channels=1, classes=2, dimensions=2, arguments={**arguments, "norm": "none"}
        ).eval()
        total = torch.zeros(96, 96)
        for _ in range(30):
            x = torch.randn(1, 1, 96, 96, requires_grad=True)
            network(x)[0, 1, 48, 48].backward()
            total += x.grad[0, 0].abs()
        axis.imshow((total / total.max()).clamp(min=1e-4).log10(), cmap="magma", vmin=-4, vmax=0)
        axis.set_title(title, fontsize=10)
        axis.set_xticks([])
        axis.set_yticks([])
        touched = (total > 0).nonzero()
        width = int((touched.max(0).values - touched.min(0).values).max()) + 1
        print(f"{title}: one score depends on {width} pixels along an axis")
    save(figure, "architectures-views.png")


def draw_objects() -> None:
    """Semantic, instance and panoptic, from one label map."""
    image, classes = tissue(100)
    table = LabelTable((LabelClass(WALL, "wall"), LabelClass(NUCLEUS, "nucleus", is_thing=True)))
    labels = LabelMap(classes[..., None], Geometry(np.eye(4), (SIZE, SIZE, 1)), table)
    objects = components(labels, classes=[NUCLEUS], connectivity=8)
    merged = panoptic(labels, shape=False, connectivity=8)
    things = [row for row in merged.rows if row.is_thing]
    print(f"panoptic: {len(things)} nuclei, {len(merged.rows) - len(things)} stuff")
    shown = [
        ("scan", image),
        ("semantic: a class a pixel", COLORS[classes]),
        ("instance: an id a nucleus", scattered(objects.ids[..., 0])),
        ("panoptic: ids, and the wall", scattered(merged.ids[..., 0], {r.id for r in merged.rows if not r.is_thing})),
    ]
    figure = Figure(figsize=(10, 2.9), layout="constrained")
    show(figure.subplots(1, 4), shown)
    save(figure, "architectures-objects.png")


def draw_architectures(seconds: float) -> None:
    """Train architectures on tissue for the same time and show what each makes of an image none has seen."""
    architectures = {
        "windows-convolved": ("sliding_window_classifier", {"features": [8, 16], "hidden": 32, "mode": "dilated"}),
        "full-resolution": ("fcn_full_resolution", {"features": [12] * 6}),
        "fcn-16s": ("fcn", {"features": [8, 16, 32, 32], "head": "16s"}),
        "fcn-8s": ("fcn", {"features": [8, 16, 32, 32], "head": "8s"}),
        "deconvnet": ("deconvnet", {"features": [8, 16, 32], "bottleneck": 32}),
        "unet-no-skip": ("unet", {"features": [8, 16, 32, 32], "skip": "none"}),
        "unet-add": ("unet", {"features": [8, 16, 32, 32], "skip": "add"}),
        "unet-concat": ("unet", {"features": [8, 16, 32, 32]}),
    }
    values = {
        "name": "tissue",
        "title": "Tissue",
        "tolerance": 1,
        "train": {
            "input": {"channels": [{"name": "gray"}], "patch": [64, 64, 1]},
            "network": {"name": "unet", "dimensions": 2},
            "split": {"folds": 6},
            "sampling": {"batch": 4},
            "augment": {"flip": ["x", "y"], "rotation": 0.0, "scaling": 0.0},
            "ema_decay": 0.98,
            "iterations_per_epoch": 20,
        },
        "architectures": [
            {
                "name": name,
                "train": {"network": {"name": network, "dimensions": 2, "arguments": arguments}},
                "measure": {"input": {"patch": [SIZE, SIZE, 1]}} if network == "sliding_window_classifier" else {},
            }
            for name, (network, arguments) in architectures.items()
        ],
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for part in ("image", "label"):
            (folder / "tissue" / part).mkdir(parents=True)
        for number in range(24):
            image, classes = tissue(number)
            Image.fromarray(image).save(folder / "tissue" / "image" / f"{number:02}.png")
            Image.fromarray(classes).save(folder / "tissue" / "label" / f"{number:02}.png")
        (folder / "architectures.yaml").write_text(yaml.safe_dump(values))
        data = read_dataset(folder / "tissue")
        comparison = Comparison(
            read_architectures(folder / "architectures.yaml"), data, folder / "work", seconds, "cpu"
        )
        results = compare_architectures(comparison)
        print(f"Measured on: {machine()}.")
        split = json.loads((folder / "work" / "unet-concat" / "split.json").read_text())
        case = split["validation"][0]
        scan = load_scan(folder / "tissue" / "image" / f"{case}.png")
        reference = read_labels(folder / "tissue" / "label" / f"{case}.png")
        shown = [("scan", scan.array[0, ..., 0].T), ("reference", COLORS[reference.array[..., 0].T])]
        for result in results:
            if result.failure:
                raise SystemExit(f"{result.name}: {result.failure}")
            home = folder / "work" / result.name
            package = load_package(home / "measured" if (home / "measured").is_dir() else home / "model")
            predicted = Predictor(package, InferOptions(device="cpu", engine="torch")).segment(scan).labels.array
            dice = float(np.mean(list(per_case(result.dice).values())))
            edges = float(np.mean(list(per_case(result.boundary_f1).values())))
            print(f"| {result.name} | {dice:.3f} | {edges:.3f} | {result.steps} |", flush=True)
            shown.append((f"{result.name}: {dice:.2f}", COLORS[predicted[..., 0].T]))
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    show(figure.subplots(2, 5).ravel(), shown)
    save(figure, "architectures-list.png")


def scattered(ids: Any, stuff: set[int] | None = None) -> Any:
    """A color of its own for each id; stuff in gray, nothing in white."""
    random = np.random.default_rng(3)
    colors = random.integers(40, 230, (int(ids.max()) + 1, 3)).astype(np.uint8)
    colors[0] = 245
    colors[sorted(stuff or ())] = 150
    return colors[ids]


def show(axes: Any, shown: list[tuple[str, Any]]) -> None:
    for axis, (title, shown_image) in zip(axes, shown, strict=True):
        axis.imshow(shown_image, cmap="gray", interpolation="nearest")
        axis.set_title(title, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])


def save(figure: Figure, name: str) -> None:
    figure.savefig(FIGURES / name, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
