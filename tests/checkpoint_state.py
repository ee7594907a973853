"""What decides how a run continues, as a checkpoint holds it, for comparing two runs to the bit."""

from pathlib import Path

from medseg.training.checkpoint import read_checkpoint


def flat(value: object, name: str = "") -> dict[str, object]:
    """Leaves of nested dictionaries and lists by their dotted name."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, inner in items for k, v in flat(inner, f"{name}.{key}").items()}
    return {name: value}


def state(out: Path) -> dict[str, object]:
    """Weights, their average, what the optimizer remembers, and the step."""
    checkpoint = read_checkpoint(out / "checkpoint.pt")
    return flat({key: checkpoint[key] for key in ("network", "ema", "optimizer", "step")})


def differing(one: dict[str, object], other: dict[str, object]) -> list[str]:
    """Names of what is not equal to the bit."""
    assert one.keys() == other.keys()
    equal = {key: value == other[key] for key, value in one.items()}
    return [key for key, same in equal.items() if not (same.all() if hasattr(same, "all") else same)]
