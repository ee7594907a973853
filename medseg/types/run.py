"""What a run over many cases takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medseg.types.how_computed import HowComputed
from medseg.types.prediction import Prediction
from medseg.types.quality import Quality
from medseg.types.scan import Case, Skipped

__all__ = [
    "BatchResult",
    "CaseOutcome",
    "CaseState",
    "ClassVolume",
    "Inputs",
    "PredictedCase",
    "PredictedVolumes",
    "Preparing",
    "Segmented",
    "Volumes",
]

CaseState = Literal["done", "current", "failed", "pending"]


@dataclass(frozen=True)
class Inputs:
    """Files and folders a user named.

    Parameters
    ----------
    paths : tuple of Path
        As given.
    """

    paths: tuple[Path, ...]


@dataclass(frozen=True)
class ClassVolume:
    """How much of a class a prediction has.

    Parameters
    ----------
    class_name : str
        The class.
    voxels : int
        Number of voxels.
    volume_ml : float
        Their volume.
    objects : int, optional
        Number of objects, where the model makes objects of the class.
    """

    class_name: str
    voxels: int
    volume_ml: float
    objects: int | None = None


@dataclass(frozen=True)
class Volumes:
    """The volume of every class of the label table, in its order."""

    rows: tuple[ClassVolume, ...]


@dataclass(frozen=True, eq=False)
class PredictedCase:
    """A case with what a model predicts of it."""

    case: Case
    prediction: Prediction


@dataclass(frozen=True, eq=False)
class PredictedVolumes:
    """A prediction with the volumes of its classes."""

    prediction: Prediction
    volumes: Volumes


@dataclass(frozen=True, eq=False)
class Segmented:
    """A case with its prediction and volumes, to be written and looked at.

    Parameters
    ----------
    case : Case
        What was read.
    prediction : Prediction
        What the model says of it.
    volumes : Volumes
        Of the prediction's labels.
    notes : tuple of str
        What the user should know of how it was written.
    quality : Quality, optional
        Figures that need no reference.
    """

    case: Case
    prediction: Prediction
    volumes: Volumes
    notes: tuple[str, ...] = ()
    quality: Quality | None = None


@dataclass(frozen=True)
class Preparing:
    """What is done once, before the first case that needs it.

    Parameters
    ----------
    text : str
        What, and about how long it takes.
    """

    text: str


@dataclass(frozen=True)
class CaseOutcome:
    """How one case ended.

    Parameters
    ----------
    case_id : str
        The case; for a broken file that never became one, an empty string.
    state : {"done", "current", "failed", "pending"}
        Done in this run; current from an earlier run with the same input, model and options; failed; or not reached.
    source : str
        Name of the file or kind of series it came from, free of patient data.
    folder : Path, optional
        Where its results lie.
    error, fix : str, optional
        Why it failed and what to do.
    notes : tuple of str
        What to know of the result.
    outputs : tuple of str
        Names of the files written.
    volumes : Volumes, optional
        Where measured.
    review_priority : float
        How much the case asks to be looked at, from its `Quality`; 0 where that was not measured.
    seconds : float
        Time spent in this run.
    computed : HowComputed, optional
        What ran the network, where one did.
    """

    case_id: str
    state: CaseState
    source: str
    folder: Path | None = None
    error: str | None = None
    fix: str | None = None
    notes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    volumes: Volumes | None = None
    review_priority: float = 0.0
    seconds: float = 0.0
    computed: HowComputed | None = None


@dataclass(frozen=True)
class BatchResult:
    """How a whole run ended.

    Parameters
    ----------
    out : Path
        The output folder.
    outcomes : tuple of CaseOutcome
        One for each case found and each broken file.
    skipped : tuple of Skipped
        Files that were something else.
    identity : tuple of (str, str)
        What made the results: model, versions.
    pipeline : str
        Name of the pipeline that ran.
    """

    out: Path
    outcomes: tuple[CaseOutcome, ...]
    skipped: tuple[Skipped, ...] = ()
    identity: tuple[tuple[str, str], ...] = ()
    pipeline: str = ""

    def count(self, *states: CaseState) -> int:
        """Number of outcomes in any of these states."""
        return sum(outcome.state in states for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 all done, 3 some failed, 4 nothing found or nothing worked."""
        good, failed = self.count("done", "current"), self.count("failed")
        if good == 0 and self.count("pending") == 0:
            return 4
        return 3 if failed else 0
