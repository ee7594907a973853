"""Finds classes that are the left or the right of something by their names, which mirroring would confuse.

Where it is uncertain, a name counts as a side: without mirroring a network learns a little slower, with it the wrong
side.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

# Words for left, and for the right that goes with each, in languages and short forms of label lists; no accents.
WORDS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("left", "lft", "lt", "lh", "l"), ("right", "rgt", "rt", "rh", "r")),
    (("links", "linke", "linker", "linkes", "li"), ("rechts", "rechte", "rechter", "rechtes", "re")),
    (("gauche", "gch", "g"), ("droit", "droite", "drt", "d")),
    (("izquierdo", "izquierda", "izq", "izda", "izdo"), ("derecho", "derecha", "der", "dcha", "dcho")),
    (("esquerdo", "esquerda", "esq"), ("direito", "direita", "dir")),
    (("sinistro", "sinistra", "sinister", "sin", "sx"), ("destro", "destra", "dexter", "dext", "dex", "dx")),
    (("vanster", "vanstra", "venstre"), ("hoger", "hogra", "hojre", "hoyre")),
    (("왼쪽", "좌측"), ("오른쪽", "우측")),
    (("os",), ("od",)),
    (("左",), ("右",)),
    (("stang", "stanga"), ("drept", "dreapta")),
    (("lewy", "lewa", "lewe"), ("prawy", "prawa", "prawe")),
    (("levy", "leva", "leve"), ("pravy", "prava", "prave")),
    (("lijevi", "lijeva", "lijevo", "lavy", "lava"), ("desni", "desna", "desno", "pravy", "prava")),
    (("vasen", "vasemman"), ("oikea", "oikean")),
    (("bal",), ("jobb",)),
    (("sol",), ("sag",)),
    (("trai",), ("phai",)),
    (("اليسرى", "الايسر", "يسار"), ("اليمنى", "الايمن", "يمين")),
    (("שמאל", "שמאלית", "שמאלי"), ("ימין", "ימנית", "ימני")),
)
# What a word for a side begins with, in languages that end it by gender and case.
STEMS = ("лев", "αριστερ"), ("прав", "δεξι")
# A name with one of these is of one side even where the other side is no class.
ALONE = {word for left, right in WORDS for word in (*left[:2], *right[:2]) if len(word) > 3 or not word.isascii()}
# So is a name with one of these beside another word: `Kidney (L)`, `lh cortex`.
SHORT = {"l", "r", "lt", "rt", "lh", "rh"}
# Glued to the rest of a name: `leftkidney`, `rkid`, `肺左`.
GLUED = (
    ("left", "lft", "links", "gauche", "左", "좌", "왼쪽", "ซาย", "l"),
    ("right", "rgt", "rechts", "droit", "右", "우", "오른쪽", "ขวา", "r"),
)

# Letters that have no accent to lose, as the ones that `PART` knows.
STROKES = str.maketrans("øØłŁđĐı", "oOlLdDi")

# Vertebrae and numbered structures, not sides, unless a name differs in nothing else.
LUMBAR = re.compile(r"(?<![A-Za-z])[LRlr]\d+")
# `LKidney`, `lungL`, `ctx-lh-V1` and `Femur.L` in parts; capitals before a capitalized word are a part of their own.
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")


def paired_classes(names: Sequence[str]) -> tuple[str, str] | None:
    """Return two classes that are the left and the right of one thing, by their names; None where there are none."""
    without_side: dict[tuple[str, int], str] = {}
    for name in names:
        for rest, word, is_right in _sides(name):
            without_side.setdefault((f"{rest}/{word}", is_right), name)
    for (rest, is_right), name in without_side.items():
        other = without_side.get((rest, 1 - is_right))
        if other is not None and other != name:
            return (other, name) if is_right else (name, other)
    return None


def side_by_name(names: Sequence[str]) -> str | None:
    """Say which class has a side by its name, alone or beside the class of the other side; None where none has."""
    if (paired := paired_classes(names)) is not None:
        return f"'{paired[0]}' and '{paired[1]}' are left and right by their names"
    for name in names:
        parts = _parts(LUMBAR.sub(" ", name))
        beside = any(len(part) > 2 and part not in ALONE for part in parts)
        if any(part in ALONE or part.startswith(STEMS[0] + STEMS[1]) for part in parts) or (
            beside and any(part in SHORT for part in parts)
        ):
            return f"'{name}' is of one side by its name"
    return None


def _plain(text: str) -> str:
    """A text without accents and without wide letters, in which `vänster` is `vanster`."""
    letters = unicodedata.normalize("NFKD", text.translate(STROKES))
    return unicodedata.normalize("NFC", "".join(one for one in letters if not unicodedata.combining(one)))


def _parts(name: str) -> list[str]:
    """The words and numbers of a name, in small letters."""
    return [part.lower() for part in PART.findall(_plain(name))]


def _sides(name: str) -> Iterator[tuple[str, int, int]]:
    """What a name is without a word for a side: the rest, the number of the pair of words, and whether it was right.

    Every word and every part glued to another that may be a side gives one; most lead to no class of the other side.
    """
    parts = _parts(name)
    for place, part in enumerate(parts):
        before, after = "".join(parts[:place]), "".join(parts[place + 1 :])
        for number, both in enumerate(WORDS):
            for is_right, words in enumerate(both):
                if part in words:
                    yield f"{before}*{after}", number, is_right
        for is_right, stems in enumerate(STEMS):
            if part.startswith(stems):
                yield f"{before}*{after}", len(WORDS), is_right
        for is_right, glued in enumerate(GLUED):
            for number, word in enumerate(glued):
                rest = len(part) - len(word)
                if rest > 0 and part.startswith(word):
                    yield f"{before}*{part[len(word) :]}{after}", -1 - number, is_right
                if rest > (1 if word.isascii() else 0) and part.endswith(word):
                    yield f"{before}{part[: -len(word)]}*{after}", -1 - number, is_right
