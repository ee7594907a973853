"""Scans chosen to be labeled next: one bad scan stops nothing, none that is labeled is chosen, and none twice."""

import csv
import os
import shutil
from dataclasses import replace
from functools import partial

import clicks_package
import nibabel as nib
import numpy as np
import pytest
from combine_packages import composite, part
from networks_for_tests import tiny_card
from tiny_dataset import make_case, write_msd

import medseg
from medseg.engine.label_pool import find_pool
from medseg.models.card import NetworkCard
from medseg.models.package import write_package
from medseg.models.registry import build_network


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A dataset of two labeled cases, a folder of scans with all that can be wrong with one, and a model."""
    root = tmp_path_factory.mktemp("place")
    write_msd(root / "data", 2)
    heap = root / "heap"
    heap.mkdir()
    for number in range(5):
        image = make_case(10 + number)[0]
        nib.save(nib.Nifti1Image(image, np.eye(4)), heap / f"new_{number}.nii.gz")
    shutil.copy(heap / "new_3.nii.gz", heap / "new_3_again.nii.gz")
    shutil.copy(root / "data" / "imagesTr" / "case_01.nii.gz", heap / "renamed.nii.gz")
    (heap / "cut.nii.gz").write_bytes((heap / "new_0.nii.gz").read_bytes()[:3000])
    nib.save(nib.Nifti1Image(make_case(4)[1], np.eye(4)), heap / "drawn.nii.gz")
    nib.save(nib.Nifti1Image(np.stack([make_case(4)[0]] * 2, -1), np.eye(4)), heap / "two.nii.gz")
    arguments = {"features": [4, 8]}
    network = build_network("unet", channels=1, classes=3, dimensions=3, arguments=arguments)
    card = tiny_card(classes=("bright", "dark"), network=NetworkCard(name="unet", arguments=arguments))
    write_package(root / "model", card, network.state_dict())
    return root


def test_of_a_folder_with_all_that_can_be_wrong_the_rest_is_chosen_from(place, tmp_path, caplog):
    caplog.set_level("INFO", "medseg")
    out = tmp_path / "next.csv"
    found = medseg.label_next(place / "data", place / "model", scans=place / "heap", n=20, device="cpu", out=out)
    assert "2 labeled cases, 10 scans to choose from." in caplog.text
    assert sorted(one.case_id for one in found.cases) == [f"new_{number}" for number in range(5)]
    assert [one.rank for one in found.cases] == [1, 2, 3, 4, 5]
    assert all(one.path == place / "heap" / f"{one.case_id}.nii.gz" for one in found.cases)
    assert all(0 <= one.expected_dice <= 1 for one in found.cases)
    assert (found.labeled, found.candidates, found.exit_code) == (2, 10, 3)
    ended = {outcome.case_id: outcome for outcome in found.outcomes}
    wrong = {case_id: outcome for case_id, outcome in ended.items() if outcome.error}
    assert {case_id: one.state for case_id, one in wrong.items()} == {
        "cut": "failed",
        "drawn": "failed",
        "two": "withheld",
    }
    assert "truncated" in wrong["cut"].error
    assert wrong["drawn"].error == "its values are those of a label map"
    assert "2 channels or times" in wrong["two"].error
    twice = {case_id for case_id, outcome in ended.items() if outcome.notes}
    assert twice == {"new_3_again", "renamed"}
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["case_id"] for row in rows] == [one.case_id for one in found.cases]
    assert out.stat().st_mode & 0o077 == 0  # a path may name a patient

    first = medseg.label_next(place / "data", place / "model", scans=place / "heap", n=1, device="cpu").cases
    assert len(first) == 1  # another pool, of the three most uncertain, but the same figures
    assert first[0].expected_dice in [one.expected_dice for one in found.cases]


def test_without_a_label_the_most_uncertain_is_the_first(place, tmp_path):
    for number in range(3):
        shutil.copy(place / "heap" / f"new_{number}.nii.gz", tmp_path)
    found = medseg.label_next(tmp_path, place / "model", device="cpu")
    dice = [one.expected_dice for one in found.cases]
    assert len(dice) == 3
    assert dice[0] == min(dice)
    assert found.cases[0].reason == "number 1 of 3 by uncertainty"
    assert found.exit_code == 0


def test_a_scan_that_ends_the_process_costs_no_other(place, tmp_path, monkeypatch):
    for number in range(3):
        shutil.copy(place / "heap" / f"new_{number}.nii.gz", tmp_path)

    def with_a_fatal_one(*given):
        pool = find_pool(*given)
        first, fatal, last = pool.unlabeled
        return replace(pool, unlabeled=(first, replace(fatal, read=partial(os._exit, 9)), last))

    monkeypatch.setattr("medseg.engine.label_next.find_pool", with_a_fatal_one)
    found = medseg.label_next(tmp_path, place / "model", device="cpu")
    assert sorted(one.case_id for one in found.cases) == ["new_0", "new_2"]
    assert [outcome.state for outcome in found.outcomes] == ["done", "failed", "done"]
    assert found.exit_code == 3


def test_where_none_can_be_read_none_is_chosen(place, tmp_path):
    shutil.copy(place / "heap" / "cut.nii.gz", tmp_path)
    found = medseg.label_next(tmp_path, place / "model", device="cpu")
    assert (found.cases, found.exit_code) == ((), 4)


def test_a_folder_is_no_file_to_write_and_is_refused_before_any_work(place, tmp_path, monkeypatch):
    monkeypatch.setattr("medseg.engine.label_next.find_pool", None)
    with pytest.raises(medseg.errors.UsageError, match="is a folder, and this is to be a file"):
        medseg.label_next(place / "data", place / "model", out=tmp_path)


def test_models_without_probabilities_of_their_own_are_refused(place, tmp_path):
    part(tmp_path, "one")
    whole = composite(tmp_path, parts=[{"model": "one"}])
    with pytest.raises(medseg.UsageError, match="a composite has no probabilities"):
        medseg.label_next(place / "data", whole.folder)
    clicks = clicks_package.write_filling(tmp_path / "clicks")
    with pytest.raises(medseg.UsageError, match="takes clicks, and by itself finds nothing"):
        medseg.label_next(place / "data", clicks.folder)
