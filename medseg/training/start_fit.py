"""Compares a package to fine-tune with a dataset: channels, classes, regions, spacing, before any voxel is audited."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence

from medseg.counted import counted
from medseg.data.dataset import Dataset
from medseg.data.reading import read_channels
from medseg.errors import ConfigError, MedsegError
from medseg.models.card import ModelCard
from medseg.training.config import ClassConfig, FineTuningConfig
from medseg.types.axis_order import nearest_ras

log = logging.getLogger("medseg.train")

# Spacings that differ by a larger factor from those a package knows are pointed out.
FACTOR = 1.5


def check_start(
    card: ModelCard, data: Dataset, given: FineTuningConfig, classes: Mapping[str, ClassConfig] | None = None
) -> None:
    """Refuse a dataset whose channels a package does not take, and say what else of it is new to the package."""
    _check_channels(card, data, given.channels)
    _check_mapping("fine_tuning.classes", given.classes, [c.name for c in data.table], _names(card))
    if (card.regions is None) != (not data.regions):
        kinds = ("exclude each other", "are regions that may overlap")
        of_package, of_data = (kinds[bool(regions)] for regions in (card.regions, data.regions))
        log.warning("The classes of the package %s %s, the dataset's %s.", card.name, of_package, of_data)
    else:
        _say_new_classes(card, data, class_names(card, given, classes or {}))
    _say_spacing(card, data)


def class_names(card: ModelCard, given: FineTuningConfig, classes: Mapping[str, ClassConfig]) -> dict[str, str]:
    """Class of the dataset to class of the package: as a person maps it, or as the new card is to call the class.

    The latter where the package has a class of that name: a recipe that gave the package its names fine-tunes it too.
    """
    known = {_plain(name) for name in _names(card)}
    renamed = {mine: c.name for mine, c in classes.items() if c.name is not None and _plain(c.name) in known}
    return {**renamed, **given.classes}


def output_rows(card: ModelCard, data: Dataset, classes: Mapping[str, str]) -> list[int | None]:
    """For each output of a network for a dataset, the output of a package that means the same; None where none does.

    Classes are matched by their names, but for case and separators, or as a person maps them. Outputs of regions mean
    something else than those of classes that exclude each other.
    """
    if (card.regions is None) != (not data.regions):
        return [None] * data.n_outputs
    known = {_plain(name): row for row, name in enumerate(_outputs(card))}
    rows = [known.get(_plain(classes.get(c.name, c.name))) for c in data.table]
    # Where classes exclude each other the first output is the background's.
    return rows if data.regions else [0, *(None if row is None else row + 1 for row in rows)]


def _outputs(card: ModelCard) -> list[str]:
    """Names of the classes in the order of a network's outputs, the background aside."""
    by_value = {c.value: c.name for c in card.classes}
    return [by_value[value] for value in card.regions] if card.regions is not None else _names(card)


def _names(card: ModelCard) -> list[str]:
    return [c.name for c in card.classes]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().lower()


def _check_channels(card: ModelCard, data: Dataset, given: Mapping[str, str]) -> None:
    wanted, found = card.input.channels, data.channels
    _check_mapping("fine_tuning.channels", given, [c.name for c in found], [c.name for c in wanted])
    needs = f"the package {card.name} takes {_listed([(c.name, c.modality) for c in wanted])}"
    has = f"the dataset has {_listed([(c.name, c.modality) for c in found])}"
    if len(wanted) != len(found):
        raise ConfigError(
            f"{needs}; {has}",
            where="--from",
            fix="Give the dataset the channels of the package, or train without --from.",
        )
    named = [given.get(c.name, c.name) for c in found]
    places = [_plain(c.name) for c in wanted]
    if len(found) > 1 and [_plain(name) for name in named] != places:
        order = sorted(map(_plain, named)) == sorted(places)
        example = ", ".join(f"{c.name}: {w.name}" for c, w in zip(found, wanted, strict=True))
        raise ConfigError(
            f"{needs}; {has}{', in another order' if order else ''}",
            where="--from",
            fix="List the dataset's channels in the order of the package's."
            if order
            else f"If they are the same in this order, write --set 'fine_tuning.channels={{{example}}}'.",
        )
    for mine, theirs in zip(found, wanted, strict=True):
        other = None not in (mine.modality, theirs.modality) and mine.modality != theirs.modality
        if other and mine.name not in given:
            raise ConfigError(
                f"{needs}; {has}",
                where="--from",
                fix=f"If it is to learn the other modality, write --set 'fine_tuning.channels={{{mine.name}: "
                f"{theirs.name}}}'.",
            )


def _check_mapping(key: str, given: Mapping[str, str], found: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse names in a mapping that neither the dataset nor the package has."""
    for mine, theirs in given.items():
        if mine not in found:
            raise ConfigError(f"the dataset has no '{mine}'", where=key, fix=f"It has {', '.join(found)}.")
        if theirs not in wanted:
            raise ConfigError(f"the package has no '{theirs}'", where=key, fix=f"It has {', '.join(wanted)}.")


def _say_spacing(card: ModelCard, data: Dataset) -> None:
    """Say where the first scan's spacing is far from those the package was trained on."""
    given = card.input
    if not data.labeled or data.dimensions == 2:
        return
    try:
        scan = read_channels(data, data.labeled[0])
    except MedsegError:
        return  # the audit says what is wrong with the case
    spacing = nearest_ras(scan.geometry).select(scan.geometry.spacing)
    if given.expected_spacing is not None:
        low, high = given.expected_spacing
    elif given.spacing is not None and given.orientation != "stored":
        # Along the network's axes; the scan's own where the card keeps it.
        low = high = tuple(given.spacing[given.axis_order.index(axis)] or spacing[axis] for axis in range(3))  # type: ignore[assignment]
    else:
        return
    if any(mm > FACTOR * b or mm * FACTOR < a for mm, a, b in zip(spacing, low, high, strict=True)):
        known = _mm(low) if low == high else f"{_mm(low)} to {_mm(high)}"
        log.warning(
            "The package %s was trained on spacings of %s mm; the first scan here has %s mm. Scans are brought to that "
            "of the package.",
            card.name,
            known,
            _mm(spacing),
        )


def _say_new_classes(card: ModelCard, data: Dataset, classes: Mapping[str, str]) -> None:
    """Say which classes of the dataset a package does not have."""
    known = {_plain(name) for name in _names(card)}
    new = [c.name for c in data.table if _plain(classes.get(c.name, c.name)) not in known]
    if new:
        log.warning(
            "The package %s has the classes %s. New to it, and starting at random: %s. Where one of these is the same "
            "by another name, say so in fine_tuning.classes.",
            card.name,
            ", ".join(_names(card)),
            ", ".join(new),
        )


def _mm(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.3g}" for value in values)


def _listed(channels: Sequence[tuple[str, str | None]]) -> str:
    shown = ", ".join(name if modality is None else f"{name} ({modality})" for name, modality in channels)
    return f"{counted(len(channels), 'channel')} ({shown})" if len(channels) > 1 else shown
