"""A scan prepared once for all parts of a composite that want it the same."""

from __future__ import annotations

from medseg.prepare.card import InputCard
from medseg.prepare.labels import LowResolutionStage
from medseg.prepare.prepared import Prepared, prepare
from medseg.prepare.route import Route
from medseg.types import Scan

# All of a card's input that decides what the network is shown.
DECIDING = {"orientation", "axis_order", "spacing", "resampling", "crop_to_nonzero", "crop_above",
            "normalize_after_resampling"}  # fmt: skip


class SharedPreparation:
    """Remembers the scan that was prepared last; only one is held."""

    def __init__(self) -> None:
        self._held: tuple[Scan, object, Prepared] | None = None
        self.reused = 0

    def __call__(
        self, scan: Scan, card: InputCard, route: Route, low_resolution_stage: LowResolutionStage | None
    ) -> Prepared:
        """Prepare a scan as `medseg.prepare.prepared.prepare` does, or give what it gave for the part before."""
        if low_resolution_stage is not None:
            return prepare(scan, card, route, low_resolution_stage)
        key = (
            card.model_dump_json(include=DECIDING),
            [channel.normalization.model_dump_json() for channel in card.channels],
            (route.box, route.size, route.padding),
        )
        if self._held is not None and self._held[0] is scan and self._held[1] == key:
            self.reused += 1
            return self._held[2]
        self._held = None  # before the next one is made
        prepared = prepare(scan, card, route)
        self._held = (scan, key, prepared)
        return prepared

    def forget(self) -> None:
        """Give the memory back."""
        self._held = None
