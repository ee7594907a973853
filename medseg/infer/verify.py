"""Checks that a model package is whole and that its network runs, before patients depend on it."""

from __future__ import annotations

import numpy as np

from medseg.errors import ModelError
from medseg.infer.decision import NOT_NUMBERS
from medseg.infer.engines.select import select_engine
from medseg.infer.options import InferOptions
from medseg.models.package import ModelPackage


def verify(package: ModelPackage, options: InferOptions | None = None) -> dict[str, str]:
    """Check the weights' hash, build the network, load the weights, and run it on one window of noise."""
    if package.parts:
        return _verify_parts(package, options)
    engine = select_engine(package, options or InferOptions())
    card = package.card
    window = np.random.default_rng(0).standard_normal((1, card.channels, *card.input.patch), np.float32)
    scores = engine.run(window)
    expected = (1, card.n_outputs, *card.input.patch)
    if scores.shape != expected:
        raise ModelError(
            f"the network gives an output of shape {scores.shape}, not {expected}",
            where=package.folder,
            fix="Correct classes and patch on its card, or import the model again.",
        )
    if not np.isfinite(scores).all():
        raise ModelError(
            "the output of the network has values that are not numbers (NaN)", where=package.folder, fix=NOT_NUMBERS
        )
    return {
        "package": str(package.identity),
        "weights": f"SHA-256 {card.weights_sha256[:12]}... as on the card",
        "network": f"{card.network.name}, weights fit"
        + (f", an ensemble of {card.ensemble_members}" if card.ensemble_members > 1 else ""),
        "run": f"one window of {' x '.join(map(str, card.input.patch))} on {engine.name}: "
        f"{card.n_outputs} finite outputs",
    }


def _verify_parts(package: ModelPackage, options: InferOptions | None) -> dict[str, str]:
    """Verify each part of a composite, one after another."""
    assert package.card.composite is not None
    named = zip(package.card.composite.parts, package.parts, strict=True)
    return {
        "package": str(package.identity),
        **{entry.name: "{weights}; {run}".format(**verify(part, options)) for entry, part in named},
    }
