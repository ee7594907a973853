"""Whether what a value is made from is of the right kind."""

from __future__ import annotations

from medseg.errors import InputError


def check_kinds(value: object, **kinds: type) -> None:
    """Raise `InputError` where an attribute is not an instance of its kind."""
    for name, kind in kinds.items():
        given = getattr(value, name)
        if not isinstance(given, kind):
            raise InputError(
                f"{type(value).__name__}, {name}: must be of type {kind.__name__}, not {type(given).__name__}",
                fix="Convert it with `numpy.asarray`." if name == "array" else f"Make a medseg {kind.__name__}.",
            )
