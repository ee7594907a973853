"""How long a reader waits for what a click makes, by a random walker and by a model; writes docs/benchmarks/clicks.md.

    python benchmarks/bench_clicks.py
    python benchmarks/bench_clicks.py --clicks 5 --page /tmp/clicks.md

The random walker: a sphere of a third of the box in noise, its contrast 60, 30 and 20 with noise of 10, is drawn from
nothing by one voxel inside and one outside, drawn at random, and corrected by one click where a drawing of it that is
moved by 3 voxels is wrong. The model: the network of `configs/hippocampus.yaml` with channels
for clicks and random weights, in OpenVINO where that is installed, in a scan of 192 voxels a side; each click corrects
a sphere, once where all lies in one patch and once where patches of two and four times as wide voxels are looked at
too. Everything is measured in processes of its own, once as the CPU is and once held to AVX2. Times mean something on
a quiet machine only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from markdown import machine, table, write

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "clicks.md"
NOISE, CONTRASTS = 10.0, (60, 30, 20)
MOVED = 3  # voxels by which what the random walker corrects is wrong
SIDE = 192  # of the scan that the model is clicked in
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
COLUMNS = ["p50 s", "p95 s", "CPU-s, p50"]
Rows = dict[str, list[str]]


def main() -> None:
    """Measure in processes of their own, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=64, help="Voxels along each axis of the random walker's box.")
    parser.add_argument("--clicks", type=int, default=30, help="Clicks of each kind that the model answers.")
    parser.add_argument("--walks", type=int, default=6, help="Pairs of clicks that the random walker answers.")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--measure", choices=["model", "walker"], help="Measure one, and print it as JSON.")
    given = parser.parse_args()
    if given.measure:
        rows = model_rows(given.clicks) if given.measure == "model" else walker_rows(given.side, given.walks)
        print(json.dumps({"rows": rows, "machine": machine()}))
        return
    native, held = (_aside("model", given, limits) for limits in ({}, AVX2))
    walker = _aside("walker", given, {})
    write(
        given.page,
        "How long a click takes",
        [
            f"`python benchmarks/bench_clicks.py`: {given.clicks} clicks of each kind that a model answers, and "
            f"{given.walks} of each kind for the random walker, in the server's own code, without the way to the "
            "browser and back.",
            "## A model that takes clicks",
            "The network of `configs/hippocampus.yaml`, patches of 32 x 40 x 32 voxels, random weights. The first "
            f"click in a case is not among them: preparing the scan of {SIDE} voxels a side took "
            f"{native['prepare']} s and is done when a case is opened.",
            *(part for found in (native, held) for part in (f"On {found['machine']}:", table(COLUMNS, found["rows"]))),
            "## The random walker",
            f"In a scan of {given.side} voxels a side, without probabilities; Dice against the sphere that is clicked. "
            f"What is corrected is the sphere moved by {MOVED} voxels, with a Dice of {walker['before']}.",
            table([*COLUMNS, "lowest Dice", "median Dice"], walker["rows"]),
        ],
    )


def _aside(what: str, given: argparse.Namespace, limits: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", what, "--clicks", str(given.clicks)]
    command += ["--side", str(given.side), "--walks", str(given.walks)]
    done = subprocess.run(command, env={**os.environ, **limits}, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for name in ("prepare", "before"):
        found[name] = found["rows"].pop(name, [""])[0]
    return found


def model_rows(clicks: int) -> Rows:
    """Seconds of clicks in one patch, and of clicks that look farther."""
    from medseg.infer.clicks.interaction import Interaction
    from medseg.infer.clicks.model import ClickModel
    from medseg.infer.clicks.session import ClickSession, Present
    from medseg.types import Geometry, Scan

    rng = np.random.default_rng(0)
    scan = Scan(rng.normal(size=(1, SIDE, SIDE, SIDE)).astype(np.float32), Geometry(np.eye(4), (SIDE,) * 3), "MR")
    with tempfile.TemporaryDirectory() as folder:
        model = ClickModel(package_of_clicks(Path(folder)))
        before = time.perf_counter()
        session = ClickSession(model, scan)
        rows: Rows = {"prepare": [f"{time.perf_counter() - before:.2f}"]}
        grid = np.indices((SIDE,) * 3) - SIDE / 2
        away = np.sqrt((grid**2).sum(axis=0))
        present = Present((0, 0, 0), away < 10)

        def click(middle: float) -> Callable[[], object]:
            def work() -> object:
                place = (SIDE / 2 + rng.normal(0, middle, 3)).astype(int)
                return session.answer(present, [Interaction(place[None]), Interaction(place[None] + 3, True)])

            return work

        real = model.probability

        def as_it_is(image: Any, mask: Any, interactions: Any) -> Any:
            real(image, mask, interactions)  # computed, and put aside: nothing changes, so one patch is enough
            return mask.astype(np.float32)

        def everything(image: Any, mask: Any, interactions: Any) -> Any:
            real(image, mask, interactions)
            return np.ones_like(mask, np.float32)  # reaches every face, so that coarser patches are looked at

        for name, answer in (("one patch", as_it_is), ("three patches, the widest of 128 x 160 x 128", everything)):
            model.probability = answer  # type: ignore[method-assign]
            rows[name] = _times([click(2.0) for _ in range(clicks + 2)])
    return rows


def package_of_clicks(folder: Path) -> Any:
    """A package of the shipped size that takes clicks, its weights random."""
    import torch

    from medseg.config.load import read_yaml
    from medseg.models.card import ClassCard, ModelCard, NetworkCard
    from medseg.models.interactive_card import InteractiveCard
    from medseg.models.package import write_package
    from medseg.models.registry import build_network
    from medseg.models.training_card import TrainingCard
    from medseg.prepare.card import InputCard
    from medseg.resources import find

    values = read_yaml(find("configs", "hippocampus"))
    network = NetworkCard.model_validate(values["network"])
    card = ModelCard(
        name="clicks",
        title="Random weights",
        classes=(ClassCard(value=1, name="anything"),),
        input=InputCard.model_validate(values["input"]),
        interactive=InteractiveCard(radius=3.0, decay=0.9),
        network=network,
        training=TrainingCard(data="none", license="none", cases=0, command="none", seed=0),
        weights_sha256="0" * 64,
    )
    torch.manual_seed(0)
    built = build_network(
        network.name, channels=card.channels, classes=card.n_outputs, dimensions=3, arguments=network.arguments
    )
    return write_package(folder / "clicks", card, built.state_dict())


def _times(works: list[Callable[[], object]]) -> list[str]:
    """Seconds and CPU-seconds of each; the first two warm up."""
    wall, cpu = [], []
    for work in works:
        started, before = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - before)
    wall, cpu = wall[2:], cpu[2:]
    return [f"{value:.3f}" for value in (np.percentile(wall, 50), np.percentile(wall, 95), np.median(cpu))]


def walker_rows(side: int, clicks: int) -> Rows:
    """Seconds and Dice of the random walker by the sphere's contrast, from nothing and corrected."""
    away = np.sqrt(((np.indices((side, side, side)) - (side - 1) / 2) ** 2).sum(axis=0))
    truth = away < side / 6
    moved = np.roll(truth, MOVED, axis=0)
    rows = {"before": [f"{_dice(moved, truth):.3f}"]}
    for name, present in (("from nothing", np.zeros_like(truth)), ("corrected", moved)):
        for contrast in CONTRASTS:
            rows[f"{name}, contrast {contrast}"] = _walked(truth, away > side / 4, present, contrast, clicks)
    return rows


def _walked(truth: np.ndarray, beyond: np.ndarray, present: np.ndarray, contrast: float, clicks: int) -> list[str]:
    from medseg.infer.clicks.interaction import Interaction
    from medseg.infer.clicks.session import Present
    from medseg.review.walker_answer import walker_answer

    rng = np.random.default_rng(0)
    found: list[float] = []

    def walk() -> None:
        scan = 40 + contrast * truth + rng.normal(0, NOISE, truth.shape)
        if present.any():
            place = _one_of(rng, present != truth)
            marks = [Interaction(place, not truth[tuple(place[0])])]
        else:
            marks = [Interaction(_one_of(rng, truth)), Interaction(_one_of(rng, beyond), is_outside=True)]
        box, is_class = walker_answer(scan, Present((0, 0, 0), present), marks, (1.0, 1.0, 1.0))
        after = present.copy()
        after[box.slices] = is_class
        found.append(_dice(after, truth))

    times = _times([walk] * (clicks + 2))
    return [*times, f"{min(found):.3f}", f"{np.median(found):.3f}"]


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def _one_of(rng: np.random.Generator, allowed: np.ndarray) -> np.ndarray:
    return rng.choice(np.argwhere(allowed), 1)


if __name__ == "__main__":
    main()
