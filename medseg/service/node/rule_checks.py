"""Which rules of a node can never match, be reached or send anything."""

from __future__ import annotations

import math
import re
from pathlib import Path

from medseg.errors import ConfigError, did_you_mean
from medseg.service.matching import ANY_VALUE, NUMBERS
from medseg.service.node.config import NodeConfig, Rule

UNREADABLE = ("SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "AT")
# What people call them, and what DICOM does.
NO_MODALITIES = {"MRI": "MR", "MRT": "MR", "NMR": "MR", "CAT": "CT", "PET": "PT", "PET/CT": "PT\\CT", "XRAY": "DX\\CR"}
# What a value of these kinds can look like, with * and ? as in a pattern, and an example.
FORMS = {
    "AS": (r"(?i)(?=.{4}$|.*[*])[\d?*]*[DWMY?*]", "050Y"),
    "UI": (r"[\d.?*]+", "1.2.840.*"),
}


def check_rule(config: NodeConfig, rule: Rule, where: str) -> None:
    """Refuse a rule that no header can match, or whose results can go nowhere."""
    from pydicom.datadict import DicomDictionary, tag_for_keyword

    for keyword, pattern in rule.when.items():
        if tag_for_keyword(keyword) is None:
            near = did_you_mean(keyword, [entry[4] for entry in DicomDictionary.values() if entry[4]])
            raise ConfigError(
                f"'{keyword}' is not a DICOM keyword", where=where, fix=near or "Write it as in SeriesDescription."
            )
        _check_pattern(keyword, str(pattern), where)
        if not str(pattern).strip():
            raise ConfigError(
                f"{keyword} has no pattern, which would match everything",
                where=where,
                fix=f"Write what it must match, such as '*T1*', or omit {keyword}.",
            )
    for name in rule.send_to:
        if name not in config.destinations:
            known = ", ".join(config.destinations) or "none"
            raise ConfigError(
                f"there is no destination '{name}'",
                where=where,
                fix=f"{did_you_mean(name, config.destinations)} There are: {known}.".strip(),
            )
    if rule.send_to and not any(name.startswith("dicom-") or name in ("rtstruct", "sr", "sc") for name in rule.formats):
        raise ConfigError(
            f"formats {', '.join(rule.formats)} hold no DICOM object to send",
            where=where,
            fix="Add dicom-seg, or omit send_to.",
        )


def _check_pattern(keyword: str, pattern: str, where: str) -> None:
    """Refuse a pattern that no header can match."""
    from pydicom.datadict import dictionary_VR

    kind = dictionary_VR(keyword)
    if kind in UNREADABLE:
        raise ConfigError(f"{keyword} holds nothing that a pattern can match", where=where, fix=f"Omit {keyword}.")
    wanted = [one.strip() for one in pattern.split("\\") if one.strip()]
    if pattern.strip() == ANY_VALUE or not wanted:
        return
    if kind in NUMBERS and not all(_is_number(one) for one in wanted):
        raise ConfigError(
            f"{keyword} is a number, and '{pattern}' is none, so that nothing would match",
            where=where,
            fix="Write the number, several with \\ between them, or '?*' for any.",
        )
    form, example = FORMS.get(kind, ("", ""))
    odd = next((one for one in wanted if form and not re.fullmatch(form, one)), None)
    if odd is not None:
        raise ConfigError(
            f"no {keyword} can match '{odd}'", where=where, fix=f"Write it as in {example}, or '?*' for any."
        )
    wrong = next((one for one in wanted if keyword == "Modality" and one.upper() in NO_MODALITIES), None)
    if wrong is not None:
        raise ConfigError(
            f"there is no Modality '{wrong}', so that nothing would match",
            where=where,
            fix=f"DICOM writes {NO_MODALITIES[wrong.upper()]}.",
        )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def check_reachable(config: NodeConfig, path: Path) -> None:
    """Refuse a rule that can never be reached, because one before it fits whatever it fits."""
    for number, rule in enumerate(config.rules, 1):
        for earlier, other in enumerate(config.rules[: number - 1], 1):
            if all(_is_within(rule, keyword, str(pattern)) for keyword, pattern in other.when.items()):
                raise ConfigError(
                    f"rule {number} is never reached, because rule {earlier} fits every series that it fits",
                    where=path,
                    fix="Put the stricter rule first.",
                )


def _is_within(rule: Rule, keyword: str, pattern: str) -> bool:
    """Whether what a rule fits surely matches another one's pattern too."""
    if not pattern.strip().strip("*"):  # any value, also none
        return True
    own = str(rule.when.get(keyword, ""))
    if pattern.strip() == ANY_VALUE:
        return bool(own.strip().strip("*"))
    return own == pattern
