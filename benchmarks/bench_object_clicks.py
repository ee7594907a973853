"""What one click does to objects: nuclei made, cut apart and deleted by a model that takes clicks, on held-out images.

    python benchmarks/bench_object_clicks.py NUCLEI --work runs/object-clicks

Trains, unless the work folder has it, a model that takes clicks about single objects (`interactive.objects`) from the
shipped nuclei model, whose held-out images stay held out. NUCLEI holds `images/` and `instances/`. On each held-out
image a few objects are drawn at random: one that is not there is made by a click in its middle; one that lies on the
background is deleted by a click; of two that touch and are one object, the click takes the smaller away. Writes
docs/benchmarks/object-clicks.md.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bench_interactive import interval
from markdown import table, write
from scipy.ndimage import binary_dilation, distance_transform_edt

import medseg
from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.model import ClickModel
from medseg.infer.clicks.session import ClickSession, Present
from medseg.infer.options import InferOptions
from medseg.io.read import load_scan, read_labels
from medseg.models.package import load_package

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "object-clicks.md"
SMALLEST = 30  # voxels of an object that is looked at
EPOCH = 25  # steps
SETTINGS = ("tracking=false", "interactive.objects=true", "border_mm=null", "post=[]")
TRIES = 200  # of places on the background
GOALS = {"made": 0.5, "cut apart": 0.8, "deleted": 0.95}
KINDS = tuple(GOALS)
Mask = npt.NDArray[np.bool_]


def main() -> None:
    """Train, click, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--objects", type=int, default=4, help="Of each kind in each image, at most.")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    out = given.work / "objects"
    if not (out / "validation.csv").is_file():
        medseg.train(
            given.dataset,
            out,
            config="nuclei",
            epochs=given.steps // EPOCH,
            start="nuclei",
            interactive=True,
            settings=[*SETTINGS, f"iterations_per_epoch={EPOCH}"],
            device="cpu",
        )
    held_out = sorted(json.loads((out / "split.json").read_text())["validation"])
    model = ClickModel(load_package(out / "model"), InferOptions(device="cpu"))
    found: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for number, case in enumerate(held_out):
        scan = load_scan(given.dataset / "images" / f"{case}.png")
        reference = read_labels(given.dataset / "instances" / f"{case}.png").array
        session = ClickSession(model, scan)
        trials = {"made": made, "cut apart": cut_apart, "deleted": deleted}
        for kind, trial in trials.items():
            random = np.random.default_rng([number, KINDS.index(kind)])
            values = [value for _, value in zip(range(given.objects), trial(session, reference, random), strict=False)]
            found[kind].append(np.array(values))
    (given.work / "clicks.json").write_text(json.dumps({kind: [v.tolist() for v in of] for kind, of in found.items()}))
    write(given.page, "One click and objects", paragraphs(given, len(held_out), found))


def made(session: ClickSession, reference: npt.NDArray[np.integer], random: np.random.Generator) -> Iterator[float]:
    """How well objects that are not there are made: their overlap with the reference's."""
    for truth in objects(reference, random):
        yield iou(clicked(session, np.zeros(truth.shape, bool), innermost(truth), is_outside=False), truth)


def cut_apart(
    session: ClickSession, reference: npt.NDArray[np.integer], random: np.random.Generator
) -> Iterator[float]:
    """How well a click on the smaller of two touching objects, joined to one, takes it away and leaves the larger.

    Yields the smaller of two fractions: of the one that is gone, and of the other that is kept.
    """
    for one in objects(reference, random):
        near = np.unique(reference[binary_dilation(one, np.ones((3, 3, 1))) & ~one])
        for value in near[near > 0][:1]:
            larger, smaller = sorted((one, reference == value), key=np.count_nonzero, reverse=True)
            if smaller.sum() >= SMALLEST:
                left = clicked(session, larger | smaller, innermost(smaller), is_outside=True)
                yield min(1 - fraction(left, smaller), fraction(left, larger))


def deleted(session: ClickSession, reference: npt.NDArray[np.integer], random: np.random.Generator) -> Iterator[float]:
    """How much of an object on the background is gone."""
    for one in objects(reference, random):
        for _ in range(TRIES):
            moved = np.roll(one, [int(random.integers(n)) for n in one.shape], axis=(0, 1, 2))
            if not (moved & (reference > 0)).any():
                left = clicked(session, moved, innermost(moved), is_outside=True)
                yield 1 - fraction(left, moved)
                break


def objects(reference: npt.NDArray[np.integer], random: np.random.Generator) -> Iterator[Mask]:
    """The reference's objects in random order, without the smallest."""
    values, counts = np.unique(reference[reference > 0], return_counts=True)
    for value in random.permutation(values[counts >= SMALLEST]):
        yield reference == value


def clicked(session: ClickSession, present: Mask, at: npt.NDArray[np.int64], *, is_outside: bool) -> Mask:
    """The object in hand after one click."""
    answer = session.answer(Present((0, 0, 0), present), [Interaction(at[None], is_outside)])
    after = present.copy()
    after[answer.box.slices] = answer.is_class
    return after


def innermost(mask: Mask) -> npt.NDArray[np.int64]:
    """The voxel farthest from the border."""
    depth = distance_transform_edt(np.pad(mask[:, :, 0], 1))[1:-1, 1:-1, None]
    return np.array(np.unravel_index(int(depth.argmax()), depth.shape), np.int64)


def fraction(left: Mask, of: Mask) -> float:
    """How much of a mask is there."""
    return float(np.count_nonzero(left & of) / np.count_nonzero(of))


def iou(a: Mask, b: Mask) -> float:
    return float(np.count_nonzero(a & b) / max(1, np.count_nonzero(a | b)))


def paragraphs(given: argparse.Namespace, images: int, found: dict[str, list[np.ndarray]]) -> list[str]:
    """What was done, and how often it did what was meant."""
    rows = {}
    for kind, of in found.items():
        some = [one for one in of if len(one)]
        goal = GOALS[kind]
        rate = interval([(one >= goal).astype(float) for one in some])
        rows[kind] = [sum(map(len, some)), rate, interval(some)]
    return [
        f"`python benchmarks/bench_object_clicks.py NUCLEI --work WORK --steps {given.steps}`: a model that takes "
        f"clicks about single objects, trained {given.steps} steps from the shipped nuclei model, on {images} images "
        f"that both held out, at most {given.objects} objects of each kind an image, drawn at random, a click each in "
        "the object's innermost voxel. Intervals are 95% by bootstrap over images.",
        "**Made**: nothing is there, a click inside; overlap (IoU) with the reference's object, and how often it is at "
        "least .5. **Cut apart**: two objects that touch are joined to one, a click on the smaller as wrong; the "
        "lesser of how much of it is gone and how much of the larger is kept, and how often both are at least 80%. "
        "**Deleted**: an object moved onto the background, a click on it as wrong; how much of it is gone, and how "
        "often at least 95%.",
        table(["objects", "how often it did", "mean"], rows),
    ]


if __name__ == "__main__":
    main()
