"""What computes a network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from medseg.infer.output_layer import OutputLayer
from medseg.models.card import ModelCard


def with_window(card: ModelCard, window: tuple[int, int, int]) -> ModelCard:
    """Return a card like another, for windows of another size."""
    return card.model_copy(update={"input": card.input.model_copy(update={"patch": window})})


class Engine(Protocol):
    """A network ready to run on some device; weights are loaded once, when it is made."""

    name: str
    """For logs and ``run.json``, for instance ``"torch 2.13 cpu float32"``."""

    working_bytes: int
    """Memory in bytes it takes while it computes one window, weights and scores not counted."""

    @property
    def multiple(self) -> tuple[int, int, int] | None:
        """What each side of a window must be a multiple of, 0 where it must stay as it is; None where all must."""
        ...

    def resized(self, window: tuple[int, int, int]) -> Engine:
        """Return an engine of the same network for windows of another size; only where there is a `multiple`."""
        ...

    def run(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute scores.

        - `windows`, shape (N, C, X, Y, Z): C-contiguous. For a network of two dimensions Z is 1.
        - returns, shape (N, K, X, Y, Z): before softmax. May be memory the next call writes again: whoever keeps scores
          copies them.
        """
        ...


class EngineOfFeatures(Engine, Protocol):
    """An engine that may leave a network's last layer to what adds its windows."""

    output_layer: OutputLayer | None
    """What makes scores of features; None where `run` computes all there is."""

    def features(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute what `output_layer` is given, shape (N, F, X, Y, Z), of windows as `run` takes them; or scores."""
        ...
