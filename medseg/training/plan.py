"""`medseg.plan`: what a training on a dataset would be, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

from medseg.config.arguments import check_arguments, listed
from medseg.config.bounds import Device
from medseg.config.load import build
from medseg.data.dataset import Dataset
from medseg.data.description import DatasetDescription
from medseg.data.examine_all import examine_all
from medseg.data.fingerprint import Fingerprint, take_fingerprint
from medseg.data.layouts import read_dataset
from medseg.data.mirror_pairs import Axis
from medseg.data.patient_groups import AUTO, ready_to_split
from medseg.data.plan import Plan, make_plan
from medseg.data.plan_text import explanation, plan_text
from medseg.data.splits import keep_in_training, split_cases, without
from medseg.io.files.atomic import write_text
from medseg.io.files.writable import check_not_read, check_writable, output_folder
from medseg.training.audit_run import audit_for_run
from medseg.training.config import SplitConfig, TrainConfig
from medseg.training.cost import predict_cost
from medseg.training.early_check import stated
from medseg.training.plan_for_budget import plan_for_budget


@dataclass(frozen=True, repr=False)
class TrainingPlan:
    """A plan, and what it was made from.

    Parameters
    ----------
    plan : Plan
        Values of the configuration, each with its reason.
    fingerprint : Fingerprint
        Sizes, spacings and intensities of the training cases.
    text : str
        The plan as YAML with the reasons beside it, for ``medseg train --config``.
    explanation : str, optional
        Every choice with its reason and what a training needs, where asked for.
    """

    plan: Plan
    fingerprint: Fingerprint
    text: str
    explanation: str | None = None

    def __repr__(self) -> str:
        return f"TrainingPlan('{self.plan.values['name']}', {len(self.plan.reasons)} choices)"


@check_arguments
def plan(
    dataset: str | Path,
    out: str | Path | None = None,
    *,
    config: str | Path | None = None,
    settings: str | Sequence[str] = (),
    preset: Literal["cpu", "8gb", "24gb", "40gb", "80gb"] | None = None,
    configuration: Literal["3d_fullres", "3d_lowres", "2d"] | None = None,
    explain: bool = False,
    device: Device = "auto",
) -> TrainingPlan:
    """Look at a dataset and plan its training.

    Parameters
    ----------
    dataset : str or Path
        Folder of the dataset, in any layout.
    out : str or Path, optional
        YAML file, or folder for ``plan.yaml``; nothing is written without it.
    config : str or Path, optional
        A configuration whose ``dataset`` says what the files do not.
    settings : str or sequence of str
        Single values of the configuration, ``a.b=c`` each (``--set``).
    preset : {"cpu", "8gb", "24gb", "40gb", "80gb"}, optional
        Size of the device; by default that of `device`.
    configuration : {"3d_fullres", "3d_lowres", "2d"}, optional
        Kind of network; by default the best one.
    explain : bool
        Whether to say what a training needs too; times are measured on `device`.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

    Returns
    -------
    TrainingPlan
        A configuration with its reasons. Cases that will be held out are not looked at.

    Raises
    ------
    InputError
        When the dataset cannot be read.
    UsageError
        When an option cannot be what was given, or the plan would replace what it is made from.
    """
    target = None if out is None else _plan_file(Path(out))
    if target is not None:
        check_not_read(target, [*Path(dataset).glob("dataset.*"), dataset, *([] if config is None else [config])])
    given = stated(config, listed(settings))
    source = DatasetSource(Path(dataset), given.dataset, given.split.group)
    wanted = PlanFor(preset or fitting_preset(device), configuration, mirror=given.plan.axes)
    made, fingerprint, text = plan_dataset(source, wanted, split=given.split)
    if target is not None:
        write_text(target, text)
    if not explain:
        return TrainingPlan(made, fingerprint, text)
    data = source.data
    cost = predict_cost(build(TrainConfig, made.values), data.n_outputs, device=device)
    needs = f"Training needs {cost}."
    if wanted.preset == "cpu" and made.values["network"]["dimensions"] == 3:
        needs += " With a --time-budget of few such steps it takes smaller patches, whose steps are faster."
    return TrainingPlan(made, fingerprint, text, f"{explanation(made, data, fingerprint)}\n\n{needs}")


def _plan_file(out: Path) -> Path:
    """Where the plan goes: the YAML file named, or ``plan.yaml`` in the folder."""
    check_writable(out)
    if out.suffix in (".yaml", ".yml") and not out.is_dir():
        return out
    return output_folder(out) / "plan.yaml"


@dataclass(frozen=True)
class DatasetSource:
    """Where a dataset lies, and what a configuration says of it; read once, when it is first needed."""

    path: Path
    description: DatasetDescription | None = None
    group: str = AUTO

    @cached_property
    def data(self) -> Dataset:
        """The dataset."""
        return ready_to_split(read_dataset(self.path, self.description), self.group)


@dataclass(frozen=True)
class PlanFor:
    """What a plan is for: size of the device, kind of network, seconds a training may take, axes a person mirrors."""

    preset: str
    configuration: str | None = None
    budget: float | None = None
    mirror: tuple[Axis, ...] | None = None


def plan_dataset(
    source: DatasetSource, wanted: PlanFor, *, split: SplitConfig | None = None, out: Path | None = None
) -> tuple[Plan, Fingerprint, str]:
    """Take the fingerprint of the training cases; return the plan, the fingerprint and the plan's text.

    Held-out cases are not looked at, so that nothing is decided by them. With a run's folder the dataset is audited in
    the same reading, and blocked cases are not looked at either. On a CPU the plan follows the budget.
    """
    data, description = source.data, source.description
    chosen = split or SplitConfig()
    cases = split_cases(data.labeled, folds=chosen.folds, fold=chosen.fold, seed=chosen.seed)
    if out is None:
        trained = set(cases.train)
        examined = examine_all(data, [case for case in data.labeled if case.case_id in trained])
    else:
        found = audit_for_run(data, cases, out)
        cases = keep_in_training(without(cases, found.blocked, requested=chosen.folds is not None), tuple(found.kept))
        valid = set(cases.train)
        examined = tuple(one for one in found.examined if one.case.case_id in valid)
    fingerprint = take_fingerprint(data, examined)
    planned = partial(
        make_plan, data, fingerprint, preset=wanted.preset, configuration=wanted.configuration, mirror=wanted.mirror
    )
    plan = planned()
    if wanted.budget is not None and wanted.preset == "cpu":
        showing = partial(planned, shows_classes=True) if wanted.configuration is None else None
        plan = plan_for_budget(plan, wanted.budget, data.n_outputs, showing)
    if wanted.mirror is not None:
        plan = replace(plan, values={**plan.values, "plan": {"mirror": list(wanted.mirror)}})
    if description is not None:
        stated = description.model_dump(mode="json", exclude_defaults=True)
        plan = replace(plan, values={**plan.values, "dataset": stated})
    if chosen.group != AUTO:
        plan = replace(plan, values={**plan.values, "split": {"group": chosen.group}})
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
