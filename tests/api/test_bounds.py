"""What the command line refuses, Python refuses too: the same bounds, before anything is read."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Ge, Gt, Le
from test_public_api import NAMES, PRINTED, typed_name

import medseg
from medseg.cli.checks import checked
from medseg.cli.verb import VERBS
from medseg.config.bounds import Form


def limits_in(kind: Any) -> Iterator[Any]:
    """Bounds and forms anywhere in a type."""
    yield from (one for one in getattr(kind, "__metadata__", ()) if isinstance(one, Ge | Gt | Le | Form))
    for inner in typing.get_args(kind):
        yield from limits_in(inner)


def parameters() -> Iterator[Any]:
    for verb in sorted(NAMES["verbs"]):
        typed = verb.replace("_", "-")
        module = next(verbs[typed] for verbs in VERBS.values() if typed in verbs)
        function = getattr(importlib.import_module(f"medseg.cli.{module}"), verb)
        for parameter in inspect.signature(function, eval_str=True).parameters.values():
            if parameter.name not in PRINTED:
                yield pytest.param(verb, parameter, id=f"{verb}-{parameter.name}")


@pytest.mark.parametrize(("verb", "parameter"), list(parameters()))
def test_every_bound_of_the_command_line_is_one_of_the_function(verb: str, parameter: inspect.Parameter) -> None:
    hints = typing.get_type_hints(getattr(medseg, verb), include_extras=True)
    here = list(limits_in(hints[typed_name(parameter)]))
    option = parameter.annotation.__metadata__[0]
    for bound in (None if option.min is None else Ge(option.min), None if option.max is None else Le(option.max)):
        assert bound is None or bound in here
    if option.callback is not None:
        assert set(option.callback.__closure__[0].cell_contents) <= set(here)
    is_pair = "=" in (option.metavar or "")  # checked once it is taken apart
    assert is_pair or bool(here) == bool(option.callback or option.min is not None or option.max is not None)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("predict", {"overlap": 2}, "overlap: must be between 0 and 0.9, not 2"),
    ("predict", {"device": "gpu"}, "device: must be auto, cpu, cuda or cuda:N"),
    ("predict", {"format": ["nifti", "niftii"]}, "Did you mean 'nifti'?"),
    ("predict", {"save": "scores"}, "save: must be one or more of probabilities, entropy"),
    ("predict", {"shard": "3/2"}, "shard: must be K/N with K from 1 to N"),
    ("predict", {"max_memory": 0}, "max_memory: must be more than 0"),
    ("predict", {"max_seconds": -1.0}, "max_seconds: must be more than 0"),
    ("load_model", {"device": "gpu"}, "device: must be auto, cpu"),
    ("load_model", {"overlap": 0.95}, "overlap: must be between 0 and 0.9"),
    ("audit", {"folds": 0}, "folds: must be at least 1, not 0"),
    ("audit", {"fold": -1}, "fold: must be at least 0"),
    ("plan", {"device": "gpu"}, "device: must be auto, cpu"),
    ("train", {"processes": 0}, "processes: must be between 1 and 1024, not 0"),
    ("train", {"epochs": 0}, "epochs: must be at least 1"),
    ("train", {"epochs": "x"}, "epochs: must be a whole number, not 'x'"),
    ("train", {"seed": -1}, "seed: must be at least 0"),
    ("train", {"seed": 2**32}, "seed: must be at most 4294967295"),
    ("train", {"start": ""}, "start: must not be empty"),
    ("predict", {"manifest": ""}, "manifest: must not be empty"),
    ("predict", {"max_seconds": float("inf")}, "max_seconds: must be a finite number"),
    ("train", {"time_budget": "0s"}, "time_budget: must be a duration of more than 0"),
    ("train", {"time_budget": -5}, "time_budget: must be a duration of more than 0"),
    ("train", {"folds": "some"}, "folds: must be all, or numbers such as 0,1"),
    ("train", {"configuration": "4d"}, "configuration: must be one or more of 3d_fullres"),
    ("evaluate", {"tolerances": [1, 0]}, "tolerances: must be more than 0"),
    ("evaluate", {"jobs": 0}, "jobs: must be at least 1"),
    ("evaluate", {"regions": {"whole": [1, 0]}}, "regions.whole: must be at least 1, not 0"),
    ("compare", {"n_bootstrap": 99}, "n_bootstrap: must be between 100 and 100000"),
    ("compare", {"n_bootstrap": 10**9}, "n_bootstrap: must be between 100 and 100000"),
    ("compare", {"metrics": ["dicee"]}, "Did you mean 'dice'?"),
    ("export", {"format": "niftii"}, "Did you mean 'nifti'?"),
    ("export", {"structures": "("}, "structures: must be a regular expression"),
]
NEEDED: dict[str, tuple[Any, ...]] = {
    "predict": ("nowhere", "nowhere", "out"),
    "load_model": ("nowhere",),
    "train": ("nowhere", "out"),
    "evaluate": ("nowhere", "nowhere", "out"),
    "compare": (["nowhere", "neither"],),
    "export": ("nowhere", "out"),
}


@pytest.mark.parametrize(("name", "given", "said"), WRONG)
def test_a_value_out_of_bounds_is_refused_before_any_input_is_looked_for(
    name: str, given: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"format": "nifti", **given} if name == "export" else given
    with pytest.raises(medseg.ConfigError) as raised:
        getattr(medseg, name)(*NEEDED.get(name, ("nowhere",)), **given)
    assert said in str(raised.value)
    assert str(raised.value).startswith(f"medseg.{name}: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("predict", {"inputs": "gone", "model": "hippocampus", "out": "o"}),
        ("predict", {"inputs": "here", "model": "gone", "out": "o"}),
        ("inspect", {"inputs": "gone"}),
        ("inspect", {"inputs": "here", "model": "here"}),
        ("convert", {"inputs": "gone", "out": "o"}),
        ("audit", {"dataset": "gone"}),
        ("plan", {"dataset": "gone"}),
        ("train", {"dataset": "gone", "out": "o"}),
        ("train", {"dataset": "here", "out": "o", "config": "gone"}),
        ("train", {"dataset": "here", "out": "o", "start": "gone"}),
        ("evaluate", {"predictions": "gone", "references": "here"}),
        ("evaluate", {"predictions": "here", "references": "gone"}),
        ("evaluate", {"predictions": "here", "references": "here", "table": "gone"}),
        ("evaluate", {"predictions": "here", "references": "here", "images": "gone"}),
        ("evaluate", {"predictions": "here", "references": "here", "probabilities": "gone"}),
        ("evaluate", {"predictions": "here", "references": "here", "mlflow_run": "gone"}),
        ("compare", {"evaluations": ["gone", "neither"]}),
        ("compare", {"evaluations": ["here", "here"], "table": "gone"}),
        ("export", {"labels": "gone", "out": "o", "format": "nifti"}),
        ("export", {"labels": "here", "out": "o", "format": "nifti", "source": "gone"}),
        ("export", {"labels": "here", "out": "o", "format": "nifti", "model": "gone"}),
        ("load_model", {"name": "gone"}),
        ("load_model", {"name": "here"}),
        ("load_model", {"name": "text.txt"}),
        ("load_scan", {"path": "gone"}),
        ("read_labels", {"path": "gone"}),
        ("read_any_labels", {"path": "gone"}),
    ],
)
def test_a_name_that_does_not_exist_is_a_usage_error(
    name: str, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "text.txt").write_text("text")
    with pytest.raises(medseg.UsageError) as raised:
        getattr(medseg, name)(**given)
    assert "Errno" not in str(raised.value)
    assert str(raised.value).endswith((".", "?"))


def test_only_options_of_a_kind_are_checked() -> None:
    assert checked(None) == {}
