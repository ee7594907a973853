"""What clicks gain on held-out cases: Dice after 0, 1, 3, 5 and 10, by a model trained here, a random walker, the pen.

    python benchmarks/bench_interactive.py HIPPOCAMPUS --work runs/interactive --config hippocampus

An automatic model is trained, with a shipped configuration or none, then one that takes clicks and starts from it, on
the same cases. Those held out are segmented by the automatic model, and every class is corrected by simulated readers.
What is there already in the work folder is not trained again. Writes a page of docs/benchmarks.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from interactive_readers import PEN_RADIUS, Reader, by_model, by_pen, by_walker
from markdown import table, write

import medseg
from medseg.data.reading import read_case
from medseg.infer.clicks.model import ClickModel
from medseg.infer.clicks.session import ClickSession
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.models.package import ModelPackage, load_package
from medseg.training.configure import Configurator
from medseg.training.options import TrainOptions

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "interactive.md"
NUMBERS = (0, 1, 3, 5, 10)
READERS = ("the model", "the random walker", "the pen")
RESAMPLES = 10_000
EPOCH = 25  # steps
Rows = list[dict[str, object]]


def main() -> None:
    """Train, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--config", help="A shipped configuration; without one, training plans by itself.")
    parser.add_argument("--set", action="append", default=[], help="Of both trainings' configuration.")
    parser.add_argument("--automatic", type=int, default=300, help="Steps of the automatic model.")
    parser.add_argument("--interactive", type=int, default=1000, help="Steps of the model that takes clicks.")
    parser.add_argument("--cases", type=int, default=50, help="Held-out cases, at most.")
    parser.add_argument("--title", default="hippocampus")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    packages = trained(given)
    rows = measured(given, packages)
    command = " ".join(["python benchmarks/bench_interactive.py DATASET --work WORK", *options(given)])
    tables = part(rows, packages["interactive"])
    write(given.page, f"Corrections by clicks: {given.title}", [*introduction(command), *tables])


def options(given: argparse.Namespace) -> list[str]:
    """The options that matter, as they are typed."""
    config = [] if given.config is None else [f"--config {given.config}"]
    settings = [f"--set '{one}'" for one in given.set]
    return [*config, *settings, f"--automatic {given.automatic} --interactive {given.interactive}"]


def trained(given: argparse.Namespace) -> dict[str, ModelPackage]:
    """The two models, trained where they are not there yet."""
    found: dict[str, ModelPackage] = {}
    for kind, count in (("automatic", given.automatic), ("interactive", given.interactive)):
        out = given.work / kind
        if not (out / "validation.csv").is_file():
            start = None if kind == "automatic" else found["automatic"].folder
            settings = [
                "tracking=false",
                f"iterations_per_epoch={EPOCH}",
                "checkpoint_every=120",
                *given.set,
            ]
            medseg.train(
                given.dataset,
                out,
                config=given.config,
                epochs=max(1, count // EPOCH),
                start=start,
                interactive=start is not None,
                settings=settings,
                device="cpu",
            )
        found[kind] = load_package(out / "model")
    return found


def measured(given: argparse.Namespace, packages: Mapping[str, ModelPackage]) -> Rows:
    """Dice by reader and number of interactions, for each class of each held-out case."""
    data = Configurator(TrainOptions(given.dataset, given.work, given.config)).source.data
    held_out = json.loads((given.work / "interactive" / "split.json").read_text())["validation"]
    predictor = Predictor(packages["automatic"], InferOptions(engine="torch", device="cpu", probabilities=True))
    model = ClickModel(packages["interactive"], InferOptions(device="cpu"))
    file = given.work / "results.json"
    rows: Rows = json.loads(file.read_text()) if file.is_file() else []
    done = {row["case"] for row in rows}
    for case in [case for case in data.labeled if case.case_id in held_out][: given.cases]:
        if case.case_id in done:
            continue
        scan, reference = read_case(data, case)
        prediction = predictor.segment(scan)
        session = ClickSession(model, scan)
        for channel, entry in enumerate(data.table, start=1):
            truth, start = reference.array == entry.value, prediction.labels.array == entry.value
            if not truth.any():
                continue
            probability = np.asarray(prediction.probabilities[channel], np.float32)
            readers = (by_model(session), by_walker(scan, probability), by_pen(truth))
            for name, correct in zip(READERS, readers, strict=True):
                curve = Reader(start, truth, correct).dice(NUMBERS)
                rows.append({"case": case.case_id, "class": entry.name, "reader": name, "dice": list(curve.values())})
        file.write_text(json.dumps(rows))
        logging.info("%s: %s", case.case_id, rows[-3]["dice"])
    return rows


def introduction(command: str) -> list[str]:
    """What was done, and what it does not show."""
    return [
        f"`{command}`: an automatic model of so many steps segments the cases that it held out. A model that takes "
        "clicks, trained on the same cases for so many steps and started from the automatic one, corrects each class. "
        "One thread, on a machine with other work. All readers are simulated: each interaction lies in the middle of "
        "the largest error left, wherever another class is drawn (**draw over** on).",
        f"The pen puts everything right within {PEN_RADIUS:g} voxels of that place in one slice, without a slip, which "
        "is generous; one stroke is counted as one click. The random walker has the automatic model's probabilities. "
        "Intervals are 95% by bootstrap over cases. The worst quarter is that of the classes and cases with the "
        "lowest Dice before any interaction.",
    ]


def part(rows: Rows, package: ModelPackage) -> list[str]:
    """Tables of the two ways to look at it: all classes, and those that need it most."""
    cases = sorted({str(row["case"]) for row in rows})
    curves = {reader: by_case(rows, reader) for reader in READERS}
    items = sum(len(one) for one in curves[READERS[0]].values())
    before = np.concatenate([np.array(curves[READERS[0]][case])[:, 0] for case in cases])
    limit = float(np.quantile(before, 0.25))
    whole, worst = {}, {}
    for reader, of_case in curves.items():
        whole[reader] = [interval([np.array(of_case[c])[:, k] for c in cases]) for k in range(len(NUMBERS))]
        low = [np.array([curve for curve in of_case[c] if curve[0] <= limit]).reshape(-1, len(NUMBERS)) for c in cases]
        low = [one for one in low if len(one)]
        gains = [interval([one[:, k] - one[:, 0] for one in low], signed=True) for k in range(1, len(NUMBERS))]
        worst[reader] = [interval([one[:, 0] for one in low]), *gains]
    columns = ["before", *(f"after {n}" for n in NUMBERS[1:])]
    return [
        f"{len(cases)} cases, {items} classes of cases. Patch {' x '.join(map(str, package.card.input.patch))} voxels. "
        f"Trained {package.card.training.duration}.",
        "Mean Dice:",
        table(columns, whole),
        f"The worst quarter (Dice of {limit:.3f} at most before any interaction), and what it gains:",
        table(["Dice before", *(f"after {n}" for n in NUMBERS[1:])], worst),
    ]


def by_case(rows: Rows, reader: str) -> dict[str, list[list[float]]]:
    """Curves of each case, one for each of its classes."""
    found: dict[str, list[list[float]]] = {}
    for row in rows:
        if row["reader"] == reader:
            found.setdefault(str(row["case"]), []).append(row["dice"])  # type: ignore[arg-type]
    return found


def interval(values: list[np.ndarray], *, signed: bool = False) -> str:
    """Mean over all classes of all cases, and its interval by bootstrap over cases."""
    sums, counts = np.array([one.sum() for one in values]), np.array([len(one) for one in values])
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    mean, form = sums.sum() / counts.sum(), "+.3f" if signed else ".3f"
    return f"{mean:{form}} ({low:{form}} to {high:{form}})"


if __name__ == "__main__":
    main()
