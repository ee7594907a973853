"""Plans a training from the fingerprint of a dataset that is read once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from medseg.data.dataset import Dataset
from medseg.data.description import DatasetDescription
from medseg.data.examine import examine
from medseg.data.fingerprint import Fingerprint, take_fingerprint
from medseg.data.layouts import read_dataset
from medseg.data.plan import Plan, make_plan
from medseg.data.plan_text import plan_text
from medseg.data.splits import split_cases
from medseg.training.audit_run import audit_for_run
from medseg.training.config import SplitConfig

__all__ = ["DatasetSource", "fitting_preset", "plan_dataset"]


@dataclass(frozen=True)
class DatasetSource:
    """Where a dataset lies, and what a configuration says of it; read once, when it is first needed."""

    path: Path
    description: DatasetDescription | None = None

    @cached_property
    def data(self) -> Dataset:
        """The dataset."""
        return read_dataset(self.path, self.description)


def plan_dataset(
    source: DatasetSource,
    preset: str,
    configuration: str | None = None,
    *,
    split: SplitConfig | None = None,
    out: Path | None = None,
) -> tuple[Plan, Fingerprint, str]:
    """Take the fingerprint of the training cases; return the plan, the fingerprint and the plan's text.

    Held-out cases are not looked at, so that nothing is decided by them. With a run's folder the dataset is audited in
    the same reading, and blocked cases are not looked at either.
    """
    data, said = source.data, source.description
    chosen = split or SplitConfig()
    cases = split_cases(data.labeled, folds=chosen.folds, fold=chosen.fold, seed=chosen.seed)
    if out is None:
        examined = examine(data, [case for case in data.labeled if case.case_id in cases.train])
    else:
        found = audit_for_run(data, cases, out)
        valid = set(cases.train) & set(found.clean)
        examined = (one for one in found.examined if one.case.case_id in valid)
    fingerprint = take_fingerprint(data, examined)
    plan = make_plan(data, fingerprint, preset=preset, configuration=configuration)
    if said is not None:
        plan = replace(plan, values={**plan.values, "dataset": said.model_dump(mode="json", exclude_defaults=True)})
    command = f"medseg train {source.path} --config plan.yaml --out runs/{plan.values['name']}"
    return plan, fingerprint, plan_text(plan, data, fingerprint, command=command)


def fitting_preset(device: str) -> str:
    """Name of the largest preset that fits a device."""
    import torch

    from medseg.data.presets import PRESETS
    from medseg.training.device import choose_device

    chosen = choose_device(device)
    if chosen.type != "cuda":
        return "cpu"
    memory = torch.cuda.get_device_properties(chosen).total_memory / 1e9
    sizes = {int(name.removesuffix("gb")): name for name in PRESETS if name.endswith("gb")}
    return sizes[max((size for size in sizes if size <= memory * 1.05), default=min(sizes))]
