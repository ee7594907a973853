"""The label table of a composite, and how the labels of its parts become labels of that table."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

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
        wanted = _table_of(parts)
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


def _table_of(parts: Sequence[Part]) -> tuple[ClassDescription, ...]:
    """The table where none is stated: what the parts' values name, else their own classes, numbered in their order.

    A target that is a number keeps it, and has the name of the part's class.
    """
    numbers: dict[str, int | None] = {}
    for part in parts:
        names = {entry.value: entry.name for entry in part.package.card.classes}
        for source, target in _targets(part).items():
            name, number = (target, None) if isinstance(target, str) else (names[source], target)
            before = numbers.get(name)
            if number is not None and before not in (None, number):
                _unclear(f"'{name}' is given two values, {before} and {number}", f"parts, {part.name}, values")
            numbers[name] = before if number is None else number
    fixed = [number for number in numbers.values() if number is not None]
    if twice := [number for number in fixed if fixed.count(number) > 1]:
        both = " and ".join(f"'{name}'" for name, number in numbers.items() if number == twice[0])
        _unclear(f"the value {twice[0]} is given to {both}", "parts, values")
    free = (number for number in itertools.count(1) if number not in fixed)
    return tuple(
        ClassDescription(value=next(free) if number is None else number, name=name) for name, number in numbers.items()
    )


def _targets(part: Part) -> dict[int, NameOrValue]:
    """Class of the result, by name or value, of each class that the part gives, by value."""
    own = {entry.name: entry.value for entry in part.package.card.classes}
    given = part.described.values
    if given is None:
        return {value: name for name, value in own.items()}
    where = f"parts, {part.name}, values"
    found: dict[int, NameOrValue] = {}
    for source, target in given.items():
        value = _value(source, own, where)
        if value in found:
            raise UsageError(f"the class {source} is named twice", where=where, fix="Name it once.")
        if isinstance(target, int) and not 1 <= target <= 65535:
            fix = "Omit the classes that are to be discarded." if target == 0 else "Choose another value."
            raise UsageError(f"the value of a class must be between 1 and 65535, not {target}", where=where, fix=fix)
        found[value] = target
    return found


def _unclear(what: str, where: str) -> NoReturn:
    raise UsageError(what, where=where, fix="Say the values and names of the results under classes:.")


def entry_of(part: Part, classes: Sequence[ClassCard]) -> PartCard:
    """Return what the composite's card says of a part; classes are mapped by name where nothing is stated."""
    table = {entry.name: entry.value for entry in classes}
    targets, where = _targets(part), f"parts, {part.name}, values"
    if part.described.values is None:
        values = {source: table[name] for source, name in targets.items() if isinstance(name, str) and name in table}
    else:
        values = {source: _value(target, table, where) for source, target in targets.items()}
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
