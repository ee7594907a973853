"""The clean-up that a part's own card asks for, before its labels are put among those of the others."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import TypeAdapter

from medseg.models.card import PostCard
from medseg.post.cleanup import Rule, clean_up
from medseg.types import LabelMap

# The post-processing that a part of a composite may have; others make objects, which a composite's card must ask for.
STAGE = "clean-up"
_RULES: TypeAdapter[tuple[Rule, ...]] = TypeAdapter(tuple[Rule, ...])


def cleaned(labels: LabelMap, steps: Sequence[PostCard]) -> LabelMap:
    """Apply a part's clean-up."""
    for step in steps:
        assert step.stage == STAGE  # others are refused when a composite is made
        made = clean_up(labels, _RULES.validate_python(step.options.get("rules", ())))
        assert isinstance(made, LabelMap)  # parts with overlapping classes are refused
        labels = made
    return labels
