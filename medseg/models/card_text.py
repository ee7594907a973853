"""A model card on one screen, for a person who decides whether to use the model."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from medseg.counted import counted
from medseg.models.card import ModelCard
from medseg.models.composite_card import CompositeCard, PartCard
from medseg.models.interactive_card import InteractiveCard
from medseg.models.license import WORDS
from medseg.models.volume_interval_card import VolumeIntervalCard

WIDTH, LABEL = 100, 14
# DICOM's codes of modalities that are no words of a reader's.
MODALITIES = {
    "DX": "digital radiography",
    "CR": "computed radiography",
    "ES": "endoscopy",
    "GM": "general microscopy",
    "MG": "mammography",
    "NM": "nuclear medicine",
    "OP": "ophthalmic photography",
    "OPT": "ophthalmic tomography",
    "PT": "PET",
    "SM": "slide microscopy",
    "US": "ultrasound",
    "XA": "X-ray angiography",
    "XC": "photography",
}
MOST_ROWS = 20  # of classes; more are listed in lines, so that the card stays on one screen


def card_text(card: ModelCard) -> str:
    """Return title, body part, modality, grid, classes with their Dice, training data and limits, in lines."""
    lines = [f"{card.name}, version {card.version}", *textwrap.wrap(card.title, WIDTH), card.notice, ""]
    for label, texts in _rows(card):
        for number, text in enumerate(texts):
            first = label.ljust(LABEL) if number == 0 else " " * LABEL
            rest = " " * (LABEL + 2 if text.startswith("- ") else LABEL)
            lines += textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest)
    return "\n".join(lines) + "\n"


def cards_table(cards: Mapping[str, ModelCard]) -> str:
    """Return one line a model: name, modality, body part, mean Dice, how its weights may be used, title."""
    rows = [("name", "modality", "body part", "Dice", "use", "title")]
    for name, card in cards.items():
        dice = "-" if card.mean_dice is None else f"{card.mean_dice:.3f}"
        rows.append((name, _modality(card), _body_part(card), dice, card.license.use or "not stated", card.title))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "".join(
        "  ".join([*(row[column].ljust(widths[column]) for column in range(5)), row[5]]) + "\n" for row in rows
    )


def overview(card: ModelCard) -> dict[str, Any]:
    """Return what the table says of a model, as plain data: modalities by DICOM's codes, null where not stated."""
    return {
        "title": card.title,
        "version": card.version,
        "modalities": [channel.modality for channel in card.input.channels],
        "body_parts": _body_parts(card),
        "mean_dice": card.mean_dice,
        "use": card.license.use or None,
    }


def _rows(card: ModelCard) -> Iterator[tuple[str, list[str]]]:
    yield "Body part", [_body_part(card)]
    yield "Modality", [f"{_modality(card)} ({', '.join(channel.name for channel in card.input.channels)})"]
    yield "Voxels", [_voxels(card)]
    if card.interactive is not None:
        yield "Takes clicks", _clicks(card.interactive)
    if card.composite is not None:
        yield "Parts", [_part_row(card.composite, part) for part in card.composite.parts]
    names = [entry.name for entry in card.result_classes]
    yield "Classes", [_class_row(card, name) for name in names] if len(names) <= MOST_ROWS else [", ".join(names)]
    measured = card.validation
    yield (
        "Measured",
        ["Not measured."]
        if measured is None or card.mean_dice is None
        else [
            f"Mean Dice {card.mean_dice:.3f} on {counted(measured.cases, 'case')} ({measured.split}).",
            measured.notes,
        ],
    )
    if card.interactive is None:
        if card.network.dimensions == 3 or card.volume_interval is not None:
            yield "Volumes", _intervals(card.volume_interval)
        yield "Probabilities", [_calibration(card)]
    if card.test is not None:
        yield "Test", [f"Mean Dice {card.test.mean_dice:.3f} on {card.test.cases} {card.test.split}."]
    partly = "".join(f" {count} of them annotate '{name}'." for name, count in card.training.annotated.items())
    yield "Trained on", [f"{counted(card.training.cases, 'case')}.{partly} {card.training.data}"]
    yield "Use", [f"{WORDS[card.license.use][:1].upper()}{WORDS[card.license.use][1:]}."]
    yield "License", [card.training.license]
    yield "Limits", [f"- {text}" for text in card.limits] or ["None are stated."]


def _clicks(card: InteractiveCard) -> list[str]:
    """That it needs a reader, and what clicks gain."""
    named = {"corrected": "Dice of a mask with simulated errors", "from_nothing": "Dice from nothing"}
    curves = []
    for start, curve in card.dice.items():
        after = ", ".join(f"{value:.3f} after {counted(n, 'click')}" for n, value in sorted(curve.items()))
        curves.append(f"{named[start]}: {after}.")
    return ["In the review page, of a reader (medseg review --clicks); it cannot predict by itself.", *curves]


def _intervals(card: VolumeIntervalCard | None) -> list[str]:
    """Of each class how wide its interval is, or that too few cases were held out."""
    if card is None:
        return ["Given without an interval: none was measured."]
    rule, texts = card.to_rule(), []
    for name, count in rule.cases.items():
        half = rule.interval(name, 1.0)
        if half is None:
            texts.append(f"{name}: no interval, as {count} held-out cases are too few for {rule.level:.0%}.")
        else:
            # Of a relative interval the same for every volume, of others at 1 ml.
            at = "" if rule.power == 1 else " at 1 ml"
            texts.append(f"{name}: ±{half.high - 1:.1%}{at} ({rule.level:.0%} interval, {count} held-out cases).")
    return texts


def _calibration(card: ModelCard) -> str:
    """Whether a probability of 0.8 is right in 80% of voxels, as far as that was measured."""
    found = card.calibration
    if found is not None:
        return (
            f"Calibrated with temperature {found.temperature:.3g}; expected calibration error {found.ece_before:.4f} "
            f"without it and {found.ece_after:.4f} with it, on {found.cases_checked} held-out cases."
        )
    if card.composite is None:
        means = f"the mean of {card.ensemble_members} networks'" if card.ensemble_members > 1 else "the network's"
    else:
        means = "the mean of the parts'" if card.composite.merge == "average" else "each part's, as its card has them"
    return f"Not calibrated: they are {means}."


def _body_parts(card: ModelCard) -> list[str]:
    meanings = [entry.code.meaning for entry in card.classes if entry.code is not None]
    return list(dict.fromkeys((*card.input.body_parts, *meanings)))


def _body_part(card: ModelCard) -> str:
    return ", ".join(_body_parts(card)) or "not stated"


def _modality(card: ModelCard) -> str:
    codes = [channel.modality for channel in card.input.channels if channel.modality]
    modalities = [MODALITIES.get(code, code) for code in codes]
    return ", ".join(dict.fromkeys(modalities)) or ("2D images" if card.network.dimensions == 2 else "not stated")


def _voxels(card: ModelCard) -> str:
    spacing = card.input.spacing
    steps = ["any" if step is None else f"{step:g}" for step in spacing or ()]
    grid = f"{' x '.join(steps)} mm" if steps else "any spacing"
    extent = card.input.expected_extent_mm
    if extent is None:
        return f"{card.network.dimensions}D, {grid}"
    in_pixels = card.network.dimensions == 2 and spacing is None
    axes = list(zip(*extent, strict=True))[: 2 if in_pixels else 3]
    sizes = " x ".join(f"{low:.0f} to {high:.0f}" for low, high in axes)
    return f"{card.network.dimensions}D, {grid}; scans of {sizes} {'pixels' if in_pixels else 'mm'}"


def _part_row(composite: CompositeCard, part: PartCard) -> str:
    locates = composite.locator is not None and composite.locator.part == part.name
    return f"{part.name}: {len(part.values)} classes{', finds where the others look' if locates else ''}"


def _class_row(card: ModelCard, name: str) -> str:
    measured = card.validation
    dice = measured.dice.get(name) if measured else None
    volumes = measured.volume_range_ml.get(name) if measured and card.network.dimensions == 3 else None
    row = name + ("" if dice is None else f": Dice {dice:.3f}")
    return row if volumes is None else f"{row}; {volumes[0]:.3g} to {volumes[1]:.3g} ml in the training data"
