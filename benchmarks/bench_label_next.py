"""Which cases to draw next: uncertain and unlike one another, against random picks, as learning curves.

    python benchmarks/bench_label_next.py hippocampus=HIPPOCAMPUS nuclei=NUCLEI --work runs/label-next

For each dataset, with the shipped configuration of that name: some cases are set aside to measure by. Of the others a
few, drawn at random, are labeled; a model is trained on them, the next few are chosen, and a model is trained anew on
all so far. Every seed draws the first cases anew, and both ways begin with the same ones. What the work folder holds
is not trained again. Writes docs/benchmarks/label-next.md.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from bench_interactive import interval
from markdown import table, write

import medseg
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.reading import read_case
from medseg.infer.next_cases import POOL, choose_next, expected_dice, farthest, look, most_uncertain, standardized
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.models.package import load_package
from medseg.training.configure import Configurator
from medseg.training.options import TrainOptions

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "label-next.md"
WAYS = ("random", "uncertain", "unlike", "uncertain and unlike")
EPOCH = 25  # steps


def main() -> None:
    """Train, choose, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", metavar="CONFIG=DATASET")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--first", type=int, default=6, help="Labeled cases at first.")
    parser.add_argument("--each", type=int, default=6, help="Cases chosen in each round.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--test", type=int, default=50, help="Cases set aside to measure by.")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["random", "uncertain and unlike"])
    parser.add_argument("--features", default="[8,16,32,64]", help="Features of the network's stages.")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parts = [part for one in given.datasets for part in of_dataset(*one.partition("=")[::2], given)]
    write(given.page, "Which cases to draw next", [introduction(given), *parts])


def of_dataset(config: str, folder: str, given: argparse.Namespace) -> list[str]:
    """Learning curves of one dataset, as paragraphs."""
    data = Configurator(TrainOptions(Path(folder), given.work / config, config)).source.data
    order = np.random.default_rng(0).permutation(len(data.labeled))
    test = [data.labeled[k] for k in order[: given.test]]
    pool = [data.labeled[k] for k in order[given.test :]]
    curves: dict[str, list[list[float]]] = {way: [] for way in given.ways}
    for seed in range(given.seeds):
        first = np.random.default_rng(1000 + seed).choice(len(pool), given.first, replace=False).tolist()
        for way in given.ways:
            chosen, curve = list(first), []
            random = np.random.default_rng(2000 + seed)
            for number in range(given.rounds + 1):
                name = f"{config}/{seed}/{'first' if number == 0 else way.replace(' ', '-')}-{len(chosen)}"
                round_ = Round(data, Path(folder), config, given.work / name, given)
                curve.append(round_.dice([pool[k] for k in chosen], test))
                if number < given.rounds:
                    left = [k for k in range(len(pool)) if k not in chosen]
                    chosen += round_.next_cases(way, pool, chosen, left, given.each, random)
            curves[way].append(curve)
            logging.info("%s, seed %d, %s: %s", config, seed, way, np.round(curve, 4).tolist())
    return paragraphs(config, given, len(test), len(pool), curves)


class Round:
    """A model trained on the cases labeled so far, and what it finds in others."""

    def __init__(self, data: Dataset, folder: Path, config: str, out: Path, given: argparse.Namespace) -> None:
        self.data, self.folder, self.config, self.out, self.given = data, folder, config, out, given

    def dice(self, labeled: Sequence[DatasetCase], test: Sequence[DatasetCase]) -> float:
        """Mean Dice over classes and test cases of a model trained on the labeled ones."""
        result = self.out / "dice.json"
        if not result.is_file():
            shutil.rmtree(self.out, ignore_errors=True)
            lay_out(self.folder, [case.case_id for case in labeled], self.out / "data")
            medseg.train(
                self.out / "data",
                self.out / "run",
                config=self.config,
                epochs=self.given.steps // EPOCH,
                settings=[
                    "tracking=false",
                    "split.folds=1",
                    f"iterations_per_epoch={EPOCH}",
                    f"network.arguments.features={self.given.features}",
                ],
                device="cpu",
            )
            of_case = []
            for case in test:
                scan, reference = read_case(self.data, case)
                found = self._predictor().segment(scan).probabilities
                of_case.append(overlap(found, reference.array, [entry.value for entry in self.data.table]))
            result.write_text(json.dumps(float(np.mean(of_case))))
        return float(json.loads(result.read_text()))

    def next_cases(
        self,
        way: str,
        pool: Sequence[DatasetCase],
        chosen: Sequence[int],
        left: Sequence[int],
        count: int,
        random: np.random.Generator,
    ) -> list[int]:
        """Return the numbers in the pool of the cases to label next."""
        if way == "random":
            return [int(k) for k in random.choice(left, count, replace=False)]
        dice, looks = self._looked_at([pool[k] for k in (*chosen, *left)])
        known = len(chosen)
        if way == "uncertain":
            taken = most_uncertain(dice, known)[:count]
        elif way == "unlike":
            taken = farthest(standardized(looks), range(known), range(known, len(looks)), count)
        else:
            taken = choose_next(dice, looks, known, count)
        everything = [*chosen, *left]
        return [everything[k] for k in taken]

    def _predictor(self) -> Predictor:
        if not hasattr(self, "_loaded"):
            options = InferOptions(engine="torch", device="cpu", probabilities=True)
            self._loaded = Predictor(load_package(self.out / "run" / "model"), options)
        return self._loaded

    def _looked_at(self, cases: Sequence[DatasetCase]) -> tuple[list[float], list[list[float]]]:
        """Return which Dice the model expects of each case, and what each looks like."""
        dice, looks = [], []
        for case in cases:
            scan, _ = read_case(self.data, case)
            found = self._predictor().segment(scan).probabilities
            assert found is not None
            dice.append(expected_dice(found))
            looks.append(look(scan.array, found))
        return dice, looks


def overlap(found: npt.NDArray[np.floating] | None, reference: npt.NDArray[np.integer], values: list[int]) -> float:
    """Mean Dice over the classes; of objects, of all that is one."""
    assert found is not None
    winner = found.argmax(0)
    if len(values) > 1:
        pairs = [(winner == channel, reference == value) for channel, value in enumerate(values, start=1)]
    else:
        pairs = [(winner > 0, reference > 0)]
    sums = [(int(a.sum()) + int(b.sum()), int((a & b).sum())) for a, b in pairs]
    return float(np.mean([2 * both / size if size else 1.0 for size, both in sums]))


def lay_out(dataset: Path, cases: Sequence[str], folder: Path) -> None:
    """Lay out a dataset of some cases alone, as links to the files of another."""
    for path in sorted(dataset.glob("*/*")):
        if path.name.split(".")[0] in cases:
            (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
            (folder / path.parent.name / path.name).symlink_to(path.resolve())
    if (dataset / "dataset.json").is_file():
        described = json.loads((dataset / "dataset.json").read_text())
        kept = [one for one in described["training"] if Path(one["image"]).name.split(".")[0] in cases]
        described |= {"training": kept, "numTraining": len(kept), "test": [], "numTest": 0}
        (folder / "dataset.json").write_text(json.dumps(described))


def introduction(given: argparse.Namespace) -> str:
    """What was done."""
    # By name: where the datasets lie is of no use elsewhere.
    named = " ".join(
        f"{name}={Path(folder).name.upper()}" for name, _, folder in (one.partition("=") for one in given.datasets)
    )
    return (
        f"`python benchmarks/bench_label_next.py {named} --work WORK --seeds {given.seeds} --steps "
        f"{given.steps} --first {given.first} --each {given.each}`: a model is trained for {given.steps} steps on "
        f"{given.first} labeled cases, {given.each} are chosen among the others, a model is trained on all of them, "
        "and so on. **Random** draws them. **Uncertain** takes those whose Dice would be lowest were the model's "
        "probabilities right; **unlike** those that lie farthest from what is labeled, by gray values, contrast and "
        f"the classes' shares; **uncertain and unlike** the latter among the {POOL * given.each} most uncertain. All "
        "start with the same cases. Intervals are 95% by bootstrap over seeds, and rough: few seeds. "
        "**Uncertain and unlike** is what `medseg label-next` does. The network is small and trained for a short time, "
        "on few cases; what it is worth in longer trainings, with more cases or on other datasets was not measured."
    )


def paragraphs(
    config: str, given: argparse.Namespace, test: int, pool: int, curves: dict[str, list[list[float]]]
) -> list[str]:
    """Tables of one dataset."""
    numbers = [given.first + given.each * k for k in range(given.rounds + 1)]
    dice = {
        way: [interval([np.array([seed[k]]) for seed in of]) for k in range(len(numbers))] for way, of in curves.items()
    }
    base = np.array(curves[given.ways[0]])
    for way in given.ways[1:]:
        gain = np.array(curves[way]) - base
        dice[f"{way}, less {given.ways[0]}"] = [
            "" if k == 0 else interval([np.array([seed[k]]) for seed in gain], signed=True) for k in range(len(numbers))
        ]
    columns = [f"{n} cases" for n in numbers]
    return [
        f"## {config}",
        f"{pool} cases to choose from, {test} others to measure by, {given.seeds} seeds. Mean Dice:",
        table(columns, dice),
    ]


if __name__ == "__main__":
    main()
