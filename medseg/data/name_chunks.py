"""The chunks of a name: those that say what the file is, and those that say whose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from medseg.data.role_words import BESIDE, COUNTED, IMAGE, LABEL, SPLIT, is_label, words

# These belong to the word `mask` behind them: `T1_brain_mask` and BIDS's `desc-brain_mask` are masks of T1.
OF_MASK = re.compile(r"(?<![A-Za-z])(?:desc-)?(brain|head|body|fov|skull)[-_. ]+(masks?)(?![A-Za-z])", re.IGNORECASE)
GLUED = re.compile(r"(?P<what>[a-z]{2,}?)(?:segmentation|seg|masks?|labels?)", re.IGNORECASE)


def chunks_of(
    name: str,
) -> tuple[list[str], Literal["image", "label"] | None, list[str], Literal["train", "validation", "test"] | None]:
    """Return what the chunks of a name say: its key, its role, which label it is, and its part of the split."""
    key: list[str] = []
    kinds: list[str] = []
    held: list[str] = []  # digits glued to a word for a role
    role: Literal["image", "label"] | None = None
    split: Literal["train", "validation", "test"] | None = None
    chunks = [chunk for chunk in re.split(r"[_\-. ]+", OF_MASK.sub(r"\1\2", name)) if chunk]
    if chunks[1:] and chunks[-1] == "msk":  # at the end and small: MSK at the start is a clinic
        chunks[-1] = "mask"
    has_label = any(is_label(words(chunk)) or GLUED.fullmatch(chunk) for chunk in chunks)
    for chunk in chunks:
        found = words(chunk)
        digits = [w for w in found if w.isdigit()]
        letters = [w for w in found if not w.isdigit()]
        if is_label(found) or (GLUED.fullmatch(chunk) and not digits):
            role = "label"
            kinds.append(chunk)
            held += digits if letters and all(w in LABEL for w in letters) and found[-1].isdigit() else []
        elif letters and all(w in IMAGE for w in letters) and not (digits and letters[0] in COUNTED):
            role = role or "image"
            key += ["".join(digits)] if digits else []
        elif has_label and letters and (all(w in BESIDE for w in letters) or re.fullmatch(r"[rR]\d+", chunk)):
            kinds.append(chunk)
        elif len(letters) == 1 and letters[0] in SPLIT and len(letters[0]) > 2:
            split = SPLIT[letters[0]]
            held += digits
        elif len(letters) == 2 and letters[0] in SPLIT and len(letters[0]) > 2 and len(letters[1]) == 1:
            split = SPLIT[letters[0]]  # one of several: `testA`, `testB`
            key.append(chunk)
        else:
            key.append(chunk)
    if not key and held:
        key = held
        kinds = [re.sub(r"\d+", "", kind) for kind in kinds]
    return key, role, kinds, split


def joined(name: str, chunks: Sequence[str]) -> str:
    """Return the key as the name writes it, with its own separators where its parts stand side by side."""
    if not chunks:
        return ""
    pattern = r"[_\-. ]+".join(re.escape(chunk) for chunk in chunks)
    found = re.search(pattern, name)
    return found[0] if found else "_".join(chunks)
