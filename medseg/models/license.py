"""How the weights of a model may be used: as its card says, shown before it runs, refused where it must not run."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import shorten
from typing import TYPE_CHECKING

from medseg.errors import UsageError
from medseg.models.license_card import Use

if TYPE_CHECKING:
    from medseg.models.package import ModelPackage

WORDS: dict[Use | None, str] = {
    "any": "any use",
    "non-commercial": "non-commercial use only",
    "research": "research only",
    None: "not stated by its card",
}


def strictest(uses: Iterable[Use | None]) -> Use | None:
    """Return the use that weights made of, or run together with, such weights may have.

    Research restricts most; a use that is not stated is not taken for a permission.

    >>> strictest(["any", "non-commercial"])
    'non-commercial'
    >>> strictest(["non-commercial", None]) is None
    True
    """
    order: tuple[Use | None, ...] = ("research", None, "non-commercial", "any")
    stated = set(uses)
    return next((use for use in order if use in stated), None)


def use_line(package: ModelPackage) -> str:
    """Return one line that says how the weights may be used, with the license in words."""
    return f"{WORDS[package.card.license.use]} (license: {_text(package)})"


def check_clinical(package: ModelPackage) -> None:
    """Refuse a model whose card does not allow any use of its weights, or says nothing of it."""
    for part in package.parts:
        check_clinical(part)
    use, name = package.card.license.use, package.card.name
    if use == "any":
        return
    if use is None:
        raise UsageError(
            f"the card of '{name}' does not say how its weights may be used, so it is not run for clinical use",
            where="--clinical",
            fix=f"Read its license ({_text(package)}); if it allows clinical use, import the model again with "
            "--license any.",
        )
    raise UsageError(
        f"the weights of '{name}' are for {WORDS[use]}, as its card says, so it is not run for clinical use",
        where="--clinical",
        fix="Use a model whose card says license.use: any, or omit --clinical where this is no clinical use.",
    )


def _text(package: ModelPackage) -> str:
    """The license in so many words that a line holds them."""
    return shorten(package.card.training.license, 160, placeholder=" ...").rstrip(".")
