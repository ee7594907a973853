"""The temperature that makes a model's probabilities mean what they say, on the model card."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medseg.config.strict import StrictFinite

LEAST_TEMPERATURE, LARGEST_TEMPERATURE = 0.25, 3.0
Error = Annotated[float, Field(ge=0, le=1)]


class CalibrationCard(StrictFinite):
    """One temperature that logits are divided by, fitted on held-out cases and checked on others."""

    temperature: Annotated[float, Field(ge=LEAST_TEMPERATURE, le=LARGEST_TEMPERATURE)] = Field(
        description="logits are divided by it before the softmax; above 1 the network was too sure; labels stay"
    )
    nll_before: Annotated[float, Field(ge=0)] = Field(
        description="mean negative log likelihood of the reference's classes without it, on the cases checked"
    )
    nll_after: Annotated[float, Field(ge=0)] = Field(description="the same with it")
    ece_before: Error = Field(description="expected calibration error without it, on the cases checked")
    ece_after: Error = Field(description="the same with it")
    cases_fitted: Annotated[int, Field(ge=1)] = Field(description="number of held-out cases it was fitted on")
    cases_checked: Annotated[int, Field(ge=1)] = Field(
        description="number of other held-out cases that it made better, by negative log likelihood"
    )
