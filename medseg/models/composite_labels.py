"""The label table of a composite, and how the labels of its parts become labels of that table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medseg.errors import UsageError, did_you_mean
from medseg.models.card import ClassCard
from medseg.models.composite_card import LocatorCard, PartCard
from medseg.models.composite_description import (
    ClassDescription,
    CompositeDescription,
    NameOrValue,
    PartDescription,
)
from medseg.models.package import ModelPackage
from medseg.types.labels import PALETTE


@dataclass(frozen=True, eq=False)
class Part:
    """A part whose package lies in its place."""

    described: PartDescription
    name: str
    package: ModelPackage


def classes_of(description: CompositeDescription, parts: Sequence[Part]) -> tuple[ClassCard, ...]:
    """The label table, with codes and colors of the parts' classes of the same name where none are stated."""
    own: dict[str, ClassCard] = {}
    for part in parts:
        for entry in part.package.card.classes:
            own.setdefault(entry.name, entry)
    wanted = description.classes
    if wanted is None:
        wanted = tuple(ClassDescription(value=n, name=called) for n, called in enumerate(own, start=1))
    result = []
    for one in wanted:
        known = own.get(one.name)
        result.append(
            ClassCard(
                value=one.value,
                name=one.name,
                category=one.category or (known.category if known else None),
                code=one.code or (known.code if known else None),
                color=one.color or PALETTE[(one.value - 1) % len(PALETTE)],
                is_thing=known.is_thing if known else False,
            )
        )
    return tuple(result)


def entry_of(part: Part, classes: Sequence[ClassCard]) -> PartCard:
    """Return what the composite's card says of a part; classes are mapped by name where nothing is stated."""
    own = {entry.name: entry.value for entry in part.package.card.classes}
    table = {entry.name: entry.value for entry in classes}
    given: Mapping[NameOrValue, NameOrValue] | None = part.described.values
    if given is None:
        values = {value: table[name] for name, value in own.items() if name in table}
    else:
        where = f"parts, {part.name}, values"
        values = {_value(a, own, where): _value(b, table, where) for a, b in given.items()}
    return PartCard(name=part.name, sha256=part.package.hash, values=values, priority=part.described.priority)


def locator_of(description: CompositeDescription, parts: Sequence[Part]) -> LocatorCard | None:
    """Return the locator as the card has it, its classes by value."""
    wanted = description.locator
    if wanted is None:
        return None
    part = next((part for part in parts if part.name == wanted.part), None)
    if part is None:
        names = [part.name for part in parts]
        fix = f"{did_you_mean(wanted.part, names)} The parts are {', '.join(names)}."
        raise UsageError(f"there is no part '{wanted.part}'", where="locator.part", fix=fix)
    own = {entry.name: entry.value for entry in part.package.card.classes}
    classes = tuple(_value(one, own, "locator.classes") for one in wanted.classes)
    return LocatorCard(part=wanted.part, classes=classes, margin_mm=wanted.margin_mm)


def _value(named: NameOrValue, known: Mapping[str, int], where: str) -> int:
    """Value of a class that is named by it or by its name."""
    if named in known:
        return known[str(named)]
    if isinstance(named, int) and named in known.values():
        return named
    names = ", ".join(f"{name} ({value})" for name, value in list(known.items())[:20])
    raise UsageError(
        f"there is no class '{named}'", where=where, fix=f"{did_you_mean(str(named), known)} There are {names}."
    )
