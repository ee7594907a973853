"""Where does each loss of structures win, on images made for it? Prints a table for docs/benchmarks/losses.md.

    python benchmarks/bench_losses.py --work runs/losses [--seeds 4] [--steps 400] [--only vessels]
    python benchmarks/bench_losses.py --cost

Three sets of 2D images are drawn from seeds: faint vessels with breaks, lesions of which most are tiny, and one small
structure in a large image. A small U-Net learns each with Dice and cross-entropy, and with one loss more, from the same
first weights and on the same images in the same order. Differences are paired by held-out image, over the seeds' mean.
A finished training is not made again. With --cost: what each loss and its gradient take on one thread, in 3D.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from markdown import machine
from scipy.ndimage import gaussian_filter, label

from medseg.evaluation.metrics.measure import measure_case
from medseg.evaluation.options import EvaluateOptions
from medseg.models.registry import build_network
from medseg.training.config import LossConfig
from medseg.training.losses import segmentation_loss
from medseg.training.schedule import learning_rate
from medseg.training.structures.terms import StructureLoss
from medseg.types import Geometry, LabelMap
from medseg.types.labels import LabelClass, LabelTable

SIDE = 80
TRAINED, HELD_OUT, BATCH, RATE = 60, 60, 6, 2e-3
TABLE = LabelTable((LabelClass(1, "structure"),))
GEOMETRY = Geometry(np.eye(4), (SIDE, SIDE, 1))
MEASURES = EvaluateOptions(centerlines=True, surfaces=True, object_iou=(0.5,))
Image = tuple[np.ndarray, np.ndarray]


def vessels(random: np.random.Generator) -> Image:
    """Crooked lines one to three pixels wide that fade in places, under noise; the reference has no gap."""
    mask, light = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    for _ in range(4):
        place, angle = random.uniform(0, SIDE, 2), random.uniform(0, 2 * np.pi)
        radius, strength = random.uniform(0.6, 1.6), 1.0
        for _ in range(90):
            angle += random.normal(0, 0.22)
            place += np.cos(angle), np.sin(angle)
            strength = np.clip(strength + random.normal(0, 0.25), 0.15, 1.0)
            near = (x - place[0]) ** 2 + (y - place[1]) ** 2 <= radius**2
            mask[near], light[near] = 1, strength
    return light + random.normal(0, 0.45, mask.shape), mask


def lesions(random: np.random.Generator) -> Image:
    """One large lesion and about ten of a few pixels, dimmer, under noise."""
    mask, light = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    sizes = [random.uniform(9, 14), *random.uniform(1.0, 1.9, random.integers(8, 13))]
    for radius in sizes:
        place = random.uniform(4, SIDE - 4, 2)
        near = (x - place[0]) ** 2 + (y - place[1]) ** 2 <= radius**2
        mask[near], light[near] = 1, 1.0 if radius > 5 else 0.8
    return gaussian_filter(light, 0.5) + random.normal(0, 0.3, mask.shape), mask


def small(random: np.random.Generator) -> Image:
    """One ellipse of about a hundredth of the image, beside others as bright that are hollow and no structure."""
    mask, light = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij")
    for number in range(5):
        place, half = random.uniform(8, SIDE - 8, 2), random.uniform(3, 6, 2)
        depth = ((x - place[0]) / half[0]) ** 2 + ((y - place[1]) / half[1]) ** 2
        if number < 4:
            light[(depth <= 1) & (depth > 0.4)] = 1
        else:
            light[depth <= 1], mask[depth <= 1] = 1, 1
    return gaussian_filter(light, 0.7) + random.normal(0, 0.45, mask.shape), mask


@dataclass(frozen=True)
class Task:
    """Images, the losses compared on them with Dice and cross-entropy alone, and the measures of the table."""

    draw: Callable[[np.random.Generator], Image]
    losses: dict[str, dict[str, float]]
    measures: tuple[str, ...]


TASKS = {
    "vessels": Task(
        vessels,
        {"cldice": {"cldice": 1.0, "cldice_iterations": 3}, "skeleton_recall": {"skeleton_recall": 1.0}},
        ("cldice", "components off", "recall", "dice"),
    ),
    "lesions": Task(lesions, {"blob": {"blob": 1.0}}, ("f1@0.5", "found", "false", "dice")),
    "small": Task(small, {"boundary": {"boundary": 0.01}}, ("hd95", "nsd@1mm", "dice")),
}


def images_of(task: Task, first: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, 1, side, side) and labels (N, side, side), each drawn from a seed of its own."""
    drawn = [task.draw(np.random.default_rng(first + k)) for k in range(count)]
    images = torch.tensor(np.stack([image for image, _ in drawn]), dtype=torch.float32)[:, None]
    return images, torch.tensor(np.stack([mask for _, mask in drawn]), dtype=torch.long)


def batches(images: torch.Tensor, labels: torch.Tensor, steps: int, seed: int) -> Iterator[Any]:
    """Batches drawn at random, each turned and mirrored as one."""
    random = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = torch.from_numpy(random.choice(len(images), BATCH, replace=False))
        turns, mirrored = int(random.integers(4)), bool(random.integers(2))
        pair = [torch.rot90(array[chosen], turns, (-2, -1)) for array in (images, labels)]
        yield [array.flip(-1) if mirrored else array for array in pair]


def learn(task: Task, loss: dict[str, float], steps: int, seed: int) -> torch.nn.Module:
    """A network after so many steps of AdamW, with the learning rate of medseg's own runs."""
    torch.manual_seed(seed)
    arguments = {"features": [12, 24, 48], "strides": [[1, 1], [2, 2], [2, 2]], "kernels": [[3, 3]] * 3}
    network = build_network("unet", channels=1, classes=2, dimensions=2, arguments=arguments).train()
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-2)
    config = LossConfig(**loss)
    structures = StructureLoss(config)
    for step, (images, labels) in enumerate(batches(*images_of(task, 0, TRAINED), steps, seed)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step / steps, peak=RATE, warm_up=0.05, shape="cosine")
        scores = network(images)
        optimizer.zero_grad()
        (segmentation_loss(scores, labels, config) + structures(scores, labels)).backward()
        optimizer.step()
    return network.eval()


@torch.no_grad()
def measured(task: Task, network: torch.nn.Module) -> dict[str, list[float]]:
    """Each measure of each held-out image."""
    images, labels = images_of(task, 100_000, HELD_OUT)
    scores = network(images)
    found = (scores if isinstance(scores, torch.Tensor) else scores[0]).argmax(1).numpy()
    rows: dict[str, list[float]] = {name: [] for name in task.measures}
    for reference, prediction in zip(labels.numpy(), found, strict=True):
        maps = [LabelMap(m[..., None].astype(np.uint8), GEOMETRY, TABLE) for m in (reference, prediction)]
        values = measure_case(maps[0], maps[1], {"structure": (1,)}, MEASURES).values["structure"]
        counts = [label(m, np.ones((3, 3)))[1] for m in (reference, prediction)]
        own = {
            "components off": abs(counts[0] - counts[1]),
            "found": values["objects_matched"] / max(values["objects_reference"], 1),
            "false": values["objects_prediction"] - values["objects_matched"],
        }
        for name in task.measures:
            value = own.get(name, values.get(name, float("nan")))
            rows[name].append(float(np.clip(value, None, SIDE)))
    return rows


def result(task: Task, name: str, loss: dict[str, float], given: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Measures and CPU seconds of one training; those of a finished one are read."""
    file = given.work / f"{name}-{given.steps}-{seed}.json"
    if not file.is_file():
        began = time.process_time()
        network = learn(task, loss, given.steps, seed)
        seconds = time.process_time() - began
        file.write_text(json.dumps({"seconds": seconds, **measured(task, network)}), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def print_costs() -> None:
    """CPU seconds of each loss and its gradient, for two patches that each hold one ellipsoid."""
    print("| patches | loss | CPU-s |\n|---|---|---|")
    for size in ((32, 40, 32), (96, 96, 96)):
        places = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in size], indexing="ij"), -1)
        labels = torch.from_numpy(np.stack([(places**2).sum(-1) < 0.5] * 2).astype(np.int64))
        scores = torch.randn(2, 2, *size, generator=torch.Generator().manual_seed(0))
        for loss in ("cldice", "skeleton_recall", "blob", "boundary"):
            structures = StructureLoss(LossConfig(**{loss: 1.0}))
            began = time.process_time()
            structures(scores.clone().requires_grad_(), labels).backward()
            print(f"| 2 of {' x '.join(map(str, size))} | {loss} | {time.process_time() - began:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", choices=list(TASKS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.cost:
        print(f"{machine()}\n")
        print_costs()
        return
    if given.work is None:
        parser.error("--work is needed")
    given.work.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}\n")
    for name, task in TASKS.items():
        if given.only not in (None, name):
            continue
        table = {}
        for loss, weights in {"Dice and cross-entropy": {}, **task.losses}.items():
            runs = [result(task, f"{name}-{loss}", weights, given, seed) for seed in range(given.seeds)]
            table[loss] = {m: np.array([run[m] for run in runs]) for m in task.measures}
            table[loss]["seconds"] = np.array([run["seconds"] for run in runs])
        print(f"\n**{name}**, {given.steps} steps, {given.seeds} seeds, {HELD_OUT} held-out images\n")
        print(f"| loss | {' | '.join(task.measures)} | CPU-s |\n|---|{'---|' * (len(task.measures) + 1)}")
        base = table["Dice and cross-entropy"]
        for loss, values in table.items():
            cells = []
            for m in task.measures:
                shown = f"{np.nanmean(values[m]):.3f}"
                if loss in task.losses:
                    by_image = np.nanmean(values[m] - base[m], axis=0)
                    error = np.nanstd(by_image, ddof=1) / np.sqrt(np.isfinite(by_image).sum())
                    shown += f" ({by_image[np.isfinite(by_image)].mean():+.3f} ± {error:.3f})"
                cells.append(shown)
            print(f"| {loss} | {' | '.join(cells)} | {values['seconds'].mean():.0f} |")


if __name__ == "__main__":
    main()
