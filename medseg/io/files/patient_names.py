"""Whether a file or folder name looks as if it names a patient, and what to call it then.

Recognized, as docs/reference/outputs.md says: names as DICOM writes them (``DOE^JANE``), names with a comma (``Doe,
Jane``), two words beside each other that both begin with a capital and are no ordinary words of imaging (``Doe_Jane``,
``MILLER_ANNA``), two such words in any case beside a year or a longer number (``doe_jane_1950``), dates of a day
(``19500101``, ``1950-01-01``, ``01.01.1950``), numbers of seven digits or more that are no counters filled up with
zeros, and what follows MRN, PID and the like.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import cache
from itertools import pairwise
from pathlib import Path

YEAR, MONTH, DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
DATE = re.compile(
    rf"(?<!\d)(?:{YEAR}([-._]?){MONTH}\1{DAY}|{DAY}([-._]?){MONTH}\2{YEAR}|{MONTH}([-._]?){DAY}\3{YEAR})(?!\d)"
)
LONG_NUMBER = re.compile(r"(?<!\d)(?!00)\d{7,}(?!\d)")
NAMED_NUMBER = re.compile(
    r"(?:^|[^a-z])(?:mrn|pid|patid|patientid|patient[ _-]?id|dob|birth)[ _:#-]*\d{3,}", re.IGNORECASE
)
SOME_NUMBER = re.compile(rf"(?<![^\W_])(?:{YEAR}|(?!00)\d{{5,}})(?![^\W_])")
HASH = re.compile(r"(?=\d*[a-f])[0-9a-f]{8,}", re.IGNORECASE)  # the end of a pseudonym, or of one of our own case ids
WITH_COMMA = re.compile(r"[^\W\d_]{2,} ?, ?[^\W\d_]{2,}")
WORDS_FILE = Path(__file__).with_name("ordinary_words.txt")
SHORTEST = 2  # letters of a word that may be part of a name


def public_name(stem: str) -> str:
    """Return a name without suffix, or where it looks like a patient's a hash of it, the same wherever it comes up."""
    return hidden_name(stem) if names_a_patient(stem) else stem


def hidden_name(stem: str) -> str:
    """Return a hash of a name without suffix, the same wherever it comes up."""
    plain = unicodedata.normalize("NFC", stem).encode("utf-8", "surrogatepass")
    return f"file-{hashlib.sha256(plain).hexdigest()[:10]}"


def names_a_patient(stem: str) -> bool:
    """Whether a name without suffix looks as if it names a patient."""
    if "^" in stem or WITH_COMMA.search(stem) or NAMED_NUMBER.search(stem) or DATE.search(stem):
        return True
    rest = " ".join("" if HASH.fullmatch(token) else token for token in re.split(r"[\s_.-]+", stem))
    if LONG_NUMBER.search(rest):
        return True
    with_number = SOME_NUMBER.search(rest) is not None
    return any(
        all(_may_be_a_name(word, with_number) for word in pair)
        for run in re.split(r"[^\w\s'-]+", stem)
        for words in [[word for word in re.split(r"[\s_]+", run) if word]]
        for pair in pairwise(words)
    )


def _may_be_a_name(word: str, in_any_case: bool) -> bool:
    letters = re.sub(r"['-]", "", word)
    if (
        len(letters) < SHORTEST
        or not letters.isalpha()
        or any(part.casefold() in _ordinary() for part in word.split("-"))
    ):
        return False
    return in_any_case or letters.isupper() or (letters[0].isupper() and letters[1:].islower()) or word.istitle()


@cache
def _ordinary() -> frozenset[str]:
    """Words of names of scans and datasets that are no names of people, in lower case."""
    return frozenset(WORDS_FILE.read_text(encoding="utf-8").split())
