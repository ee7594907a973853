"""Which rule fits a series: the first whose every keyword the header matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from medseg.harmless import one_line
from medseg.io.dicom.header import lenient
from medseg.io.dicom.inflated import read_dicom
from medseg.privacy.confidentiality import is_personal
from medseg.service.matching import contradicted
from medseg.service.node.config import Rule

# What scanners and protocols call a series, which rules are made of; other personal values are not repeated.
REPEATED = ("SeriesDescription", "ProtocolName")
LONGEST = 60


@dataclass(frozen=True)
class Fit:
    """Whether a rule fits, and if not, which keyword says so."""

    number: int  # of the rule, from 1
    fits: bool
    reason: str


def read_header(path: Path, rules: Sequence[Rule]) -> Dataset:
    """Read what the rules ask for of one object, and nothing else of it."""
    keywords = {keyword for rule in rules for keyword in rule.when}
    with lenient():
        header: Dataset = read_dicom(
            path, stop_before_pixels=True, specific_tags=[*keywords, "SpecificCharacterSet", "SOPClassUID"]
        )
        return header


def fits(rules: Sequence[Rule], header: Dataset) -> list[Fit]:
    """Try the rules in order up to the first that fits; say of each other why it does not."""
    tried = []
    for number, rule in enumerate(rules, 1):
        query = {keyword: str(pattern) for keyword, pattern in rule.when.items()}
        with lenient():
            keyword = contradicted(header, query)
        if keyword is None:
            tried.append(Fit(number, True, _matched(query)))
            return tried
        tried.append(Fit(number, False, _contradiction(header, keyword, query[keyword])))
    return tried


def first_fit(rules: Sequence[Rule], header: Dataset) -> int | None:
    """Return the place of the first rule that fits, from 0; None where none does."""
    last = fits(rules, header)[-1:]
    return last[0].number - 1 if last and last[0].fits else None


def _matched(query: Mapping[str, str]) -> str:
    return ", ".join(f"{keyword} matches '{pattern}'" for keyword, pattern in query.items()) or "it fits every series"


def _contradiction(header: Dataset, keyword: str, pattern: str) -> str:
    if keyword not in header or header[keyword].value in (None, ""):
        return f"{keyword} is not stated, and must match '{pattern}'"
    if keyword not in REPEATED and is_personal(header[keyword]):
        return f"{keyword} does not match '{pattern}'"
    return f"{keyword} is '{_shown(header[keyword].value)}', and must match '{pattern}'"


def _shown(value: Any) -> str:
    """A value as DICOM writes it: several with a backslash between them."""
    parts = value if isinstance(value, MultiValue | list) else [value]
    return one_line("\\".join(map(str, parts)))[:LONGEST]
