"""What an argument may be beyond its type, in one place for the command line and for Python."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from medseg.errors import did_you_mean

# As medseg.io.formats.WRITERS and medseg.evaluation.metrics.definitions.METRICS, T being a number; neither is imported,
# for the sake of a quick --help, and a test holds them together.
LABEL_FORMATS = (
    "nifti",
    "nrrd",
    "mha",
    "dicom-seg",
    "dicom-seg-labelmap",
    "dicom-seg-fractional",
    "dicom-seg-objects",
    "rtstruct",
    "sr",
    "sc",
    "stl",
    "obj",
    "gltf",
)
METRICS = (
    "dice",
    "iou",
    "precision",
    "recall",
    "volume_ml",
    "reference_volume_ml",
    "volume_difference_ml",
    "relative_volume_difference",
    "hd",
    "hd95",
    "assd",
    "masd",
    "nsd@Tmm",
    "boundary_iou",
    "cldice",
    "pq",
    "sq",
    "rq",
    "f1@T",
    "ap@T",
    "objects_reference",
    "objects_prediction",
    "objects_matched",
    "v_rand",
    "v_info",
    "lesion_dice",
    "lesion_tp",
    "lesion_fp",
    "lesion_fn",
    "ece",
    "ece_foreground",
)


@dataclass(frozen=True)
class Form:
    """A check that raises `ValueError`, in words that follow the name of the argument."""

    check: Callable[[Any], None]

    def passed(self, value: Any) -> Any:
        """Return the value once it is checked."""
        self.check(value)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.passed, handler(source))


def names_in(given: str | Sequence[str] | None) -> list[str]:
    """Return the names in a text that has commas between them, or one by one."""
    named = given.split(",") if isinstance(given, str) else given or ()
    return [name.strip() for name in named if name.strip()]


def numbers_in(given: str | Sequence[float]) -> tuple[float, float, float]:
    """Return the three numbers in a text that has commas between them, or of a sequence."""
    x, y, z = (float(one) for one in (given.split(",") if isinstance(given, str) else given))
    return x, y, z


def some_of(*known: str) -> Form:
    """Only these names, with commas between them or one by one."""

    def check(given: str | Sequence[str]) -> None:
        names = names_in(given)
        unknown = [name for name in names if name not in known]
        if unknown or (isinstance(given, str) and not names):
            near = did_you_mean(unknown[0], known) if unknown else ""
            raise ValueError(f"must be one or more of {', '.join(known)}, with commas between them. {near}".strip())

    return Form(check)


def matching(pattern: str, what: str) -> Form:
    """Only text of a form."""

    def check(text: str) -> None:
        if not re.fullmatch(pattern, text.strip()):
            raise ValueError(f"must be {what}")

    return Form(check)


def _duration(length: str | float) -> None:
    # A number, which only Python can give, is of seconds; written, it needs its unit.
    numbers = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdSMHD]?)", str(length).strip())
    if not (numbers and float(numbers[1]) > 0):
        raise ValueError("must be a duration of more than 0, such as 90s, 20m or 1.5h")
    if isinstance(length, str) and not numbers[2]:
        raise ValueError(f"must have a unit, such as {length.strip()}m for minutes or {length.strip()}s for seconds")


def _regular_expression(text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"must be a regular expression, and this is none: {error}") from error


def _metrics(given: str | Sequence[str]) -> None:
    for name in [given] if isinstance(given, str) else given:
        # A threshold may be a range, as in ap@0.5:0.95.
        if name not in METRICS and not re.fullmatch(r"nsd@[\d.]+mm|(f1|ap)@[\d.:]+", name):
            near = f"{did_you_mean(name, METRICS)} ".lstrip()
            raise ValueError(f"{name!r} is no metric. {near}There are {', '.join(METRICS)}")


def _shard(text: str) -> None:
    numbers = re.fullmatch(r"(\d+)/(\d+)", text)
    is_part = numbers is not None and 1 <= int(numbers[1]) <= int(numbers[2])
    if not is_part and not re.fullmatch(r"auto(/0*[1-9]\d*)?", text):
        raise ValueError("must be K/N with K from 1 to N, such as 2/4, or auto, or auto/N")


def _finite(number: float) -> None:
    if math.isinf(number):
        raise ValueError("must be a finite number")


def _of_32_bits(number: int) -> None:
    # More than every generator of random numbers takes.
    if number >= 2**32:
        raise ValueError(f"must be at most {2**32 - 1}")


def _three_numbers(given: str | Sequence[float]) -> None:
    try:
        numbers = numbers_in(given)
    except ValueError:
        numbers = (math.nan,) * 3
    if not all(math.isfinite(one) for one in numbers):
        raise ValueError("must be three numbers with commas between them, such as -25,-22,-14")


def _three_sizes(given: str | Sequence[float]) -> None:
    _three_numbers(given)
    if min(numbers_in(given)) <= 0:
        raise ValueError("must be three numbers of more than 0, such as 36,50,36")


AtLeast0 = Annotated[int, Ge(0)]
AtLeast1 = Annotated[int, Ge(1)]
MoreThan0 = Annotated[float, Gt(0), Form(_finite)]
ClassValue = Annotated[int, Ge(1), Le(65535)]
Overlap = Annotated[float, Ge(0), Le(0.9)]
Resamples = Annotated[int, Ge(100), Le(100_000)]
Seed = Annotated[int, Ge(0), Form(_of_32_bits)]
ProcessCount = Annotated[int, Ge(1), Le(1024)]
Baseline = Annotated[int, Ge(20)]  # cases of a control chart
FalseAlarms = Annotated[float, Ge(0.001), Le(0.5)]
Pixels = Annotated[int, Ge(16)]  # along each side of a plane that is drawn
DEVICE = r"auto|cpu|cuda(:\d+)?"
Device = Annotated[str, matching(DEVICE, "auto, cpu, cuda or cuda:N")]
Duration = Annotated[str | float, Form(_duration)]
Folds = Annotated[str, matching(r"(?i:all)|\d+(\s*,\s*\d+)*", "all, or numbers such as 0,1")]
Configurations = Annotated[str, some_of("3d_fullres", "3d_lowres", "2d", "cascade")]
LabelFormats = Annotated[str | Sequence[str], some_of(*LABEL_FORMATS)]
Maps = Annotated[str | Sequence[str], some_of("probabilities", "entropy")]
Metrics = Annotated[str | Sequence[str], Form(_metrics)]
VoxelSpacing = Annotated[float, Ge(1e-7), Le(1000)]  # mm; from the size of an atom on
Point = Annotated[str | Sequence[float], Form(_three_numbers)]  # of the world, mm RAS+
BoxSize = Annotated[str | Sequence[float], Form(_three_sizes)]  # mm
Pattern = Annotated[str, Form(_regular_expression)]
# As MLflow has them.
AliasName = Annotated[
    str,
    matching(
        r"(?!latest$|[vV]\d+$)[A-Za-z0-9_-]+", "letters, digits, underscores and hyphens, and not latest or as v1"
    ),
]
RegisteredName = Annotated[str, matching(r"[^/:]+", "text without / and :")]
ShardName = Annotated[str, Form(_shard)]


def limits(kind: Any) -> Iterator[Any]:
    """Return the bounds and forms of one of these kinds."""
    yield from (one for one in getattr(kind, "__metadata__", ()) if isinstance(one, Ge | Gt | Le | Form))
