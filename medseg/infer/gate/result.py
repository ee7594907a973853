"""The gate after the network: a result that no suitable scan has."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.infer.gate.refusal import Refusal
from medseg.types import Prediction
from medseg.types.expected_result import ExpectedResult
from medseg.types.quality import ClassQuality
from medseg.types.run import ClassVolume, Volumes

MANY = 12  # times as many components as in any training reference
# Above the card's boundary entropy by this much, the result is withheld; by the lesser much, where its shape is unusual
# too. Figures in docs/benchmarks/gate.md; of models trained without 52 cases, these had up to 1.01 times the most
# entropy of those trained on (docs/benchmarks/window-size.md), and what is suitable must never be withheld.
FAR_ABOVE, ABOVE = 1.2, 1.1
UNUSUAL = 2  # signs of shape
WHOLE = 0.9  # least fraction of a class in its largest component


def refuse_result(prediction: Prediction, volumes: Volumes, quality: Sequence[ClassQuality]) -> Refusal | None:
    """Say why a result is not one of a scan the model is for; None where nothing speaks against it."""
    expected = prediction.expected
    if expected is None:
        return None
    reason = (
        _absent(volumes, expected)
        or _components(quality, expected)
        or _volume(prediction, volumes, expected)
        or _uncertain(prediction, volumes, quality, expected)
    )
    return None if reason is None else Refusal(reason, expected.fix)


def withhold_or_mark(why: Refusal | None, expected: ExpectedResult | None) -> str | None:
    """Raise for a result that is to be withheld; with `anyway`, return the warning that marks it instead."""
    if why is None:
        return None
    if expected is None or not expected.anyway:
        raise why.error()
    return why.warning()


def mean_boundary_entropy(prediction: Prediction) -> float | None:
    """Mean over the classes of the entropy along their boundaries; None where no class has one that is known."""
    known = [found.boundary_entropy for found in prediction.uncertainty.values()]
    values = [value for value in known if value is not None]
    return sum(values) / len(values) if values else None


def _absent(volumes: Volumes, expected: ExpectedResult) -> str | None:
    absent = [row.class_name for row in volumes.rows if not row.voxels and row.class_name in expected.always_present]
    return f"no {' and no '.join(absent)} was found, which every scan for this model shows" if absent else None


def _components(quality: Sequence[ClassQuality], expected: ExpectedResult) -> str | None:
    for row in quality:
        most = expected.n_components.get(row.class_name)
        if most is not None and row.n_components >= MANY * most:
            return (
                f"{row.class_name} was found in {row.n_components} connected components; the training data has {most} "
                "at most"
            )
    return None


def _volume(prediction: Prediction, volumes: Volumes, expected: ExpectedResult) -> str | None:
    if expected.volume_factor is None or not expected.outside_extent:
        return None
    for row in volumes.rows:
        low, high = _range(prediction, row)
        if low / expected.volume_factor <= _ml(prediction, row) <= high * expected.volume_factor:
            continue
        return (
            f"its field of view is not the training data's, and the result has {_ml(prediction, row):.3g} ml of "
            f"{row.class_name}, where the training data has {low:.3g} to {high:.3g} ml"
        )
    return None


def _uncertain(
    prediction: Prediction, volumes: Volumes, quality: Sequence[ClassQuality], expected: ExpectedResult
) -> str | None:
    found, limit = mean_boundary_entropy(prediction), expected.boundary_entropy
    if found is None or limit is None:
        return None
    signs = _signs(prediction, volumes, quality)
    if found <= limit * ABOVE or (found <= limit * FAR_ABOVE and len(signs) < UNUSUAL):
        return None
    besides = f", and {' and '.join(signs)}" if signs else ""
    return (
        f"the network is far less certain than on the scans it is for (mean boundary entropy {found:.2f}; at most "
        f"{limit:.2f}){besides}"
    )


def _signs(prediction: Prediction, volumes: Volumes, quality: Sequence[ClassQuality]) -> list[str]:
    """What is unusual about the shape of a result, each kind once."""
    signs = []
    if any(row.n_components > 1 and row.largest_component_fraction < WHOLE for row in quality):
        signs.append("the result is in several components")
    if any(row.touches_border for row in quality):
        signs.append("it reaches the edge of the scan")
    if any(not low <= _ml(prediction, row) <= high for row in volumes.rows for low, high in [_range(prediction, row)]):
        signs.append("its volume is outside the training data's")
    return signs


def _range(prediction: Prediction, row: ClassVolume) -> tuple[float, float]:
    return prediction.volume_range_ml.get(row.class_name, (0.0, float("inf")))


def _ml(prediction: Prediction, row: ClassVolume) -> float:
    return row.voxels * prediction.labels.geometry.voxel_volume / 1000
