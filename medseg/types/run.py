"""What a run over many cases takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from medseg.counted import counted
from medseg.types.channels import WantedChannel
from medseg.types.class_values import ClassValues
from medseg.types.extent import UNITS, Extent
from medseg.types.how_computed import HowComputed
from medseg.types.labels import ModelIdentity
from medseg.types.prediction import Prediction
from medseg.types.quality import Quality
from medseg.types.scan import Case, Skipped
from medseg.types.series_criteria import SeriesCriteria
from medseg.types.volume_interval import VolumeInterval

# What reading a written file back gave: by measure (``dice`` or ``volume_ml``), a figure for each class.
Measured = Mapping[str, Mapping[str, float]]
# Of a class, in mm.
LENGTHS = ("diameter_mm", "long_axis_mm", "short_axis_mm")
# "current" is a case that an earlier run left done, and is never written: on disk and in tables it is done.
CaseState = Literal["done", "current", "failed", "withheld", "pending"]


@dataclass(frozen=True)
class Inputs:
    """Files and folders a user named, and which DICOM series the pipeline is for, where it is for one kind.

    The limits, GiB and seconds, hold for reading the header of each file. `channels` are those of a model that takes
    several scans of a case together. With a `manifest` its rows are the inputs, their paths below `root`, and where
    these are not to be brought together, only `part` k of n of its cases.
    """

    paths: tuple[Path, ...]
    series_criteria: SeriesCriteria | None = None
    max_memory: float | None = None
    max_seconds: float | None = None
    channels: tuple[WantedChannel, ...] = ()
    manifest: Path | None = None
    root: str = ""
    part: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class ClassVolume:
    """How much of a class a prediction has; `objects` where the model makes objects of it."""

    class_name: str
    voxels: int
    size: float  # in `unit`
    objects: int | None = None
    unit: Extent = "volume_ml"
    values: tuple[ClassValues, ...] = ()  # of the scan inside the class, channel by channel, where measured
    diameter_mm: float | None = None  # longest, where measured
    long_axis_mm: float | None = None  # longest diameter within one slice
    short_axis_mm: float | None = None  # longest diameter of that slice perpendicular to the long axis
    interval: VolumeInterval | None = None  # of `size`, where the model's card allows one

    def __str__(self) -> str:
        return f"{self.class_name} {self.size:.4g} {UNITS[self.unit]}"


@dataclass(frozen=True)
class Volumes:
    """The volume of every class of the label table, in its order; of a 2D image, the area."""

    rows: tuple[ClassVolume, ...]
    notes: tuple[str, ...] = ()  # why there are no intervals, where there might be

    def to_json(self) -> dict[str, dict[str, Any]]:
        """As ``status.json`` holds it: a mapping of class name to figures."""
        return {
            row.class_name: {"voxels": row.voxels, row.unit: row.size}
            | ({} if row.objects is None else {"objects": row.objects})
            | {name: value for name in LENGTHS if (value := getattr(row, name)) is not None}
            | ({} if row.interval is None else {"interval": row.interval.to_json()})
            | ({"values": [one.to_json() for one in row.values]} if row.values else {})
            for row in self.rows
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Mapping[str, Any]]) -> Volumes:
        """Read back what `to_json` gave."""
        rows = []
        for name, figures in content.items():
            unit = next(unit for unit in UNITS if unit in figures)
            values = tuple(ClassValues.from_json(one) for one in figures.get("values", ()))
            voxels, objects = figures["voxels"], figures.get("objects")
            lengths: dict[str, Any] = {length: figures.get(length) for length in LENGTHS}
            lengths["interval"] = VolumeInterval.from_json(figures.get("interval"))
            rows.append(ClassVolume(name, voxels, figures[unit], objects, unit, values, **lengths))
        return cls(tuple(rows))


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
class MeasuredCase:
    """A case with its prediction and the volumes of its classes."""

    case: Case
    prediction: Prediction
    volumes: Volumes


@dataclass(frozen=True, eq=False)
class Segmented:
    """A case with its prediction and what was measured of it; warnings and notes are of how it was written."""

    case: Case
    prediction: Prediction
    volumes: Volumes
    quality: Quality | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    read_back: Mapping[str, Measured] = field(default_factory=dict)

    @property
    def model(self) -> ModelIdentity:
        """What made it, with the mark that every file must carry."""
        mark = self.quality.mark if self.quality is not None else ""
        return replace(self.prediction.model, mark=self.prediction.model.mark or mark)


@dataclass(frozen=True)
class Preparing:
    """What is done once, before the first case that needs it, and about how long it takes."""

    text: str


@dataclass(frozen=True)
class WindowsDone:
    """How far the network has come in a case: its windows done, skipped and reused ones included, of how many."""

    case_id: str
    done: int
    total: int


@dataclass(frozen=True, repr=False)
class CaseOutcome:
    """How one case ended.

    Parameters
    ----------
    case_id : str
        The case; empty where a search gave a corrupt file none.
    state : {"done", "current", "failed", "withheld", "pending"}
        Done in this run; current from an earlier run with the same input, model and options; failed; withheld, because
        the scan is not what the model is for; or not reached.
    source : str
        Name of the file or kind of series it came from, free of patient data.
    folder : Path, optional
        Where its results lie.
    error, fix : str, optional
        Why it failed or was withheld, and what to do.
    warnings : tuple of str
        What may be wrong with the result.
    notes : tuple of str
        What is good to know of it.
    outputs : tuple of str
        Names of the files written.
    volumes : Volumes, optional
        Where measured.
    review_priority : float
        How much a person should look at the case: from its warnings and its uncertainty.
    seconds : float
        Time spent in this run.
    computed : HowComputed, optional
        What ran the network, where one did.
    read_back : mapping of str to Measured
        By DICOM file written, what came of reading it back and comparing it with the labels.
    code : str, optional
        Of the kind of error, such as ``E-input``, where it failed or was withheld.
    """

    case_id: str
    state: CaseState
    source: str
    folder: Path | None = None
    error: str | None = None
    fix: str | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    volumes: Volumes | None = None
    review_priority: float = 0.0
    seconds: float = 0.0
    computed: HowComputed | None = None
    read_back: Mapping[str, Measured] = field(default_factory=dict)
    code: str | None = None

    def __repr__(self) -> str:
        return f"CaseOutcome('{self.case_id}', {self.state}, warnings={len(self.warnings)})"

    @property
    def written_state(self) -> str:
        """The state on disk and in tables: whether a case was done now or before is no property of its result."""
        return "done" if self.state == "current" else self.state

    def to_json(self) -> dict[str, Any]:
        """What a record of the case holds whoever keeps it: how it ended and what came of it, and no times."""
        return {
            "case_id": self.case_id,
            "state": self.written_state,
            "source": self.source,
            "error": self.error,
            "fix": self.fix,
            "code": self.code,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "review_priority": self.review_priority,
            "computed": None if self.computed is None else self.computed.to_json(),
            "read_back": dict(self.read_back),
            "volumes": None if self.volumes is None else self.volumes.to_json(),
        }


@dataclass(frozen=True, repr=False)
class BatchResult:
    """How a whole run ended: an outcome for each case found and each corrupt file, and the files that were no scans.

    `identity` names what made the results, kind and name: model, versions. Of one shard, `elsewhere` counts the cases
    that fall to others (None: no shard), and `whole_list` is a hash over the ids of all shards' cases; of a report over
    all, `unfinished` has the numbers of those that did not finish.
    """

    out: Path
    outcomes: tuple[CaseOutcome, ...]
    skipped: tuple[Skipped, ...] = ()
    identity: tuple[tuple[str, str], ...] = ()
    pipeline: str = ""
    elsewhere: int | None = None
    shards: int = 1
    unfinished: tuple[int, ...] = ()
    whole_list: str = ""

    def __repr__(self) -> str:
        states = dict.fromkeys(outcome.state for outcome in self.outcomes)
        counts = ", ".join(f"{self.count(state)} {state}" for state in states) or "no case"
        return f"BatchResult({counts}, {counted(len(self.skipped), 'file')} skipped)"

    def count(self, *states: CaseState) -> int:
        """Number of outcomes in any of these states."""
        return sum(outcome.state in states for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """0 all done, 3 some failed or were withheld, 4 nothing found or nothing worked."""
        if not self.outcomes and self.elsewhere:
            return 0  # a shard to which no case falls
        if self.count("done", "current", "withheld", "pending") == 0:
            return 4
        return 3 if self.count("failed", "withheld") or self.unfinished else 0
