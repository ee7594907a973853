"""Imports models trained with nnU-Net version 2: results folders and the zip files it exports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch

from medseg.errors import FormatLimitation, InputError, ModelError, UsageError
from medseg.io.files.temporary import temporary_folder
from medseg.models.adapters import nnunet_plans, nnunet_weights
from medseg.models.adapters.monai_config import read_mapping
from medseg.models.card import LowResolutionCard, ModelCard
from medseg.models.package import ModelPackage, write_package
from medseg.models.training_card import TrainingCard
from medseg.models.unzip import extract, zip_names

CHECKPOINT = "checkpoint_final.pth"


def is_nnunet(path: Path) -> bool:
    """Whether a folder or zip holds a model of nnU-Net version 2."""
    if path.is_dir():
        return bool(_models(path))
    return any(name.rpartition("/")[2] == "plans.json" for name in zip_names(path))


def import_nnunet(
    path: Path,
    name: str,
    target: Path,
    *,
    configuration: str | None = None,
    folds: Sequence[str] | None = None,
    checkpoint: str = CHECKPOINT,
    orientation: Literal["RAS", "stored"] | None = None,
) -> ModelPackage:
    """Import a model as a package for medseg's own U-Net; the second stage of a cascade takes its first along.

    - `path`: a folder with ``plans.json``, ``dataset.json`` and folds; a folder of such folders; or an exported zip.
    - `configuration`: for instance ``"3d_fullres"``; needed where there are several.
    - `folds`: for instance ``("0", "1")`` or ``("all",)``. By default every numbered fold there is, as nnU-Net chooses;
      their scores are averaged.
    - `orientation`: nnU-Net's usual readers ignore how a file's axes lie in the patient, so by default files are read
      as stored. Give ``"RAS"`` where all training data was stored in that order: then every scan is brought to it.
    """
    opened: AbstractContextManager[str | Path] = temporary_folder() if path.is_file() else nullcontext(path)
    with opened as place:
        root = Path(place)
        if path.is_file():
            extract(path, root)
        folder = _choose(root, configuration, path)
        card, weights, previous = _read(folder, name, checkpoint, folds, orientation)
        if previous is not None:
            first = _low_resolution_stage_folder(folder, previous)
            first_card, first_weights, before = _read(first, f"{name}-low-resolution", checkpoint, folds, orientation)
            if before is not None:
                raise FormatLimitation(
                    f"'{previous}' itself is the second stage of a cascade",
                    where=path,
                    fix="medseg runs cascades of two stages; import another configuration with --configuration.",
                )
            assert card.low_resolution_stage is not None
            package = write_package(target / card.low_resolution_stage.folder, first_card, first_weights)
            own = card.low_resolution_stage.model_copy(update={"sha256": package.hash})
            card = card.model_copy(update={"low_resolution_stage": own})
        return write_package(target, card, weights)


def _read(
    folder: Path,
    name: str,
    checkpoint: str,
    folds: Sequence[str] | None,
    orientation: Literal["RAS", "stored"] | None,
) -> tuple[ModelCard, dict[str, torch.Tensor], str | None]:
    """One configuration as card and weights, and the name of the configuration it needs the result of."""
    plans, dataset = read_mapping(folder / "plans.json"), read_mapping(folder / "dataset.json")
    found = _folds(folder, checkpoint, folds)
    contents = [nnunet_weights.read_checkpoint(fold / checkpoint) for fold in found]
    fingerprint = folder / "dataset_fingerprint.json"
    measured = read_mapping(fingerprint) if fingerprint.is_file() else None
    try:
        wanted = str(contents[0]["init_args"]["configuration"])
        previous = nnunet_plans.configuration(plans, wanted).get("previous_stage")
        card, weights = _convert(plans, dataset, measured, contents, found, name, orientation)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ModelError(
            f"plans.json or dataset.json lacks something ({type(error).__name__}: {error})",
            where=folder,
            fix="Export the model again with nnUNetv2_export_model_to_zip.",
        ) from error
    return card, weights, previous


def _low_resolution_stage_folder(folder: Path, previous: str) -> Path:
    """Results of the low-resolution stage beside those of the second, by the same trainer and plans."""
    first = folder.with_name(f"{folder.name.rpartition('__')[0]}__{previous}")
    if not (first / "plans.json").is_file():
        raise ModelError(
            f"this is the second stage of a cascade, and the first, '{previous}', is not beside it ({first.name})",
            where=folder,
            fix="Give the dataset's folder with both, or a zip of both: nnUNetv2_export_model_to_zip -c.",
        )
    return first


def _convert(
    plans: dict[str, Any],
    dataset: dict[str, Any],
    fingerprint: dict[str, Any] | None,
    contents: Sequence[dict[str, Any]],
    folds: Sequence[Path],
    name: str,
    orientation: Literal["RAS", "stored"] | None,
) -> tuple[ModelCard, dict[str, torch.Tensor]]:
    first = contents[0]
    wanted = str(first["init_args"]["configuration"])
    settings = nnunet_plans.configuration(plans, wanted)
    axes = nnunet_plans.Axes.from_transpose(plans["transpose_forward"], len(settings["patch_size"]))
    # Trainers without mirroring leave no axes; their name is heeded too, in case a checkpoint holds the default ones.
    mirrored = None if "NoMirroring" in first["trainer_name"] else first.get("inference_allowed_mirroring_axes")
    given = nnunet_plans.input_card(plans, settings, dataset, axes, mirrored, fingerprint)
    given = given.model_copy(update={"orientation": orientation}) if orientation else given
    classes, regions = nnunet_plans.labels(dataset)
    members = [
        nnunet_weights.renamed(content["network_weights"], axes, fold)
        for content, fold in zip(contents, folds, strict=True)
    ]
    stored = given.orientation == "stored"
    card = ModelCard(
        name=name,
        title=f"{plans['dataset_name']}, nnU-Net {wanted}",
        classes=classes,
        regions=regions,
        ensemble_members=len(members),
        input=given,
        low_resolution_stage=LowResolutionCard(
            sha256="0" * 64, labels=nnunet_plans.low_resolution_stage_labels(dataset)
        )
        if settings.get("previous_stage")
        else None,
        network=nnunet_plans.network_card(settings, axes, nnunet_weights.norm_of(first["network_weights"])),
        training=TrainingCard(
            data=str(dataset.get("reference") or plans["dataset_name"]),
            license=str(dataset.get("licence") or dataset.get("license") or "not recorded by nnU-Net"),
            cases=int(dataset.get("numTraining", 0)),
            command=f"nnUNetv2_train {plans['dataset_name']} {wanted} {','.join(f.name[5:] for f in folds)} "
            f"-tr {first['trainer_name']} -p {plans['plans_name']}",
            seed=None,
        ),
        limits=(
            "Files are read in the axis order they are stored in, as nnU-Net reads them: right only for scans stored "
            "as the training data was. Import again with --orientation RAS if all of that was stored so.",
        )
        if stored
        else (),
        weights_sha256="0" * 64,
    )
    if len(members) == 1:
        return card, members[0]
    return card, {f"{number}.{key}": value for number, member in enumerate(members) for key, value in member.items()}


def _models(root: Path) -> list[Path]:
    """Folders with plans and folds at most three levels down, as results and exports nest them."""
    patterns = ("plans.json", "*/plans.json", "*/*/plans.json", "*/*/*/plans.json")
    plans = (plan for pattern in patterns for plan in sorted(root.glob(pattern)))
    return [p.parent for p in plans if (p.parent / "dataset.json").is_file() and any(p.parent.glob("fold_*"))]


def _choose(root: Path, configuration: str | None, where: Path) -> Path:
    models = _models(root)
    if not models:
        raise InputError(
            "there is no nnU-Net model in it (a folder with plans.json, dataset.json and fold_...)",
            where=where,
            fix="Give the results folder of nnU-Net version 2, or the zip it exports.",
        )
    if configuration is not None and "," in configuration:
        raise FormatLimitation(
            f"{configuration} are several configurations, and a package holds one and its low-resolution stage",
            where=where,
            fix="Import each under a name of its own and average their probabilities: "
            "docs/how-to/import-models.md shows how.",
        )
    wanted = [m for m in models if configuration is None or m.name.rpartition("__")[2] == configuration]
    if len(wanted) != 1:
        names = ", ".join(sorted(m.name.rpartition("__")[2] for m in models))
        raise UsageError(
            f"there are {len(wanted)} models to import" if wanted else f"there is no configuration '{configuration}'",
            where=where,
            fix=f"Choose one with --configuration; there are: {names}.",
        )
    return wanted[0]


def _folds(folder: Path, checkpoint: str, wanted: Sequence[str] | None) -> list[Path]:
    trained = {p.name.removeprefix("fold_"): p for p in sorted(folder.glob("fold_*")) if (p / checkpoint).is_file()}
    if wanted is None:
        # As nnU-Net does: the fold trained on everything is used only where it is requested, or the only one.
        numbered = [fold for fold in trained if re.fullmatch(r"\d+", fold)]
        wanted = numbered or list(trained)
    missing = [fold for fold in wanted if fold not in trained]
    if missing or not wanted:
        raise ModelError(
            f"fold {', '.join(missing)} has no {checkpoint}" if missing else f"no fold has a {checkpoint}",
            where=folder.name,
            fix=f"Folds that have one: {', '.join(trained) or 'none'}.",
        )
    return [trained[fold] for fold in wanted]
