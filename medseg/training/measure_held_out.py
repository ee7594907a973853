"""Measures a package on the cases its run held out, and leaves the tables beside the run."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from medseg.data.dataset import DatasetCase
from medseg.models.package import ModelPackage
from medseg.training.selection.held_out_volumes import VOLUMES_FILE, write_volumes
from medseg.training.selection.post_choice import RuleTable, write_rule_dice
from medseg.training.selection.validate import CaseDice, Watcher, mean_dice, mean_pq, validate, write_validation
from medseg.training.training_run import TrainingRun

log = logging.getLogger("medseg.train")


def measure_held_out(
    run: TrainingRun, package: ModelPackage, cases: Sequence[DatasetCase], watch: Sequence[Watcher] = ()
) -> list[CaseDice]:
    """Dice of each held-out case, and beside the run what each clean-up would make of it where that is asked for."""
    if not cases:
        write_validation(run.out / "validation.csv", [])
        return []
    log.info("Validating on %d held-out cases.", len(cases))
    rules = RuleTable(run.dataset.ignore_label)
    watch = (*watch, rules.add) if _cleanup_is_open(run) else watch
    results = list(validate(package, run.dataset, cases, device=str(run.device), watch=watch))
    write_validation(run.out / "validation.csv", results)
    write_volumes(run.out / VOLUMES_FILE, {result.case_id: result.volumes for result in results})
    if rules.cases:
        write_rule_dice(run.out / "post_rules.csv", rules.cases)
    by_class, overall = mean_dice(results)
    log.info("Mean Dice is %.4f (%s).", overall, ", ".join(f"{name} {value:.4f}" for name, value in by_class.items()))
    for name, value in mean_pq(results).items():
        log.info("Mean panoptic quality of %s is %.4f.", name, value)
    return results


def _cleanup_is_open(run: TrainingRun) -> bool:
    """Whether clean-up is to be chosen, is not configured, and classes exclude each other, so that each has its own."""
    return run.compares_cleanup and not (run.config.post or run.dataset.regions or run.dataset.border_mm is not None)
