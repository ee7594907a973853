import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.data.dataset import DatasetCase
from medseg.data.splits import Split, fold_of, folds_to_cross, sides, split_cases, without
from medseg.errors import ConfigError


def cases(count, groups=None, split=None):
    group = [None if groups is None else f"patient {n % groups}" for n in range(count)]
    return [DatasetCase(f"case_{n:03}", (), group=group[n], split=split) for n in range(count)]


@given(count=st.integers(5, 60), folds=st.integers(2, 5), seed=st.integers(0, 99))
def test_folds_cover_every_case_once_and_are_of_equal_size(count, folds, seed):
    every = cases(count)
    held_out = [split_cases(every, folds=folds, fold=f, seed=seed) for f in range(folds)]
    assert sorted(c for s in held_out for c in s.validation) == [c.case_id for c in every]
    sizes = [len(s.validation) for s in held_out]
    assert max(sizes) - min(sizes) <= 1
    for split in held_out:
        assert set(split.train).isdisjoint(split.validation)
        assert len(split.train) + len(split.validation) == count


@given(seed=st.integers(0, 99), groups=st.integers(3, 8))
def test_a_group_is_on_one_side(seed, groups):
    every = cases(30, groups=groups)
    assigned = fold_of(every, folds=3, seed=seed)
    for case in every:
        assert assigned[case.case_id] == assigned[next(c.case_id for c in every if c.group == case.group)]


def test_the_order_in_which_cases_are_listed_does_not_matter():
    every = cases(20)
    shuffled = random.Random(0).sample(every, len(every))
    assert split_cases(every, folds=4, fold=1, seed=0) == split_cases(shuffled, folds=4, fold=1, seed=0)
    assert split_cases(every, folds=4, fold=1, seed=0) != split_cases(every, folds=4, fold=1, seed=1)


def test_the_split_is_the_same_for_ever():
    """Cards name splits by fold and seed: what they mean must not change."""
    assert split_cases(cases(8), folds=4, fold=0, seed=0).validation == ("case_000", "case_003")


def test_the_datasets_own_split_wins():
    every = [*cases(3, split="train"), DatasetCase("other", (), split="validation")]
    split = split_cases(every, folds=2, fold=1, seed=5)
    assert split.validation == ("other",)
    assert split.name == "as the dataset gives it"


def test_one_fold_holds_nothing_out():
    assert split_cases(cases(3), folds=1, fold=0, seed=0).validation == ()


def test_what_cannot_be_split_is_refused():
    with pytest.raises(ConfigError, match="3 cases or groups"):
        split_cases(cases(12, groups=3), folds=4, fold=0, seed=0)
    with pytest.raises(ConfigError, match="no fold 4"):
        split_cases(cases(12), folds=4, fold=4, seed=0)


@pytest.mark.parametrize(("count", "held_out"), [(5, 1), (50, 10), (100, 20), (160, 20), (208, 21), (1000, 100)])
def test_one_model_holds_out_about_twenty_cases(count, held_out):
    split = split_cases(cases(count), folds=None, fold=0, seed=0)
    assert len(split.validation) == held_out
    assert len(split.train) == count - held_out


@pytest.mark.parametrize(("count", "folds"), [(2, 2), (3, 3), (4, 4), (5, 5)])
def test_few_cases_are_left_out_one_by_one(count, folds):
    assert folds_to_cross(cases(count)) == folds
    split = split_cases(cases(count), folds=None, fold=0, seed=0)
    assert split.name == f"leave-one-out, fold 0 of {folds}, seed 0"
    assert len(split.validation) == 1
    assert len(split.train) == count - 1


def test_one_case_or_one_group_is_trained_on():
    alone = split_cases(cases(1), folds=None, fold=0, seed=0)
    assert alone == Split("nothing held out, because there is one case or group", ("case_000",), ())
    together = split_cases(cases(6, groups=1), folds=None, fold=0, seed=0)
    assert len(together.train) == 6
    assert together.name == alone.name


def test_groups_and_not_cases_count():
    split = split_cases(cases(30, groups=3), folds=None, fold=0, seed=0)
    assert len(split.validation) == 10
    assert folds_to_cross(cases(30, groups=3)) == 3


@pytest.mark.parametrize("marked", ["train", None])
def test_test_cases_alone_leave_the_others_to_folds(marked):
    every = [*cases(10, split=marked), DatasetCase("other", (), split="test")]
    split = split_cases(every, folds=None, fold=0, seed=0)
    assert split.test == ("other",)
    assert (len(split.train), len(split.validation)) == (8, 2)
    assert split.name == "fold 0 of 5, seed 0; the dataset's 1 test cases apart"
    assert sides(split)["other"] == "test"
    nothing = split_cases(every, folds=1, fold=0, seed=0)
    assert len(nothing.train) == 10
    with pytest.raises(ConfigError, match="every labeled case is a test case"):
        split_cases(every[-1:], folds=None, fold=0, seed=0)


def test_where_all_others_are_blocked_the_held_out_case_is_trained_on():
    split = split_cases(cases(2), folds=None, fold=0, seed=0)
    assert without(split, split.train, requested=False).train == split.validation
    assert without(split, split.train, requested=True).train == ()
    assert without(split, split.validation, requested=False).train == split.train
