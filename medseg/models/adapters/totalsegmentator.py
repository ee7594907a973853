"""TotalSegmentator's own weights folder, as it lies: its networks run as one model, in the way its own code runs them.

What that code does is in ``totalsegmentator/nnunet.py`` and ``map_tasks_config.py`` of version 2.18: axes nearest to R,
A, S; `scipy.ndimage.zoom` to the task's spacing, linearly, cut to whole numbers; fold 0 of each network, windows that
advance by 0.8 of their size, no mirroring; labels of later parts over those of earlier ones; back by the nearest voxel.
It crops only where a subset of classes is asked for, and removes small objects only where that is.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from medseg.errors import InputError, UsageError
from medseg.models.adapters.monai_config import read_mapping
from medseg.models.card import CodeCard
from medseg.models.composite_description import (
    ClassDescription,
    CompositeDescription,
    GridDescription,
    PartDescription,
)
from medseg.models.license_card import LicenseCard

NOTICE = "Not a medical device and not intended for clinical usage, say its authors; research use only."
OVERLAP = 0.2  # a step of 0.8 of a window
MAPS = Path(__file__).with_name("totalsegmentator.csv")
_FOLDER = re.compile(r"Dataset(\d{3})_TotalSeg")


@dataclass(frozen=True)
class Task:
    """One of TotalSegmentator's tasks: its datasets by number, the spacing they share, and the trainer."""

    name: str
    datasets: tuple[int, ...]
    spacing: float
    trainer: str
    title: str


_CT, _MR = "organs, bones, muscles and vessels in CT", "organs, bones and muscles in MR"
TASKS = (
    Task("total", (291, 292, 293, 294, 295), 1.5, "nnUNetTrainerNoMirroring", _CT),
    Task("total, fast", (297,), 3.0, "nnUNetTrainer_4000epochs_NoMirroring", f"{_CT}, coarsely"),
    Task("total, fastest", (298,), 6.0, "nnUNetTrainer_4000epochs_NoMirroring", f"{_CT}, very coarsely"),
    Task("total_v3", (831, 832, 833, 834, 835), 1.5, "nnUNetTrainerNoMirroring", _CT),
    Task("total_v3, fast", (836,), 3.0, "nnUNetTrainer_4000epochs_NoMirroring", f"{_CT}, coarsely"),
    Task("total_v3, fastest", (837,), 6.0, "nnUNetTrainer_4000epochs_NoMirroring", f"{_CT}, very coarsely"),
    Task("total_mr", (850, 851), 1.5, "nnUNetTrainer_2000epochs_NoMirroring", _MR),
    Task("total_mr, fast", (852,), 3.0, "nnUNetTrainer_2000epochs_NoMirroring", f"{_MR}, coarsely"),
    Task("total_mr, fastest", (853,), 6.0, "nnUNetTrainer_2000epochs_NoMirroring", f"{_MR}, very coarsely"),
)


def describe(path: Path) -> CompositeDescription | None:
    """Return the composite that a folder of TotalSegmentator's weights is; None for any other folder.

    - `path`: the folder that holds those of the datasets, such as ``~/.totalsegmentator/nnunet/results``; or the folder
      of one dataset, or of its trainer: that network alone, with TotalSegmentator's grid and names.
    """
    if not path.is_dir():
        return None
    path = path.resolve()
    for dataset in (path, path.parent):
        number = _number(dataset)
        one = next((task for task in TASKS if number in task.datasets), None)
        if one is not None and number is not None:
            return _description(replace(one, datasets=(number,)), [_trained(dataset, one)])
    return _describe_all(path)


def _describe_all(root: Path) -> CompositeDescription | None:
    """Return the composite of the datasets in a folder."""
    folders = {number: folder for folder in sorted(root.iterdir()) if (number := _number(folder)) is not None}
    wanted = [task for task in TASKS if set(task.datasets) & set(folders)]
    if not wanted:
        return None
    task = _choose(wanted, folders, root)
    missing = [str(number) for number in task.datasets if number not in folders]
    if missing:
        raise InputError(
            f"TotalSegmentator's task '{task.name}' needs {len(task.datasets)} networks, and Dataset "
            f"{', '.join(missing)} {'are' if len(missing) > 1 else 'is'} not there",
            where=root,
            fix=f"Run totalseg_download_weights -t {task.name.partition(',')[0]}, or copy the whole folder.",
        )
    return _description(task, [_trained(folders[number], task) for number in task.datasets])


def _number(folder: Path) -> int | None:
    """Number of a dataset of TotalSegmentator's, None for any other folder."""
    match = _FOLDER.match(folder.name)
    return int(match[1]) if match and folder.is_dir() else None


def _choose(tasks: Sequence[Task], folders: Mapping[int, Path], root: Path) -> Task:
    """The one task whose datasets are all there; where there are several, the finest of one family."""
    whole = [task for task in tasks if set(task.datasets) <= set(folders)]
    families = {task.name.partition(",")[0] for task in whole or tasks}
    if len(families) > 1:
        raise UsageError(
            f"the folder holds several models of TotalSegmentator ({', '.join(sorted(families))})",
            where=root,
            fix=f"Give the folder of one of its datasets, such as {root / folders[tasks[0].datasets[0]].name}.",
        )
    return (whole or list(tasks))[0]


def _trained(dataset: Path, task: Task) -> Path:
    """The results of the task's trainer; of any other, where that is the only one."""
    found = [plans.parent for plans in sorted(dataset.glob("*__*__*/plans.json"))]
    own = [folder for folder in found if folder.name.startswith(f"{task.trainer}__")]
    chosen = own or found
    if len(chosen) != 1:
        raise InputError(
            f"there are {len(chosen)} trained networks in it, not one",
            where=dataset,
            fix=f"Leave the one of {task.trainer}.",
        )
    return chosen[0]


def _description(task: Task, folders: Sequence[Path]) -> CompositeDescription:
    maps = _maps()
    parts, classes = [], dict[int, ClassDescription]()
    for number, folder in zip(task.datasets, folders, strict=True):
        rows = maps[number]
        _check(rows, folder)
        values: dict[int | str, int | str] = {int(row["part_value"]): int(row["value"]) for row in rows}
        parts.append(
            PartDescription(
                model=str(folder),
                name=_part_name(folder),
                values=values,
                folds=("0",),
                overlap=OVERLAP,
                sums="float16",
            )
        )
        classes |= {int(row["value"]): _class(row) for row in rows}
    return CompositeDescription(
        title=f"{len(classes)} {task.title} (TotalSegmentator, task {task.name}, {task.spacing:g} mm)",
        notice=NOTICE,
        parts=tuple(parts),
        classes=tuple(classes[value] for value in sorted(classes)),
        grid=GridDescription(spacing=task.spacing, order=1, whole_numbers=True),
        license=LicenseCard(use="any"),
        license_text="Weights: Apache-2.0, openly available for any usage (github.com/wasserth/TotalSegmentator)",
        limits=("Left and right are as the scan's header says; a header that exchanges them cannot be noticed.",),
    )


def _part_name(folder: Path) -> str:
    """Name of a part: ``organs`` of ``Dataset291_TotalSegmentator_part1_organs_1559subj``."""
    words = folder.parent.name.split("_")[2:]
    kept = [word for word in words if not re.fullmatch(r"part\d+|\d+subj|v\d+", word)]
    return "-".join(kept) or folder.parent.name


def _class(row: Mapping[str, str]) -> ClassDescription:
    known = bool(row["code"])
    red, green, blue = (int(n) for n in row["color"].split()) if row["color"] else (None, None, None)
    return ClassDescription(
        value=int(row["value"]),
        name=row["name"],
        code=CodeCard(value=row["code"], meaning=row["meaning"]) if known else None,
        category=CodeCard(value=row["category"], meaning=row["category_meaning"]) if known else None,
        color=None if red is None or green is None or blue is None else (red, green, blue),
    )


def _check(rows: Sequence[Mapping[str, str]], folder: Path) -> None:
    """Refuse networks whose classes are not those the map is for."""
    labels = read_mapping(folder / "dataset.json").get("labels")
    found = len(labels) - 1 if isinstance(labels, Mapping) else 0
    if found != len(rows):
        raise InputError(
            f"the network has {found} classes, where TotalSegmentator's class map has {len(rows)}",
            where=folder,
            fix="Get the weights that belong to TotalSegmentator 2, or describe the model with --composite.",
        )


@cache
def _maps() -> dict[int, list[dict[str, str]]]:
    """Rows of the published class maps, by number of the dataset."""
    maps: dict[int, list[dict[str, str]]] = {}
    with MAPS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            maps.setdefault(int(row["dataset"]), []).append(row)
    return maps
