"""Where a model's weights come from, on its card."""

from __future__ import annotations

from pydantic import Field

from medseg.config.strict import Strict


class TrainingCard(Strict):
    """Where the weights come from."""

    data: str = Field(description="what the model was trained on, and where that comes from")
    license: str = Field(description="license of the data, and what it means for the weights")
    cases: int = Field(ge=0, description="number of cases trained on")
    command: str = Field(description="command that trained the model")
    seed: int | None = Field(description="seed of the training; null: not known")
    duration: str = Field(default="", description="how long the training took, and on what")
    software: dict[str, str] = Field(default={}, description="packages and versions used in training")
    held_out: tuple[str, ...] = Field(default=(), description="case ids not trained on, used for `validation`")
    trained_on: tuple[str, ...] = Field(
        default=(), description="case ids that the weights were trained on; empty where they are not known"
    )
    untrained: tuple[str, ...] = Field(
        default=(), description="classes that no training case has: the model cannot find them, and no Dice is given"
    )
    run: str | None = Field(default=None, description="MLflow's id of the run that trained the model; null: not known")
    parent: str = Field(
        default="", description="name, version and hash of the package whose weights these started from; empty: none"
    )
    annotated: dict[str, int] = Field(
        default={},
        description="class name to the number of cases that annotate it, for classes that not all of them do; in the "
        "others the class was masked in the loss",
    )
    border_mm: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="width in mm of the class `border` that was made from numbered objects; null without one",
    )
