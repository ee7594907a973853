"""`medseg.plan`: what a training on a dataset would be, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.config.load import build
from medseg.data.description import description_in
from medseg.data.fingerprint import Fingerprint
from medseg.data.layouts import read_dataset
from medseg.data.plan import Plan
from medseg.data.plan_text import explanation
from medseg.io.files.atomic import write_text
from medseg.training.config import TrainConfig
from medseg.training.configure import fitting_preset, plan_dataset
from medseg.training.cost import predict_cost

__all__ = ["TrainingPlan", "plan"]


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


def plan(
    dataset: str | Path,
    out: str | Path | None = None,
    *,
    config: str | None = None,
    preset: Literal["cpu", "8gb", "24gb", "40gb", "80gb"] | None = None,
    configuration: Literal["3d_fullres", "3d_lowres", "2d"] | None = None,
    explain: bool = False,
    device: str = "auto",
) -> TrainingPlan:
    """Look at a dataset and plan its training.

    Parameters
    ----------
    dataset : str or Path
        Folder of the dataset, in any layout.
    out : str or Path, optional
        YAML file, or folder for ``plan.yaml``; nothing is written without it.
    config : str, optional
        A configuration whose ``dataset`` says what the files do not.
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
        When an option cannot be what was given.
    """
    described = description_in(config)
    path = Path(dataset)
    made, fingerprint, text = plan_dataset(
        path, preset=preset or fitting_preset(device), configuration=configuration, said=described
    )
    if out is not None:
        target = Path(out)
        write_text(target if target.suffix in (".yaml", ".yml") else target / "plan.yaml", text)
    if not explain:
        return TrainingPlan(made, fingerprint, text)
    data = read_dataset(path, described)
    cost = predict_cost(build(TrainConfig, made.values), data.scores, device=device)
    return TrainingPlan(made, fingerprint, text, f"{explanation(made, data, fingerprint)}\n\nTraining needs {cost}.")
