"""Makes a composite package of models of the same classes, whose probabilities are averaged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from medseg.models.card import ModelCard, NetworkCard, PostCard
from medseg.models.composite_card import COMPOSITE, PARTS_FOLDER, CompositeCard, PartCard
from medseg.models.package import ModelPackage, write_card
from medseg.models.training_card import TrainingCard
from medseg.models.zipping import copy_package


def hash_of_parts(cards: Sequence[ModelCard]) -> str:
    """What a composite's card has as the hash of its weights."""
    return hashlib.sha256("".join(card.weights_sha256 for card in cards).encode()).hexdigest()


def as_part(card: ModelCard) -> ModelCard:
    """The card of a model in an average, where its own post-processing is not applied."""
    return card.model_copy(update={"post": ()})


def write_average(models: Mapping[str, ModelPackage], folder: Path, post: Sequence[PostCard]) -> ModelPackage:
    """Write a composite of models trained on one dataset, each under a name.

    - `models`: the first one's card has what the composite's says besides.
    - `post`: post-processing of the average.
    """
    parts: dict[str, ModelPackage] = {}
    for name, model in models.items():
        copied = copy_package(model, folder / PARTS_FOLDER / name)
        parts[name] = write_card(copied.folder, as_part(model.card)) if model.card.post else copied
    cards = {name: part.card for name, part in parts.items()}
    first = next(iter(cards.values()))
    values = {entry.value: entry.value for entry in first.classes}
    entries = tuple(PartCard(name=name, sha256=part.hash, values=values) for name, part in parts.items())
    card = first.model_copy(
        update={
            "composite": CompositeCard(parts=entries, merge="average"),
            "network": NetworkCard(name=COMPOSITE, dimensions=first.network.dimensions),
            "post": tuple(post),
            "training": _training(cards),
            "limits": tuple(dict.fromkeys(limit for one in cards.values() for limit in one.limits)),
            "weights_sha256": hash_of_parts(list(cards.values())),
            # What was measured of the first alone, or belongs to its network.
            **dict.fromkeys(("low_resolution_stage", "validation", "test", "uncertainty", "calibration")),
            **{"volume_interval": None, "result": None, "ensemble_members": 1, "precisions": {}},
        }
    )
    return write_card(folder, ModelCard.model_validate(card.model_dump()))


def _training(cards: Mapping[str, ModelCard]) -> TrainingCard:
    own = {name: card.training for name, card in cards.items()}
    return next(iter(own.values())).model_copy(
        update={
            "duration": "; ".join(f"{name}: {one.duration}" for name, one in own.items()),
            "trained_on": tuple(sorted({case for one in own.values() for case in one.trained_on})),
            "untrained": tuple(dict.fromkeys(name for one in own.values() for name in one.untrained)),
            "run": None,
        }
    )
