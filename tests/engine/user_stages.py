"""A user's own filter, and a network that answers analytically, to test what comes between reading and the network."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage
from toy_stages import Toy

from medseg.types import Case, LabelClass, LabelMap, LabelTable, ModelIdentity, Prediction
from medseg.types.case_report import CaseReport
from medseg.types.quality import Flag
from medseg.types.stage import RunContext

TABLE = LabelTable((LabelClass(1, "bright"),))


class Median(Toy):
    """Median filter of a case's scans, as a user writes it: nothing declared but what it takes and gives."""

    def run(self, item: Case, context: RunContext) -> Case:
        scans = tuple(s.with_array(median(s.array[0])[None], s.geometry) for s in item.scans)
        return replace(item, scans=scans)


class MedianAhead(Median):
    runs = "ahead"


class Threshold(Median):
    """What is brighter than 50 is the class, and there is something to report."""

    runs = "main"

    def run(self, item: Case, context: RunContext) -> Prediction:
        labels = LabelMap((item.scan.array[0] > 50).astype(np.uint8), item.scan.geometry, TABLE)
        return Prediction(labels, ModelIdentity("threshold", "1", "0" * 64))

    def report(self, value: Prediction) -> CaseReport:
        return CaseReport((Flag("made by a threshold", 2.0),), notes=("above 50",))

    def source(self) -> tuple[str, str]:
        return "model", "threshold 1"


def median(array: np.ndarray) -> np.ndarray:
    return ndimage.median_filter(array, size=3)


def noisy(path: Path, seed: int) -> np.ndarray:
    """Write a box with salt and pepper, and return its voxels."""
    random = np.random.default_rng(seed)
    array = np.zeros((12, 14, 10), np.int16)
    array[3:9, 3:11, 2:8] = 100
    grains = random.random(array.shape) < 0.1
    array[grains] = random.choice([0, 100], grains.sum())
    nib.save(nib.Nifti1Image(array, np.diag([1.0, 1.0, 2.0, 1.0])), path)
    return array


STAGES = {"median": Median, "median-ahead": MedianAhead, "threshold": Threshold}
