from pathlib import Path

from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.data.rare_classes import kept_in_training
from medseg.data.splits import Split, keep_in_training
from medseg.types import LabelClass, LabelTable


def dataset(groups=None, split=None):
    cases = tuple(DatasetCase(f"c{n}", (), Path("x"), (groups or {}).get(n), split) for n in range(6))
    return Dataset("x", Path(), "pairs", (Channel("a"),), LabelTable((LabelClass(1, "a"), LabelClass(2, "b"))), cases)


SIDE = {"c0": "validation", "c1": "validation", "c2": "validation", "c3": "train", "c4": "train", "c5": "train"}


def present(*with_b):
    return {f"c{n}": ("a", "b") if n in with_b else ("a",) for n in range(6)}


def test_a_class_that_only_held_out_cases_have_is_kept_in_training():
    assert kept_in_training(dataset(), SIDE, present(0, 4)) == {}
    assert kept_in_training(dataset(), SIDE, present(1)) == {"c1": "b"}
    assert kept_in_training(dataset(), SIDE, present(2, 1)) == {"c1": "b"}
    assert kept_in_training(dataset(), SIDE, present()) == {}


def test_a_patient_is_kept_as_a_whole_and_the_one_of_the_fewest_cases():
    assert kept_in_training(dataset({0: "p", 1: "p"}), SIDE, present(1)) == {"c0": "b", "c1": "b"}
    assert kept_in_training(dataset({0: "p", 1: "p"}), SIDE, present(1, 2)) == {"c2": "b"}


def test_the_datasets_own_split_stays():
    assert kept_in_training(dataset(split="validation"), SIDE, present(1)) == {}


def test_a_split_says_what_was_kept():
    split = Split("fold 0 of 2, seed 0", ("c3",), ("c0", "c1"))
    assert keep_in_training(split, ["c9"]) is split
    moved = keep_in_training(split, ["c1"])
    assert moved == Split("fold 0 of 2, seed 0; 1 case of a rare class kept in training", ("c1", "c3"), ("c0",))
