"""Cross-validation: a run for each fold, then one on all cases whose card carries what the folds measured."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from medseg.data.layouts import read_dataset
from medseg.data.splits import CROSSED
from medseg.errors import ConfigError, UsageError
from medseg.io.files.atomic import write_text
from medseg.models.card import ValidationCard
from medseg.models.package import ModelPackage, load_package
from medseg.training.config import TrainConfig
from medseg.training.device import choose_device
from medseg.training.distributed import joined
from medseg.training.final_model import Final, final_package
from medseg.training.selection.post_choice import NONE, PostChoice, RuleDice, as_post, choose, read_rule_dice
from medseg.training.selection.validate import CaseDice, mean_dice, write_validation
from medseg.training.train import train

__all__ = ["Crossed", "cross", "cross_validate", "crossed_config", "folds_of", "told_choice", "validation_card"]

log = logging.getLogger("medseg.train")


@dataclass(frozen=True)
class Crossed:
    """What the folds of one configuration came to.

    Parameters
    ----------
    config : TrainConfig
        Trained by, its split's number of folds set.
    folds : tuple of Path
        Folders of the folds' runs.
    results : tuple of CaseDice
        Of every held-out case, cleaned by what was best without its fold, in order of case ids.
    by_fold : dict of str to float
        Mean Dice of each fold, nothing cleaned.
    choices : dict of str to PostChoice
        Clean-up of each class, where it was weighed.
    weighed : tuple of dict of str to RuleDice
        Of each fold, what each clean-up made of its cases; without clean-up alone where none was weighed.
    """

    config: TrainConfig
    folds: tuple[Path, ...]
    results: tuple[CaseDice, ...]
    by_fold: dict[str, float]
    choices: dict[str, PostChoice]
    weighed: tuple[dict[str, RuleDice], ...]


def folds_of(text: str, count: int) -> tuple[int, ...]:
    """Folds meant by ``all`` or by numbers with commas between them.

    Raises
    ------
    UsageError
        When a number is no fold.
    """
    if text.strip().lower() == "all":
        return tuple(range(count))
    try:
        folds = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        folds = (-1,)
    if any(not 0 <= fold < count for fold in folds):
        raise UsageError(f"'{text}' names no folds", where="--folds", fix=f"Write all, or numbers 0 to {count - 1}.")
    return folds


def cross_validate(
    dataset: Path,
    out: Path,
    config: TrainConfig,
    folds: Sequence[int],
    *,
    device: str = "auto",
    command: str = "",
    final: Final = "all",
) -> ModelPackage | None:
    """Train and measure each fold in ``out/fold_K``; with all folds, make a package of all cases in ``out/model`` too.

    Folds that are done are not done again, so that the same call goes on where it was stopped. A time budget is shared
    out evenly among the runs.

    Parameters
    ----------
    dataset, config, device, command
        As for `medseg.training.train.train`.
    out : Path
        Also gets ``cross_validation.csv`` and ``cross_validation.json``.
    folds : sequence of int
        Which of ``config.split.folds``.
    final : {"all", "ensemble"}
        As for `medseg.training.final_model.final_package`.

    Returns
    -------
    ModelPackage or None
        The package, whose card holds the figures of the folds; None where folds are missing.

    Raises
    ------
    ConfigError
        When the dataset brings a split of its own, which leaves nothing to cross.
    """
    config = crossed_config(dataset, config)
    whole = len(folds) == config.split.folds
    runs = len(folds) + (whole and final == "all")
    share = None if config.time_budget is None else config.time_budget / runs
    with joined(gpu=choose_device(device).type == "cuda") as processes:
        crossed = cross(dataset, out, config, folds, share=share, device=device, command=command)
        results = list(crossed.results)
        by_class, overall = mean_dice(results)
        if processes.is_first:
            write_validation(out / "cross_validation.csv", results)
            summary = {"cases": len(results), "mean_dice": round(overall, 4), "dice": by_class}
            summary |= {"folds": crossed.by_fold, "post": told_choice(crossed.choices)}
            write_text(out / "cross_validation.json", json.dumps(summary, indent=1) + "\n")
            log.info("cross-validated mean Dice %.4f over %d cases", overall, len(results))
        if not whole:
            return None
        card = validation_card(crossed, results, crossed.choices, final)
        return final_package(
            dataset,
            out,
            crossed.config,
            crossed.folds,
            kind=final,
            validation=card,
            post=as_post(crossed.choices),
            prepared=out / "prepared",
            share=share,
            device=device,
            command=command,
            processes=processes,
        )


def crossed_config(dataset: Path, config: TrainConfig) -> TrainConfig:
    """Return the configuration with a number of folds, by default five.

    Raises
    ------
    ConfigError
        When there is nothing to cross.
    """
    if config.split.folds is None:
        config = config.model_copy(update={"split": config.split.model_copy(update={"folds": CROSSED})})
    assert config.split.folds is not None
    if config.split.folds < 2:
        raise ConfigError("cross-validation needs at least two folds", where="split.folds")
    if any(case.split is not None for case in read_dataset(dataset, config.dataset).labeled):
        raise ConfigError("the dataset brings a split of its own", where="--folds", fix="Leave out --folds.")
    return config


def cross(
    dataset: Path,
    out: Path,
    config: TrainConfig,
    folds: Sequence[int],
    *,
    share: float | None,
    device: str,
    command: str,
) -> Crossed:
    """Train and measure the folds that have not been, ``share`` seconds each; otherwise as `cross_validate`."""
    results: list[CaseDice] = []
    by_fold: dict[str, float] = {}
    for fold in folds:
        split = config.split.model_copy(update={"fold": fold})
        chosen = config.model_copy(update={"split": split, "time_budget": share})
        measured = _fold(dataset, out / f"fold_{fold}", chosen, device, command, out / "prepared")
        by_fold[str(fold)] = round(mean_dice(measured)[1], 4)
        results += measured
    results.sort(key=lambda one: one.case_id)
    folders = tuple(out / f"fold_{fold}" for fold in folds)
    tables = _rule_tables(folders, results)
    whole = len(folds) == config.split.folds
    choices = choose(tables) if tables and whole else {}
    cleaned = [CaseDice(one.case_id, {name: _as_chosen(choices, name, one) for name in one.dice}) for one in results]
    return Crossed(config, folders, tuple(cleaned), by_fold, choices, tables or _plain(folders))


def _fold(dataset: Path, out: Path, config: TrainConfig, device: str, command: str, prepared: Path) -> list[CaseDice]:
    """Dice of each case a fold held out, from a run made now or before."""
    done = _done(out, config)
    if done is not None:
        return done
    log.info("fold %d of %d", config.split.fold, config.split.folds)
    train(dataset, out, config, device=device, command=command, prepared=prepared, weigh_post=True)
    done = _done(out, config)
    assert done is not None
    return done


def _done(out: Path, config: TrainConfig) -> list[CaseDice] | None:
    """Results of a fold that was trained and measured with this configuration."""
    card, table, used = out / "model" / "model.yaml", out / "validation.csv", out / "config.yaml"
    if not (card.is_file() and table.is_file() and used.is_file()):
        return None
    if yaml.safe_load(used.read_text(encoding="utf-8")) != config.model_dump(mode="json"):
        return None
    if load_package(card.parent).card.validation is None:
        return None
    return _measured(table)


def _measured(table: Path) -> list[CaseDice]:
    found: dict[str, dict[str, float]] = {}
    with table.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["metric"] == "dice":
                found.setdefault(row["case_id"], {})[row["class"]] = float(row["value"])
    return [CaseDice(case_id, dice) for case_id, dice in found.items()]


def _rule_tables(folders: Sequence[Path], results: Sequence[CaseDice]) -> tuple[dict[str, RuleDice], ...]:
    """What clean-ups make of every held-out case; empty where not every one was weighed."""
    tables = [folder / "post_rules.csv" for folder in folders]
    if not all(table.is_file() for table in tables):
        return ()
    weighed = tuple(read_rule_dice(table) for table in tables)
    every = sorted(case for fold in weighed for case in fold)
    return weighed if every == [one.case_id for one in results] else ()


def _plain(folders: Sequence[Path]) -> tuple[dict[str, RuleDice], ...]:
    return tuple(
        {one.case_id: {name: {NONE: value} for name, value in one.dice.items()} for one in _measured(path)}
        for path in (folder / "validation.csv" for folder in folders)
    )


def _as_chosen(choices: Mapping[str, PostChoice], name: str, one: CaseDice) -> float:
    return choices[name].dice[one.case_id] if name in choices else one.dice[name]


def told_choice(choices: Mapping[str, PostChoice]) -> dict[str, dict[str, object]]:
    """Clean-up as ``cross_validation.json`` tells it."""
    return {
        name: {"rule": choice.rule, "gain": round(choice.gain, 4), "standard_error": round(choice.error, 4)}
        for name, choice in choices.items()
    }


def validation_card(
    crossed: Crossed, results: Sequence[CaseDice], choices: Mapping[str, PostChoice], final: Final, note: str = ""
) -> ValidationCard:
    """What a package of all cases says of how it was measured."""
    by_class, overall = mean_dice(results)
    folds = crossed.config.split.folds
    weights = {
        "all": "These weights were trained on all cases, so no case is left to measure them on.",
        "ensemble": "This package averages those models, so no case is left that none of them has seen; their average "
        "itself was not measured.",
    }
    cleaned = "".join(
        f" {name} is cleaned by {choice.rule}, which raised its Dice by {choice.gain:.4f}; each case was measured as "
        "cleaned by the rule that was best without its fold."
        for name, choice in choices.items()
        if choice.rule != NONE
    )
    return ValidationCard(
        split=f"{folds}-fold cross-validation, seed {crossed.config.split.seed}",
        cases=len(results),
        dice={name: round(value, 4) for name, value in by_class.items()},
        mean_dice=round(overall, 4),
        volume_range_ml=_volume_range(crossed.folds),
        notes=f"Measured on {folds} models of this configuration, each on the cases it was not trained on. "
        + weights[final]
        + cleaned
        + note,
    )


def _volume_range(folds: Sequence[Path]) -> dict[str, tuple[float, float]]:
    """Smallest and largest volume of each class in all references: every case was trained on in some fold."""
    cards = [load_package(folder / "model").card.validation for folder in folds]
    known = [card.volume_range_ml for card in cards if card is not None]
    return {
        name: (min(one[name][0] for one in known), max(one[name][1] for one in known))
        for name in (known[0] if known else {})
    }
