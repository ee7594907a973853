"""The gate before the network: header and pixels of a scan against what the model's card states."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from medseg.infer.gate.refusal import Refusal, refusal
from medseg.infer.gate.structure import agreement, edges
from medseg.infer.gate.values import UNITS, Values, labels_in, what_is_wrong
from medseg.models.card import ModelCard
from medseg.models.locate_card import LocateCard
from medseg.prepare.acceptance import AcceptanceCard
from medseg.prepare.card import InputCard
from medseg.prepare.prepared import IN_MEMORY
from medseg.types import Scan
from medseg.types.axis_order import toward

# Words for the same: DICOM's own stands last.
SAME_MODALITY = {"MRI": "MR", "PET": "PT", "SM": "GM"}
# What DICOM's Body Part Examined and people's habits have for a part of the body that shows it too.
SAME_PART = {
    "HEADNECK": "HEAD",
    "SKULL": "HEAD",
    "BRAIN": "HEAD",
    "NEURO": "HEAD",
    "HIPPOCAMPUS": "HEAD",
    **dict.fromkeys(("CEREBRUM", "CRANIUM", "INTRACRANIAL"), "HEAD"),
    **dict.fromkeys(
        ("KOPF", "SCHAEDEL", "SCHDEL", "GEHIRN", "HIRN", "TETE", "TTE", "CRANE", "CRNE", "CERVEAU"), "HEAD"
    ),
    **dict.fromkeys(("TESTA", "CRANIO", "CERVELLO", "ENCEFALO", "CABEZA", "CRANEO", "CEREBRO", "HOOFD"), "HEAD"),
    **dict.fromkeys(("WHOLEBODY", "UNKNOWN", "NONE", "OTHER", "NA", "UNDEFINED", "NOTSPECIFIED", "MISC"), ""),
}
SIDES = {"L": "the left side", "R": "the right side", "B": "both sides"}
BRIGHTNESS_SLACK = 0.15
# Of the least in the training data; images of nuclei at half and twice their size, or blurred, keep 0.6 of it.
STRUCTURE = 0.55
ROUNDING = 1.001  # headers round spacings
THEIR_SCAN = "Give the scan that these labels are of"
NOTHING_STATED = (
    "The model's card does not state which scans it accepts, so little was checked before segmentation: what else the "
    "card states, and that the scan is no label map."
)

Check = Callable[[Scan, InputCard], str | None]


def refuse_scan(scan: Scan, card: ModelCard) -> Refusal | None:
    """Say why a scan is not what a model is for; None where header and pixels give no reason.

    The scan's range and a few of its planes are compared with the card: no network, and no import of one.
    """
    before = (_modality, _body_part, _laterality, _extent, _spacing)
    return _first(scan, card, (*before, _no_image, _units, _brightness, _structure))


def refuse_larger_scan(scan: Scan, card: ModelCard) -> Refusal | None:
    """Say why a scan in which the model's regions are to be found first is not for the model; None where it is.

    Its size, voxels, side and brightness are not those of the crops that the network is given.
    """
    return _first(scan, card, (_modality, _body_part, _no_image, _units))


def is_larger(scan: Scan, locate: LocateCard) -> bool:
    """Whether a scan shows enough along every axis for regions to be found in it."""
    return all(n * mm >= locate.from_mm for n, mm in zip(scan.geometry.shape, scan.geometry.spacing, strict=True))


def refuse_before_network(scan: Scan, card: ModelCard) -> Refusal | None:
    """Say why a scan would be withheld before any network is run: as the size of scan that it is of."""
    larger = card.locate is not None and is_larger(scan, card.locate)
    return (refuse_larger_scan if larger else refuse_scan)(scan, card)


def refuse_channels(scan: Scan, card: InputCard) -> Refusal | None:
    """Say why a scan of more channels than the network has is not for it, such as volumes in time; no `anyway` helps.

    Fewer are a part of the input that is missing, which is an error.
    """
    most = len(card.channels)
    if scan.channels <= most:
        return None
    names = ", ".join(channel.name for channel in card.channels)
    alone = (
        f"Give {names} alone, as one scan: take it out of the volumes in time, or the channels, that the file holds."
    )
    return Refusal(
        f"the scan has {scan.channels} channels or times; the model is for {most} ({names})",
        IN_MEMORY if scan.source.format == "array" else alone,
    )


def _first(scan: Scan, card: ModelCard, checks: Sequence[Check]) -> Refusal | None:
    """Reason of the first check that has one."""
    if reason := _dimensions(scan, card.input):
        return refusal(reason, card)
    if (more := refuse_channels(scan, card.input)) is not None:
        return more
    for check in checks:
        if reason := check(scan, card.input):
            return refusal(reason, card, THEIR_SCAN if check is _no_image and _holds_labels(scan) else None)
    return None


def _holds_labels(scan: Scan) -> bool:
    channels = map(Values, scan.array)
    return all(one.finite == 1.0 and one.lowest < one.highest and labels_in(one) for one in channels)


def notes_on_card(card: InputCard) -> tuple[str, ...]:
    """Note where the card is one of those that state nothing for the gate."""
    return () if card.accepts is not None else (NOTHING_STATED,)


def _accepts(card: InputCard) -> AcceptanceCard:
    return card.accepts or AcceptanceCard()


def _dimensions(scan: Scan, card: InputCard) -> str | None:
    wanted = _accepts(card).dimensions
    flat = 1 in scan.geometry.shape
    if wanted is None or flat == (wanted == 2):
        return None
    size = " x ".join(str(n) for n in scan.geometry.shape)
    kinds = ("a 2D image", "volumes") if flat else ("a volume", "2D images")
    return f"the scan is {kinds[0]} of {size} voxels; the model is for {kinds[1]}"


def _modality(scan: Scan, card: InputCard) -> str | None:
    expected = {channel.modality for channel in card.channels if channel.modality}
    if not scan.modality or not expected:
        return None
    if _word(scan.modality) in {_word(name) for name in expected}:
        return None
    return f"the scan is {scan.modality}; the model is for {' and '.join(sorted(expected))}"


def _word(modality: str) -> str:
    return SAME_MODALITY.get(modality.upper(), modality.upper())


def _body_part(scan: Scan, card: InputCard) -> str | None:
    part = scan.source.body_part
    if not part or not card.body_parts or _part(part) == "":
        return None
    if _part(part) in {_part(name) for name in card.body_parts}:
        return None
    return f"the scan shows {part.upper()} by its header; the model is for {' or '.join(card.body_parts)}"


def _part(name: str) -> str:
    plain = re.sub("[^A-Z]", "", name.upper())
    return SAME_PART.get(plain, plain)


def _laterality(scan: Scan, card: InputCard) -> str | None:
    side, accepted = (scan.source.laterality or "").upper(), _accepts(card).laterality
    if side not in SIDES or not accepted or side in accepted:
        return None
    return f"the scan shows {SIDES[side]} by its header; the model is for {' or '.join(SIDES[s] for s in accepted)}"


def _extent(scan: Scan, card: InputCard) -> str | None:
    factor, limits = _accepts(card).extent_factor, card.expected_extent_mm
    if factor is None or limits is None:
        return None
    values = extent_mm(scan, card)
    slack = factor * ROUNDING
    if all(a / slack <= v <= b * slack for v, a, b in zip(values, *limits, strict=True)):
        return None
    return f"the scan covers {_mm(values, card)}; the model is for {_mm(limits[0], card)} to {_mm(limits[1], card)}"


def _spacing(scan: Scan, card: InputCard) -> str | None:
    factor, limits = _accepts(card).spacing_factor, card.expected_spacing
    if factor is None or limits is None:
        return None
    values = _ordered(scan, card, scan.geometry.spacing)
    if all(v <= b * factor * ROUNDING for v, b in zip(values, limits[1], strict=True)):
        return None
    return f"the scan's voxels lie {_mm(values, card)} apart; the model is for no more than {_mm(limits[1], card)}"


def _no_image(scan: Scan, _card: InputCard) -> str | None:
    # A constant channel beside others is no reason, for instance a color that an image does not use.
    found = [what_is_wrong(Values(channel)) for channel in scan.array]
    return f"the scan {found[0]}" if found and all(found) else None


def _units(scan: Scan, card: InputCard) -> str | None:
    if len(card.channels) != scan.channels:
        return None
    for channel, array in zip(card.channels, scan.array, strict=True):
        if channel.values is not None and (why := UNITS[channel.values](Values(array))):
            return f"the scan {why}"
    return None


def _brightness(scan: Scan, card: InputCard) -> str | None:
    first, *others = [Values(channel) for channel in scan.array]
    gray = all(np.array_equal(channel.planes, first.planes, equal_nan=True) for channel in others)
    accepts = _accepts(card)
    limits = accepts.brightness_gray if gray else accepts.brightness_color
    if limits is None:
        return None
    found = first.brightness  # of color images too: the card's range was measured so
    if limits[0] - BRIGHTNESS_SLACK <= found <= limits[1] + BRIGHTNESS_SLACK:
        return None
    what = "gray" if gray else "color"
    return (
        f"half of this {what} scan is darker than {found:.2f} of its range of intensities; in the training data that "
        f"is {limits[0]:.2f} to {limits[1]:.2f}"
    )


def _structure(scan: Scan, card: InputCard) -> str | None:
    """What brightness alone lets through: smooth noise, alike in all channels or different in each."""
    accepts = _accepts(card)
    if accepts.channels_agree is not None and len(scan.array) > 1:
        agreed = agreement(scan.array)
        if agreed < STRUCTURE * accepts.channels_agree:
            return (
                f"the channels of the scan show different things (correlation {agreed:.2f}; in the training data at "
                f"least {accepts.channels_agree:.2f}), as noise does"
            )
    if accepts.edges is not None and (found := edges(scan.array[0])) < STRUCTURE * accepts.edges:
        return (
            f"the scan shows no edges of objects, as smooth noise has none (kurtosis of differences {found:.2f}; in "
            f"the training data at least {accepts.edges:.2f})"
        )
    return None


def extent_mm(scan: Scan, card: InputCard) -> tuple[float, float, float]:
    """Field of view of a scan along the network's axes, mm."""
    x, y, z = zip(scan.geometry.shape, scan.geometry.spacing, strict=True)
    return _ordered(scan, card, tuple(n * mm for n, mm in (x, y, z)))


def _ordered(scan: Scan, card: InputCard, values: Sequence[float]) -> tuple[float, float, float]:
    return toward(scan.geometry, card.orientation).then(card.axis_order).select(values)


def _mm(values: Sequence[float], card: InputCard) -> str:
    """Lengths along the network's axes; of 2D images, along two, in the pixels that stand for mm."""
    if _accepts(card).dimensions == 2 and card.spacing is None:
        return " x ".join(f"{v:.0f}" for v in values[:2]) + " pixels"
    return " x ".join(f"{v:.3g}" for v in values) + " mm"
