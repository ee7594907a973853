"""Makes a composite package: several models that run as one, from a description in YAML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from medseg.errors import FormatLimitation, UsageError
from medseg.io.files.atomic import atomic_folder
from medseg.models.adapters import nnunet
from medseg.models.averaging import hash_of_parts
from medseg.models.card import ModelCard, NetworkCard
from medseg.models.composite_card import COMPOSITE, PARTS_FOLDER, CompositeCard, GridCard
from medseg.models.composite_description import CompositeDescription, PartDescription
from medseg.models.composite_labels import Part, classes_of, entry_of, locator_of
from medseg.models.fit import check_package
from medseg.models.license import strictest
from medseg.models.license_card import LicenseCard, Use
from medseg.models.package import ModelPackage, holds_package, load_package, write_card
from medseg.models.training_card import TrainingCard
from medseg.models.zipping import copy_package

NOTICE = str(ModelCard.model_fields["notice"].default)
CLEAN_UP = "clean-up"  # the one post-processing that a part brings along


def compose(
    description: CompositeDescription, name: str, folder: Path, *, base: Path, replace: bool = False
) -> ModelPackage:
    """Write a composite package, whole or not at all.

    - `base`: folder that relative paths of parts are counted from.
    - `replace`: whether a package that is there gives way.
    """
    if folder.exists() and any(folder.iterdir()) and not replace:
        raise UsageError("the folder holds other files", where=folder, fix="Choose another --out.")
    with atomic_folder(folder) as part:
        _write(description, name, part, base)
    return load_package(folder)


def _write(description: CompositeDescription, name: str, folder: Path, base: Path) -> None:
    parts: list[Part] = []
    for described in description.parts:
        own = described.name or _default_name(described.model)
        if own in [part.name for part in parts]:
            raise UsageError(f"two parts are called '{own}'", where="parts", fix="Give each a name: of its own.")
        target = folder / PARTS_FOLDER / own
        package = _bring(described, own, target, base, on_grid=description.grid is not None)
        _check_part(package, own, [part.package for part in parts])
        parts.append(Part(described, own, package))
    if description.merge == "average":
        _check_average(description, parts)
    write_card(folder, _card(description, name, parts))


def _default_name(model: str) -> str:
    """Name of a part that was given none: its model's, or the last but one folder of nnU-Net's results."""
    path = Path(model)
    stem = path.parent.name if "__" in path.name else path.stem if path.suffix == ".zip" else path.name
    allowed = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in stem)
    return allowed.lstrip("_.-")[:60] or "part"


def _bring(described: PartDescription, name: str, target: Path, base: Path, *, on_grid: bool) -> ModelPackage:
    """Put a part's package into its place: copied, or made of nnU-Net's results."""
    path = base / Path(described.model).expanduser()
    if path.exists() and not (path.is_dir() and holds_package(path)) and nnunet.is_nnunet(path):
        # On a shared grid every scan's axes are nearest to R, A, S.
        package = nnunet.import_nnunet(
            path,
            name,
            target,
            configuration=described.configuration,
            folds=described.folds,
            orientation="RAS" if on_grid else None,
        )
    else:
        found = load_package(path if path.exists() else described.model)
        check_package(found)
        package = copy_package(found, target)
    own = {"overlap": described.overlap, "sums": described.sums}
    changed = {key: value for key, value in own.items() if value is not None}
    return write_card(target, package.card.model_copy(update=changed)) if changed else package


def _check_part(package: ModelPackage, name: str, others: Sequence[ModelPackage]) -> None:
    """Refuse what cannot be a part, or not together with the others."""
    card = package.card
    if card.composite is not None:
        raise UsageError(f"'{name}' is a composite itself", where="parts", fix="List its parts instead.")
    if card.network.name == "torchscript":
        raise UsageError(f"'{name}' is a TorchScript program", where="parts", fix="Use plain weights or ONNX.")
    if card.overlapping:
        raise FormatLimitation(
            f"'{name}' gives overlapping classes, and a composite has one class for each voxel",
            where="parts",
            fix="Run that model on its own.",
        )
    made = [step.stage for step in card.post if step.stage != CLEAN_UP]
    if made:
        raise FormatLimitation(
            f"'{name}' makes objects ('{made[0]}' on its card), which a composite does not",
            where="parts",
            fix="Run that model on its own.",
        )
    for other in others:
        theirs, ours = ([channel.modality for channel in c.input.channels] for c in (other.card, card))
        differ = len(theirs) != len(ours) or any(a and b and a != b for a, b in zip(theirs, ours, strict=True))
        if differ:
            raise UsageError(
                f"'{name}' takes {_channels(card)} and another part takes {_channels(other.card)}",
                where="parts",
                fix="All parts must be for the same scans.",
            )


def _check_average(description: CompositeDescription, parts: Sequence[Part]) -> None:
    """Refuse parts whose probabilities are not those of the same classes of every voxel."""
    if description.locator is not None or description.grid is not None:
        raise UsageError(
            "parts that are averaged each see the whole scan on a grid of their own",
            where="merge",
            fix="Omit locator and grid, or merge: average.",
        )
    classes = classes_of(description, parts)
    given = [sorted(entry_of(part, classes).values.values()) for part in parts]
    for part, values in zip(parts, given, strict=True):
        if values != given[0] or len(set(values)) < len(values) or len(values) < len(part.package.card.classes):
            raise UsageError(
                f"'{part.name}' does not give each class that '{parts[0].name}' gives, once, and no other",
                where="merge",
                fix="Average models of the same classes; `values` of a part says which are the same.",
            )
        card = part.package.card
        if card.regions is not None or card.locate is not None:
            kind = "has regions that may overlap" if card.regions is not None else "looks for its regions in the scan"
            raise FormatLimitation(
                f"'{part.name}' {kind}, so that its probabilities cannot be averaged with others'",
                where="merge",
                fix="Run that model on its own.",
            )


def _channels(card: ModelCard) -> str:
    return " and ".join(channel.modality or channel.name for channel in card.input.channels)


def _card(description: CompositeDescription, name: str, parts: Sequence[Part]) -> ModelCard:
    classes = classes_of(description, parts)
    entries = tuple(entry_of(part, classes) for part in parts)
    given = {value for entry in entries for value in entry.values.values()}
    if idle := [entry for entry in classes if entry.value not in given]:
        raise UsageError(f"no part gives the class '{idle[0].name}'", where="classes", fix="Correct values: of a part.")
    first = parts[0].package.card
    grid = description.grid
    shared = None
    if grid is not None:
        spacing = grid.spacing if isinstance(grid.spacing, tuple) else (grid.spacing,) * 3
        shared = GridCard(spacing=spacing, order=grid.order, whole_numbers=grid.whole_numbers)
    uses = [part.package.card.license.use for part in parts]
    return ModelCard(
        name=name,
        version=description.version,
        title=description.title,
        notice=description.notice or NOTICE,
        license=LicenseCard(use=_use(description, uses)),
        classes=classes,
        input=first.input.model_copy(
            update={
                "spacing": shared.spacing if shared else first.input.spacing,
                **{"accepts": None, "expected_extent_mm": None, "expected_spacing": None},
            }
        ),
        composite=CompositeCard(
            parts=entries, merge=description.merge, grid=shared, locator=locator_of(description, parts)
        ),
        network=NetworkCard(name=COMPOSITE, dimensions=first.network.dimensions),
        post=description.post,
        training=_training(description, [part.package.card for part in parts]),
        limits=tuple(dict.fromkeys((*description.limits, *(t for p in parts for t in p.package.card.limits)))),
        weights_sha256=hash_of_parts([part.package.card for part in parts]),
    )


def _use(description: CompositeDescription, uses: Sequence[Use | None]) -> Use | None:
    """What is stated holds for parts that say nothing; it takes back nothing that a part says."""
    if description.license is None or description.license.use is None:
        return strictest(uses)
    return strictest((description.license.use, *(use for use in uses if use is not None)))


def _training(description: CompositeDescription, cards: Sequence[ModelCard]) -> TrainingCard:
    def joined(texts: Iterable[str]) -> str:
        return "; ".join(dict.fromkeys(text for text in texts if text))

    return TrainingCard(
        data=joined(card.training.data for card in cards),
        license=description.license_text or joined(card.training.license for card in cards),
        cases=max(card.training.cases for card in cards),
        command=f"medseg models import --composite, of {len(cards)} parts",
        seed=None,
        held_out=(),
        trained_on=tuple(dict.fromkeys(case for card in cards for case in card.training.trained_on)),
    )
