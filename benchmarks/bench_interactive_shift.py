"""How many clicks a shifted dataset needs, before and after training on corrected cases of it.

    python benchmarks/bench_interactive_shift.py HIPPOCAMPUS --work runs/interactive

Takes the two models that `bench_interactive.py` left in the work folder, and simulates two shifts (`shifted`): another
scanner, with another contrast curve, a bias field, blur and noise; and another sequence of it, in which what was bright
is dark. Of the cases that both models held out, as many as `--corrected` are taken as corrected by a reader, without a
slip, and the model that takes clicks is trained further on them by `medseg train --interactive --from`; the others are
segmented by the automatic model and corrected by simulated clicks with both. Writes
docs/benchmarks/interactive-shift.md.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from bench_interactive import NUMBERS, interval
from interactive_readers import Reader, by_model
from markdown import table, write
from scipy.ndimage import gaussian_filter, zoom

import medseg
from medseg.data.reading import read_case
from medseg.infer.clicks.model import ClickModel
from medseg.infer.clicks.session import ClickSession
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.models.package import load_package
from medseg.training.configure import Configurator
from medseg.training.options import TrainOptions

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "interactive-shift.md"
GAMMA, BIAS, BLUR, NOISE = 1.8, 0.3, 0.7, 0.1  # exponent; fraction; voxels; of the range of gray values
GOALS = (0.80, 0.85, 0.90)
EPOCH = 25  # steps
MODELS = ("before", "after")
SHIFTS = ("scanner", "sequence")


def main() -> None:
    """Make the shifted cases, train on some, measure on the others, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="Where bench_interactive.py left its models.")
    parser.add_argument("--corrected", type=int, default=20)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    held_out = sorted(json.loads((given.work / "interactive" / "split.json").read_text())["validation"])
    corrected, others = held_out[: given.corrected], held_out[given.corrected :]
    curves = {shift: of_shift(given, shift, corrected, others) for shift in SHIFTS}
    tables = [paragraph for shift in SHIFTS for paragraph in part(shift, curves[shift])]
    write(given.page, "Clicks on scans of another scanner", [*introduction(given, len(others)), *tables])


def of_shift(
    given: argparse.Namespace, shift: str, corrected: list[str], others: list[str]
) -> dict[str, npt.NDArray[np.float64]]:
    """Train further on corrected cases of one shift; Dice by model on the others."""
    file, work = given.work / f"{shift}.json", given.work / shift
    if not file.is_file():
        for name, cases in {"corrected": corrected, "others": others}.items():
            lay_out(given.dataset, cases, work / name, inverted=shift == "sequence")
        start, out = given.work / "interactive" / "model", work / "further"
        if not (out / "validation.csv").is_file():
            medseg.train(
                work / "corrected",
                out,
                epochs=given.steps // EPOCH,
                start=start,
                interactive=True,
                settings=["tracking=false", f"iterations_per_epoch={EPOCH}", "split.folds=5"],
                device="cpu",
            )
        packages = {"before": start, "after": out / "model"}
        found = measured(work / "others", given.work / "automatic" / "model", packages)
        file.write_text(json.dumps({name: one.tolist() for name, one in found.items()}))
    return {name: np.array(one) for name, one in json.loads(file.read_text()).items()}


def shifted(image: npt.NDArray[np.floating], random: np.random.Generator, *, inverted: bool) -> npt.NDArray[np.float32]:
    """A scan as another scanner might have made it; x, y, z as they are."""
    low, high = np.percentile(image, (0.5, 99.5))
    gray = np.clip((image - low) / (high - low), 0, 1) ** GAMMA
    gray = 1 - gray if inverted else gray
    coarse = random.uniform(1 - BIAS, 1 + BIAS, (3, 3, 3))
    field = zoom(coarse, [n / 3 for n in image.shape], order=1, grid_mode=True, mode="nearest")
    noisy = gaussian_filter(gray * field, BLUR) + random.normal(0, NOISE, image.shape)
    return (1000 * np.abs(noisy)).astype(np.float32)


def lay_out(dataset: Path, cases: list[str], folder: Path, *, inverted: bool) -> None:
    """A dataset of shifted scans with the labels they had."""
    described = json.loads((dataset / "dataset.json").read_text())
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(cases):
        image = nib.load(dataset / "imagesTr" / f"{case}.nii.gz")
        array = shifted(np.asarray(image.dataobj, np.float64), np.random.default_rng(number), inverted=inverted)
        nib.save(nib.Nifti1Image(array, image.affine), folder / "imagesTr" / f"shifted_{case}.nii.gz")
        shutil.copyfile(dataset / "labelsTr" / f"{case}.nii.gz", folder / "labelsTr" / f"shifted_{case}.nii.gz")
    files = [f"shifted_{case}.nii.gz" for case in cases]
    named = [{"image": f"./imagesTr/{file}", "label": f"./labelsTr/{file}"} for file in files]
    described |= {"numTraining": len(cases), "training": named, "numTest": 0, "test": []}
    (folder / "dataset.json").write_text(json.dumps(described))


def measured(dataset: Path, automatic: Path, packages: dict[str, Path]) -> dict[str, npt.NDArray[np.float64]]:
    """Dice by model, of each case, class and number of clicks from 0 to the most."""
    data = Configurator(TrainOptions(dataset, dataset / "out")).source.data
    predictor = Predictor(load_package(automatic), InferOptions(engine="torch", device="cpu"))
    models = {name: ClickModel(load_package(path), InferOptions(device="cpu")) for name, path in packages.items()}
    found: dict[str, list[list[list[float]]]] = {name: [] for name in packages}
    numbers = tuple(range(max(NUMBERS) + 1))
    for case in data.labeled:
        scan, reference = read_case(data, case)
        labels = predictor.segment(scan).labels.array
        for name, model in models.items():
            session = ClickSession(model, scan)
            of_case = []
            for entry in data.table:
                truth = reference.array == entry.value
                curve = Reader(labels == entry.value, truth, by_model(session)).dice(numbers)
                of_case.append(list(curve.values()))
            found[name].append(of_case)
        logging.info("%s: %s", case.case_id, {name: np.round(of[-1], 3)[:, ::5].tolist() for name, of in found.items()})
    return {name: np.array(of) for name, of in found.items()}


def needed(curves: npt.NDArray[np.float64], goal: float) -> npt.NDArray[np.int64]:
    """Clicks until a Dice is reached, of each case and class; one more than were made where it never is."""
    reached = curves >= goal
    return np.where(reached.any(-1), reached.argmax(-1), curves.shape[-1])


def introduction(given: argparse.Namespace, cases: int) -> list[str]:
    """What was done."""
    return [
        f"`python benchmarks/bench_interactive_shift.py DATASET --work WORK --corrected {given.corrected} --steps "
        f"{given.steps}`: a model that takes clicks, trained on scans of one scanner, is trained {given.steps} steps "
        f"on {given.corrected} corrected cases of another (`medseg train --interactive --from`; a fifth of them is "
        f"held out by that run). On {cases} cases that neither has learned from, segmented by the automatic model, "
        "each class is corrected by simulated clicks in the middle of the largest error left. Intervals are 95% by "
        "bootstrap over cases; differences are paired.",
        f"The other scanner is simulated: gray values to the power of {GAMMA}, a smooth field of up to {BIAS:.0%}, "
        f"blur of {BLUR} voxels, noise of {NOISE:.0%} of the range; the other sequence has them inverted besides. "
        "Corrections are the references, so without a slip.",
    ]


def part(shift: str, curves: dict[str, npt.NDArray[np.float64]]) -> list[str]:
    """Dice by clicks, and clicks by Dice, of one shift."""
    dice, clicks = {}, {}
    for name in MODELS:
        dice[name] = [interval(list(curves[name][:, :, number])) for number in NUMBERS]
        clicks[name] = [interval(list(needed(curves[name], goal).astype(float))) for goal in GOALS]
    difference = curves["after"] - curves["before"]
    dice["difference"] = [interval(list(difference[:, :, number]), signed=True) for number in NUMBERS]
    fewer = {goal: needed(curves["after"], goal) - needed(curves["before"], goal) for goal in GOALS}
    clicks["difference"] = [interval(list(one.astype(float)), signed=True) for one in fewer.values()]
    return [
        f"## Another {shift}",
        "Mean Dice by number of clicks:",
        table([f"after {n}" for n in NUMBERS], dice),
        f"Clicks until a Dice is reached ({max(NUMBERS) + 1} where {max(NUMBERS)} did not do):",
        table([f"{goal:.2f}" for goal in GOALS], clicks),
    ]


if __name__ == "__main__":
    main()
