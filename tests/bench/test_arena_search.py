"""The arena's search: settings as `--set` takes them, and which trial is taken."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tiny_dataset import train_config

ARENA = Path(__file__).resolve().parents[2] / "benchmarks" / "arena"
CONFIG = train_config(
    network={"name": "unet", "arguments": {"features": [32, 64, 128]}},
    input={"channels": [{"name": "MR"}], "spacing": [1.0, 1.0, 1.0], "patch": [48, 32, 16]},
    augment={"rotation": 0.5, "elastic": 0.0},
)


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ARENA))
    import search_space

    yield search_space
    sys.modules.pop("search_space", None)


def given(space: ModuleType, **settings: Any) -> list[str]:
    return list(space.overrides(space.Settings(**settings), CONFIG, (8, 8, 4), (60, 100, 12)))


def test_the_plan_changes_nothing(space):
    assert given(space) == []


def test_patches_are_multiples_and_grow_no_further_than_the_cases(space):
    assert given(space, patch=0.5) == ["input.patch=[24, 16, 8]"]
    # 72 is more than 60, whose next multiple is 64; 16 is more than 12 already, and stays.
    assert given(space, patch=1.5) == ["input.patch=[64, 48, 16]"]


def test_each_setting_as_set_would_be_given_it(space):
    assert given(space, width=0.5) == ["network.arguments.features=[16, 32, 64]"]
    assert given(space, learning_rate=1 / 3) == ["optimizer.learning_rate=0.00333"]
    assert given(space, augmentation="weak") == ["augment.rotation=0.25", "augment.scaling=0.1"]
    assert given(space, batch=0.5) == ["sampling.batch=1"]


def test_the_changed_configuration_is_the_plans_in_all_else(space):
    made = space.changed(CONFIG, given(space, width=0.5, batch=2.0))
    assert (made.network.arguments["features"], made.sampling.batch) == ([16, 32, 64], 4)
    assert made.input == CONFIG.input
    assert made.augment == CONFIG.augment


def trial(space: ModuleType, number: int, settings: Any, *stages: list[float]) -> Any:
    dice = tuple(dict(zip("abc", stage, strict=True)) for stage in stages)
    return space.Trial(number, settings, (10,) * len(stages), 1.0, dice)


def test_better_by_more_than_its_error_is_taken(space):
    low = [0.1, 0.1, 0.1]
    planned = trial(space, 0, space.PLANNED, low, low, [0.6, 0.7, 0.8])
    better = trial(space, 1, space.Settings(width=1.5), low, low, [0.7, 0.78, 0.91])
    chosen, gain, error = space.choose([planned, better])
    assert chosen is better
    assert gain == pytest.approx(0.0967, abs=1e-4)
    assert error == pytest.approx(0.0088, abs=1e-4)


def test_a_difference_within_its_error_keeps_the_plan(space):
    low = [0.1, 0.1, 0.1]
    planned = trial(space, 0, space.PLANNED, low, low, [0.5, 0.6, 0.7])
    chance = trial(space, 1, space.Settings(width=1.5), low, low, [0.9, 0.4, 0.6])
    assert space.choose([planned, chance])[0] is planned


def test_a_trial_that_stopped_early_is_not_taken(space):
    planned = trial(space, 0, space.PLANNED, [0.1, 0.1, 0.1], [0.2, 0.2, 0.2], [0.5, 0.5, 0.5])
    early = trial(space, 1, space.Settings(width=1.5), [0.9, 0.9, 0.9])
    assert space.choose([planned, early])[0] is planned
