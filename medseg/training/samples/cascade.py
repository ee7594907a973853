"""Cascades: a low-resolution stage, and a second that is shown its labels beside the scan.

nnU-Net's 3d_cascade_fullres (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z). The second stage learns from
what the first made of cases it had not seen, so that it learns from mistakes like those it will meet.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from medseg.config.safe_json import parse_json
from medseg.errors import ConfigError
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.models.card import LowResolutionCard, ModelCard
from medseg.models.package import ModelPackage, load_package
from medseg.prepare.labels import LowResolutionStage
from medseg.types import Scan

FIX = "Train it with --folds all and the same split."


class LowResolutionRun:
    """A cross-validated run, of ``medseg train --folds all``, whose models label cases for a second stage."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._held_out: dict[Path, frozenset[str]] = {}
        for fold in sorted(run.glob("fold_*")):
            if not (fold / "model" / "model.yaml").is_file() or not (fold / "split.json").is_file():
                raise ConfigError(
                    f"{fold.name} of the low-resolution stage is not finished", where="low_resolution_stage", fix=FIX
                )
            split = parse_json((fold / "split.json").read_text(encoding="utf-8"))
            self._held_out[fold] = frozenset(split["validation"])
        if not self._held_out or not (run / "model" / "model.yaml").is_file():
            raise ConfigError(f"{run} holds no finished cross-validated run", where="low_resolution_stage", fix=FIX)
        self._predictors: dict[Path, Predictor] = {}

    @cached_property
    def final_model(self) -> ModelPackage:
        """The low-resolution stage's model of all cases."""
        return load_package(self.run / "model")

    @property
    def values(self) -> tuple[int, ...]:
        """Labels that become channels."""
        return tuple(entry.value for entry in self.final_model.card.table)

    def model_hash(self, case_id: str) -> str:
        """Hash of the model that labels a case."""
        return load_package(self._fold_of(case_id) / "model").hash

    def labels(self, case_id: str, scan: Scan) -> LowResolutionStage:
        """Labels of a training case by the model that has not seen it."""
        fold = self._fold_of(case_id)
        if fold not in self._predictors:
            package = load_package(fold / "model")
            self._predictors = {fold: Predictor(package, InferOptions(engine="torch"))}
        return LowResolutionStage(self._predictors[fold].segment(scan).labels, self.values)

    def package_for(self, held_out: Sequence[str]) -> ModelPackage:
        """The model for a second stage's package: one that has not seen the cases the second will be measured on."""
        if not held_out:
            return self.final_model
        for fold, names in self._held_out.items():
            if names >= set(held_out):
                return load_package(fold / "model")
        raise ConfigError(
            "the low-resolution stage held out other cases than this run", where="low_resolution_stage", fix=FIX
        )

    def embed(self, card: ModelCard, folder: Path, held_out: Sequence[str]) -> ModelCard:
        """Copy the low-resolution stage's package into the second's folder and return the card that names it."""
        package = self.package_for(held_out)
        target = folder / LowResolutionCard.model_fields["folder"].default
        shutil.rmtree(target, ignore_errors=True)
        for path in package.files():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(package.folder / path, target / path)
        return card.model_copy(
            update={"low_resolution_stage": LowResolutionCard(sha256=package.hash, labels=self.values)}
        )

    def _fold_of(self, case_id: str) -> Path:
        for fold, names in self._held_out.items():
            if case_id in names:
                return fold
        raise ConfigError(
            f"no fold of the low-resolution stage held out '{case_id}'", where="low_resolution_stage", fix=FIX
        )
