"""Cross-validation: a run for each fold, then one on all cases whose card carries what the folds measured."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from medseg.data.layouts import read_dataset
from medseg.data.splits import CROSSED
from medseg.errors import ConfigError, UsageError
from medseg.io.atomic import write_text
from medseg.models.card import ModelCard, ValidationCard
from medseg.models.package import ModelPackage, load_package, write_package
from medseg.train.config import TrainConfig
from medseg.train.device import choose_device
from medseg.train.post_choice import NONE, PostChoice, as_post, choose, read_rule_dice
from medseg.train.processes import Processes, joined
from medseg.train.train import train
from medseg.train.validate import CaseDice, mean_dice, write_validation

__all__ = ["cross_validate", "folds_of"]

log = logging.getLogger("medseg.train")


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
    dataset: Path, out: Path, config: TrainConfig, folds: Sequence[int], *, device: str = "auto", command: str = ""
) -> ModelPackage | None:
    """Train and measure each fold in ``out/fold_K``; with all folds, train on all cases into ``out/model`` too.

    Folds that are done are not done again, so that the same call goes on where it was stopped. A time budget is shared
    out evenly among the runs.

    Parameters
    ----------
    dataset, config, device, command
        As for `medseg.train.train.train`.
    out : Path
        Also gets ``cross_validation.csv`` and ``cross_validation.json``.
    folds : sequence of int
        Which of ``config.split.folds``.

    Returns
    -------
    ModelPackage or None
        The package trained on all cases, whose card holds the figures of the folds; None where folds are missing.

    Raises
    ------
    ConfigError
        When the dataset brings a split of its own, which leaves nothing to cross.
    """
    if config.split.folds is None:
        config = config.model_copy(update={"split": config.split.model_copy(update={"folds": CROSSED})})
    assert config.split.folds is not None
    if config.split.folds < 2:
        raise ConfigError("cross-validation needs at least two folds", where="split.folds")
    if any(case.split is not None for case in read_dataset(dataset, config.dataset).labelled):
        raise ConfigError("the dataset brings a split of its own", where="--folds", fix="Leave out --folds.")
    with joined(gpu=choose_device(device).type == "cuda") as processes:
        return _cross_validate(dataset, out, config, folds, device, command, processes)


def _cross_validate(
    dataset: Path,
    out: Path,
    config: TrainConfig,
    folds: Sequence[int],
    device: str,
    command: str,
    processes: Processes,
) -> ModelPackage | None:
    whole = len(folds) == config.split.folds
    share = None if config.time_budget is None else config.time_budget / (len(folds) + whole)
    results: list[CaseDice] = []
    by_fold: dict[str, float] = {}
    for fold in folds:
        split = config.split.model_copy(update={"fold": fold})
        chosen = config.model_copy(update={"split": split, "time_budget": share})
        measured = _fold(dataset, out / f"fold_{fold}", chosen, device, command, out / "prepared")
        by_fold[str(fold)] = round(mean_dice(measured)[1], 4)
        results += measured
    results.sort(key=lambda one: one.case_id)
    choices = _choices([out / f"fold_{fold}" for fold in folds], results) if whole else {}
    results = [CaseDice(one.case_id, {name: _as_chosen(choices, name, one) for name in one.dice}) for one in results]
    if processes.is_first:
        write_validation(out / "cross_validation.csv", results)
        by_class, overall = mean_dice(results)
        summary = {"cases": len(results), "mean_dice": round(overall, 4), "dice": by_class, "folds": by_fold}
        summary["post"] = {name: _told(choice) for name, choice in choices.items()}
        write_text(out / "cross_validation.json", json.dumps(summary, indent=1) + "\n")
        log.info("cross-validated mean Dice %.4f over %d cases", overall, len(results))
    if not whole:
        return None
    log.info("training on all cases")
    split = config.split.model_copy(update={"folds": 1, "fold": 0})
    chosen = config.model_copy(update={"split": split, "time_budget": share})
    package = train(dataset, out, chosen, device=device, command=command, prepared=out / "prepared")
    if processes.is_first:
        package = write_package(package.folder, _crossed(package.card, config, results, choices), package.weights())
    return package


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
    found: dict[str, dict[str, float]] = {}
    with table.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["case_id"], {})[row["class"]] = float(row["value"])
    return [CaseDice(case_id, dice) for case_id, dice in found.items()]


def _choices(folds: Sequence[Path], results: Sequence[CaseDice]) -> dict[str, PostChoice]:
    """Clean-up of each class, where every held-out case was weighed."""
    tables = [folder / "post_rules.csv" for folder in folds]
    if not all(table.is_file() for table in tables):
        return {}
    weighed = [read_rule_dice(table) for table in tables]
    if sorted(case for fold in weighed for case in fold) != [one.case_id for one in results]:
        return {}
    return choose(weighed)


def _as_chosen(choices: Mapping[str, PostChoice], name: str, one: CaseDice) -> float:
    return choices[name].dice[one.case_id] if name in choices else one.dice[name]


def _told(choice: PostChoice) -> dict[str, object]:
    return {"rule": choice.rule, "gain": round(choice.gain, 4), "standard_error": round(choice.error, 4)}


def _crossed(
    card: ModelCard, config: TrainConfig, results: Sequence[CaseDice], choices: Mapping[str, PostChoice]
) -> ModelCard:
    by_class, overall = mean_dice(results)
    cleaned = "".join(
        f" {name} is cleaned by {choice.rule}, which raised its Dice by {choice.gain:.4f}; each case was measured as "
        "cleaned by the rule that was best without its fold."
        for name, choice in choices.items()
        if choice.rule != NONE
    )
    validation = ValidationCard(
        split=f"{config.split.folds}-fold cross-validation, seed {config.split.seed}",
        cases=len(results),
        dice={name: round(value, 4) for name, value in by_class.items()},
        mean_dice=round(overall, 4),
        notes=f"Measured on {config.split.folds} models of this configuration, each on the cases it was not trained "
        "on. These weights were trained on all cases, so no case is left to measure them on." + cleaned,
    )
    return card.model_copy(update={"validation": validation, "post": card.post or as_post(choices)})
