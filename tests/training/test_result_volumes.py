"""What results show of regions is what stays of each when later ones lie on top."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.training.result_volumes import result_volumes
from medseg.types import LabelClass, LabelTable

NAMES = {2: "whole", 1: "core", 4: "enhancing", 7: "cyst"}
TABLE = LabelTable(tuple(LabelClass(value, name) for value, name in NAMES.items()))
REGIONS = {2: (1, 2, 4, 7, 8), 1: (1, 4, 8), 4: (4, 8), 7: (7,)}
DATA = Dataset("x", Path(), "nnunet", (Channel("MR", "MR"),), TABLE, (DatasetCase("c", (Path("c"),)),), regions=REGIONS)


def test_volumes_are_those_of_the_folded_map():
    reference = np.random.default_rng(0).choice([0, 1, 2, 4, 7, 8], 500)
    folded = np.zeros_like(reference)
    for value, parts in DATA.regions.items():
        folded[np.isin(reference, parts)] = value
    whole = {NAMES[value]: float(np.isin(reference, parts).sum()) for value, parts in DATA.regions.items()}
    shown = result_volumes(DATA, whole)
    assert shown == {name: pytest.approx((folded == value).sum()) for value, name in NAMES.items()}
    assert result_volumes(replace(DATA, overlapping=True), whole) == whole


def test_what_is_not_annotated_is_not_guessed():
    known = {"whole": 9.0, "core": 4.0, "cyst": 1.0}
    assert result_volumes(DATA, known) == {"cyst": 1.0}
    assert result_volumes(DATA, {"enhancing": 2.0, "core": 5.0}) == {"enhancing": 2.0, "core": 3.0}
