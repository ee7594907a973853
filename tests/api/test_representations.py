"""What a public function returns is shown in one line, however much it holds."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from tiny_dataset import write_msd

import medseg
from medseg.data.audit import Audit
from medseg.evaluation.comparison import Comparison, Difference
from medseg.evaluation.ranking import Ranking
from medseg.io.convert import Converted
from medseg.review.inspection import VolumeReport
from medseg.training.fold_results import FoldResults
from medseg.types.run import BatchResult, CaseOutcome

FUNCTIONS = [name for name in medseg.__all__ if inspect.isfunction(getattr(medseg, name))]


def classes_in(kind: Any) -> Iterator[type]:
    if isinstance(kind, type) and kind.__module__.startswith("medseg."):
        yield kind
    for inner in typing.get_args(kind):
        yield from classes_in(inner)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_result_lists_all_its_fields(name: str) -> None:
    for kind in classes_in(typing.get_type_hints(getattr(medseg, name))["return"]):
        assert dataclasses.is_dataclass(kind)
        assert not hasattr(kind.__repr__, "__wrapped__"), kind  # as dataclasses make it


def test_results_of_several_cases_are_shown_in_one_line(tmp_path: Path) -> None:
    data = write_msd(tmp_path / "balls", 6)
    labels = data / "labelsTr"
    evaluation = medseg.evaluate(labels, labels, tmp_path / "first", settings="n_bootstrap=100")
    assert repr(evaluation).startswith("Evaluation(6 cases measured, 0 failed, ")
    medseg.evaluate(labels, labels, tmp_path / "second", settings="n_bootstrap=100")
    comparison = medseg.compare([tmp_path / "first", tmp_path / "second"], metrics="dice", n_bootstrap=100)
    assert repr(comparison) == f"Comparison(2 evaluations, {len(comparison.differences)} tests)"
    nib.save(nib.Nifti1Image(np.ones((8, 8, 8), np.int16), np.eye(4)), tmp_path / "scan.nii.gz")
    inspection = medseg.inspect(tmp_path / "scan.nii.gz")
    assert repr(inspection) == "Inspection(1 volume valid, 0 rejected, 0 files skipped)"
    conversion = medseg.convert(tmp_path / "scan.nii.gz", tmp_path / "out")
    assert repr(conversion) == "Conversion(1 converted, 0 failed, 0 corrupt)"
    audited = medseg.audit(data, folds=2)
    assert repr(audited).startswith("Audit(6 cases, ")
    outcome = CaseOutcome("a", "done", "a.nii.gz")
    batch = BatchResult(tmp_path, (outcome,) * 20)
    assert repr(batch) == "BatchResult(20 done, 0 files skipped)"
    package = medseg.load_model("hippocampus").predictor.package
    parts = [*comparison.differences, *comparison.rankings, *inspection.volumes, *conversion.converted, outcome]
    kinds = {type(part) for part in parts}
    assert kinds == {Difference, Ranking, VolumeReport, Converted, CaseOutcome}
    folds = FoldResults(tmp_path, 2, 0.5, {}, {"0": 0.5})
    for shown in map(repr, [evaluation, comparison, audited, package, folds, *parts]):
        assert "\n" not in shown
        assert len(shown) < 200, shown
    assert isinstance(audited, Audit)
    assert isinstance(comparison, Comparison)
