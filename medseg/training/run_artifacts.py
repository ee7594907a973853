"""What a finished run leaves with MLflow: weights, plan, configuration, report and tables, without a case or a path.

MLflow may be on another machine. So cases are numbered, paths are omitted, and figures, which show patients, are kept
only where the configuration asks for them (`tracking_figures`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import yaml

from medseg.config.load import read_yaml
from medseg.config.safe_json import parse_json
from medseg.io.files.temporary import temporary_folder
from medseg.models.package import ModelPackage
from medseg.models.public_copy import public_card, public_copy
from medseg.tracking.runs import Tracker
from medseg.training.config import TrainConfig
from medseg.training.run_report import Measured, write_run_report
from medseg.training.samples.inputs import Inputs
from medseg.training.selection.validate import CaseDice, write_validation
from medseg.training.training_run import TrainingRun


class Course(NamedTuple):
    """How a training went: the rows of its history, and by which method its steps were computed."""

    history: Sequence[Mapping[str, str]]
    method: str


def keep_artifacts(
    tracker: Tracker,
    inputs: Inputs,
    package: ModelPackage,
    measured: Measured,
    course: Course,
) -> None:
    """Copy to a run's artifacts what it made."""
    run = inputs.run
    names = [*(one.case_id for one in measured.results), *(one.case_id for one in measured.test), *inputs.skipped]
    numbers = {name: f"case {number}" for number, name in enumerate(dict.fromkeys(names), start=1)}
    public = public_config(run)
    shown = replace(
        measured,
        card=None if measured.card is None else public_card(measured.card),
        results=_numbered(measured.results, numbers),
        test=_numbered(measured.test, numbers),
        worst=measured.worst.renamed(numbers) if measured.worst is not None and run.config.tracking_figures else None,
    )
    with temporary_folder() as temporary:
        folder = temporary / "run"
        public_copy(package, folder / "model")
        _write_yaml(folder / "config.yaml", public)
        for plan in sorted(run.out.glob("plan*.yaml")):
            _write_yaml(folder / plan.name, without_case_names(read_yaml(plan)))
        for file, results in (("validation.csv", shown.results), ("test.csv", shown.test)):
            if results:
                write_validation(folder / file, results)
        skipped = {numbers[case]: "see split.json of the run" for case in inputs.skipped}
        of_public = replace(inputs, run=replace(run, config=public, out=folder), skipped=skipped)
        write_run_report(of_public, course.history, method=course.method, measured=shown)
        for rank, (_, _, figure) in enumerate(shown.figures, start=1):
            (folder / "figures").mkdir(exist_ok=True)
            (folder / "figures" / f"worst-{rank}.png").write_bytes(figure)
        tracker.keep_folder(folder)


def public_config(run: TrainingRun) -> TrainConfig:
    """Return the configuration without paths and names of cases; a package to start from is named by its card."""
    config = run.config
    changes: dict[str, object] = {}
    if run.start is not None:
        changes["start"] = str(run.start.identity)
    if config.pretrained is not None:
        changes["pretrained"] = config.pretrained.model_copy(update={"file": Path(config.pretrained.file).name})
    if config.low_resolution_stage is not None:
        changes["low_resolution_stage"] = Path(config.low_resolution_stage).name
    if config.dataset is not None and config.dataset.annotated:
        changes["dataset"] = config.dataset.model_copy(update={"annotated": {}})
    return config.model_copy(update=changes)


def parent_tags(run: TrainingRun) -> dict[str, str]:
    """Tags that name the package whose weights a run started from, and the run that trained it, where it is known."""
    weights, parent = run.config.pretrained, run.start
    if weights is not None:
        return {"parent_model": Path(weights.file).name, "parent_sha256": weights.sha256}
    if parent is None:
        return {}
    tags = {"parent_model": str(parent.identity), "parent_sha256": parent.hash}
    return tags if parent.card.training.run is None else {**tags, "parent_run": parent.card.training.run}


def without_case_names(values: Mapping[str, object]) -> dict[str, object]:
    """Values of a plan without what it says of single cases."""
    dataset = values.get("dataset")
    if not isinstance(dataset, Mapping):
        return dict(values)
    return {**values, "dataset": {key: value for key, value in dataset.items() if key != "annotated"}}


def _numbered(results: Sequence[CaseDice], numbers: Mapping[str, str]) -> list[CaseDice]:
    return [replace(one, case_id=numbers[one.case_id]) for one in results]


def _write_yaml(path: Path, values: TrainConfig | Mapping[str, object]) -> None:
    content = parse_json(values.model_dump_json()) if isinstance(values, TrainConfig) else dict(values)
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
