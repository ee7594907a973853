import json
from pathlib import Path

import pytest

from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.data.given_folds import with_given_folds
from medseg.data.splits import folds_to_cross, split_cases
from medseg.errors import ConfigError, InputError
from medseg.types import LabelClass, LabelTable

FOLDS = [{"train": ["c2", "c3", "c4"], "val": ["c0", "c1"]}, {"train": ["c0", "c1", "c2"], "val": ["c3"]}]


def dataset(folder):
    cases = tuple(DatasetCase(f"c{n}", (Path("x"),), Path("x")) for n in range(5))
    return Dataset("x", folder, "nnunet", (Channel("a"),), LabelTable((LabelClass(1, "a"),)), cases)


@pytest.fixture
def given(tmp_path):
    (tmp_path / "splits_final.json").write_text(json.dumps(FOLDS))
    return with_given_folds(dataset(tmp_path)).labeled


def test_the_folds_are_those_of_the_file(given):
    split = split_cases(given, folds=None, fold=0, seed=0)
    assert (split.train, split.validation) == (("c2", "c3", "c4"), ("c0", "c1"))
    assert split.name == "fold 0 of 2, as the dataset gives it"
    other = split_cases(given, folds=2, fold=1, seed=5)
    assert (other.train, other.validation) == (("c0", "c1", "c2"), ("c3",))
    assert other.name == "fold 1 of 2, as the dataset gives it; 1 case in neither part"
    assert folds_to_cross(given) == 2
    with pytest.raises(ConfigError, match="no fold 2"):
        split_cases(given, folds=None, fold=2, seed=0)


def test_another_number_of_folds_is_a_split_of_ones_own(given):
    split = split_cases(given, folds=5, fold=0, seed=0)
    assert "as the dataset gives it" not in split.name
    assert len(split.validation) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"train": ["c0"], "val": ["c9"]}]', "fold 0 names 'c9'"),
        ('[{"train": ["c0"], "val": ["c0"]}]', "'c0' on both sides"),
        ('{"train": []}', "no list of folds"),
        ("[{", "cannot be read"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, content, words):
    (tmp_path / "splits_final.json").write_text(content)
    with pytest.raises(InputError, match=words):
        with_given_folds(dataset(tmp_path))


def test_without_the_file_nothing_changes(tmp_path):
    data = dataset(tmp_path)
    assert with_given_folds(data) is data
