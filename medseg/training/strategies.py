"""Cascades in one command, and the choice among planned configurations by cross-validation."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from medseg.data.plan import CONFIGURATIONS
from medseg.draw.page import render
from medseg.errors import UsageError
from medseg.io.files.atomic import write_text
from medseg.models.package import ModelPackage
from medseg.training.config import TrainConfig
from medseg.training.cross_validate import (
    Crossed,
    cross,
    cross_validate,
    crossed_config,
    folds_of,
    told_choice,
    validation_card,
)
from medseg.training.device import choose_device
from medseg.training.distributed import joined
from medseg.training.final_model import Final, final_package
from medseg.training.selection.configuration_choice import ConfigurationChoice, choose_configuration
from medseg.training.selection.post_choice import as_post
from medseg.training.selection.validate import CaseDice, mean_dice, write_validation
from medseg.training.train import train

__all__ = ["CASCADE", "choose_among", "configurations_of", "train_cascade"]

log = logging.getLogger("medseg.train")

CASCADE = "cascade"
FIRST, SECOND = "3d_lowres", "3d_fullres"
# From a configuration's name and its folder to what it trains by.
Configure = Callable[[str, Path], TrainConfig]


def configurations_of(text: str) -> tuple[str, ...]:
    """Names with commas between them.

    Raises
    ------
    UsageError
        When one is unknown or named twice.
    """
    names = tuple(part.strip() for part in text.split(","))
    known = (*CONFIGURATIONS, CASCADE)
    wrong = next((name for name in names if name not in known or names.count(name) > 1), None)
    if wrong is not None:
        what = "is named twice" if wrong in known else "is no configuration"
        raise UsageError(
            f"'{wrong}' {what}", where="--configuration", fix=f"Name some of {', '.join(known)} once each."
        )
    return names


def train_cascade(
    dataset: Path,
    out: Path,
    configure: Configure,
    *,
    folds: str | None = None,
    final: Final = "all",
    device: str = "auto",
    command: str = "",
) -> ModelPackage | None:
    """Cross-validate a low-resolution stage, then train the second on what the first made of cases it had not seen.

    Parameters
    ----------
    dataset, device, command
        As for `medseg.training.train.train`.
    out : Path
        Of the second stage, whose package holds both.
    configure : callable
        From name and folder to a configuration; both stages are given the same split. A time budget is that of both.
    folds : str, optional
        Cross-validate the second stage too; otherwise it holds out its fold.
    final : {"all", "ensemble"}
        As for `medseg.training.cross_validate.cross_validate`, of the second stage.
    """
    first = crossed_config(dataset, configure(FIRST, out / FIRST))
    second = configure(SECOND, out).model_copy(update={"split": first.split, "low_resolution_stage": str(out / FIRST)})
    count = first.split.folds or 0
    numbers = None if folds is None else folds_of(folds, count)
    runs = 1 if numbers is None else len(numbers) + (len(numbers) == count and final == "all")
    share = None if second.time_budget is None else second.time_budget / (count + 1 + runs)
    _first_stage(dataset, out / FIRST, first, share, device, command)
    log.info("the second stage")
    second = second.model_copy(update={"time_budget": None if share is None else share * runs})
    if numbers is None:
        return train(dataset, out, second, device=device, command=command)
    return cross_validate(dataset, out, second, numbers, device=device, command=command, final=final)


def choose_among(
    dataset: Path,
    out: Path,
    names: tuple[str, ...],
    configure: Configure,
    *,
    final: Final = "all",
    device: str = "auto",
    command: str = "",
) -> ModelPackage:
    """Cross-validate configurations, each in ``out/NAME``, choose one, and make its package in ``out/model``.

    Parameters
    ----------
    names : tuple of str
        The one to be taken where no other gains anything first.
    dataset, configure, final, device, command
        As for `train_cascade`.
    out : Path
        Also gets ``cross_validation.json``, ``.csv`` and ``.html``.
    """
    configs = {
        name: crossed_config(dataset, configure(SECOND if name == CASCADE else name, out / name)) for name in names
    }
    folds = range(next(iter(configs.values())).split.folds or 0)
    budget = next(iter(configs.values())).time_budget
    runs = len(names) * len(folds) + (final == "all") + (len(folds) * (FIRST not in names) + 1) * (CASCADE in names)
    share = None if budget is None else budget / runs
    if CASCADE in names:
        first = configs.get(FIRST) or crossed_config(dataset, configure(FIRST, out / FIRST))
        _first_stage(dataset, out / FIRST, first, share, device, command)
        configs[CASCADE] = configs[CASCADE].model_copy(update={"low_resolution_stage": str(out / FIRST)})
    crossed: dict[str, Crossed] = {}
    with joined(gpu=choose_device(device).type == "cuda") as processes:
        for name, config in configs.items():
            log.info("configuration %s", name)
            crossed[name] = cross(dataset, out / name, config, folds, share=share, device=device, command=command)
        choice = choose_configuration({name: one.weighed for name, one in crossed.items()})
        chosen = crossed[choice.name]
        results = [CaseDice(case, classes) for case, classes in sorted(choice.dice.items())]
        log.info("taking %s: %s", choice.name, _compared(crossed, choice))
        if processes.is_first:
            write_validation(out / "cross_validation.csv", results)
            told = _told(crossed, choice, results)
            write_text(out / "cross_validation.json", json.dumps(told, indent=1) + "\n")
            _write_page(out / "cross_validation.html", told)
        note = f" Configurations compared: {_compared(crossed, choice)} Their ensembles were not weighed."
        return final_package(
            dataset,
            out,
            chosen.config,
            chosen.folds,
            kind=final,
            validation=validation_card(chosen, results, chosen.choices, final, note),
            post=as_post(chosen.choices),
            prepared=out / choice.name / "prepared",
            share=share,
            device=device,
            command=command,
            processes=processes,
        )


def _first_stage(dataset: Path, out: Path, config: TrainConfig, share: float | None, device: str, command: str) -> None:
    log.info("the low-resolution stage, of low resolution")
    with joined(gpu=choose_device(device).type == "cuda") as processes:
        folds = range(config.split.folds or 0)
        done = cross(dataset, out, config, folds, share=share, device=device, command=command)
        final_package(
            dataset,
            out,
            done.config,
            done.folds,
            kind="all",
            validation=validation_card(done, done.results, done.choices, "all"),
            post=as_post(done.choices),
            prepared=out / "prepared",
            share=share,
            device=device,
            command=command,
            processes=processes,
        )


def _compared(crossed: Mapping[str, Crossed], choice: ConfigurationChoice) -> str:
    figures = ", ".join(f"{name} {mean_dice(list(one.results))[1]:.4f}" for name, one in crossed.items())
    return (
        f"{figures} (mean Dice over folds); choosing, done anew without each fold, gained {choice.gain:+.4f} over "
        f"{next(iter(crossed))} (standard error {choice.error:.4f})."
    )


def _told(crossed: Mapping[str, Crossed], choice: ConfigurationChoice, results: list[CaseDice]) -> dict[str, object]:
    by_class, overall = mean_dice(results)
    configurations = {}
    for name, one in crossed.items():
        own, mean = mean_dice(list(one.results))
        configurations[name] = {
            "mean_dice": round(mean, 4),
            "dice": own,
            "folds": one.by_fold,
            "post": told_choice(one.choices),
        }
    return {
        "cases": len(results),
        "mean_dice": round(overall, 4),
        "dice": by_class,
        "chosen": choice.name,
        "gain": round(choice.gain, 4),
        "standard_error": round(choice.error, 4),
        "chosen_without_fold": dict(enumerate(choice.without)),
        "differences": [asdict(one) for one in choice.differences],
        "configurations": configurations,
    }


def _write_page(path: Path, told: Mapping[str, object]) -> None:
    write_text(path, render("cross_validation.html", **told))
