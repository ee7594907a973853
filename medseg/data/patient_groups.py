"""Finds the cases of one patient by their names, so that no patient is on both sides of a split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from medseg.data.case_names import NO_PATIENT
from medseg.data.dataset import Dataset
from medseg.data.given_folds import with_given_folds
from medseg.data.role_words import words
from medseg.data.sequence_words import SEQUENCE
from medseg.errors import ConfigError

AUTO, NONE = "auto", "none"
# A name that begins like this names its patient first, whatever follows: BIDS, `patient000_slice003`, `case-12_2`.
PERSON = r"subject|subj|sub|patient|pat|pt|p|participant|person|case|id"
# So does a barcode of The Cancer Genome Atlas: project, site of the tissue, participant.
# So do those of ADNI and OASIS: site, participant; participant.
PATIENT = re.compile(
    rf"(sub-[a-z0-9]+|tcga[-_][a-z0-9]{{2}}[-_][a-z0-9]{{4}}|\d{{3}}_s_\d{{4}}|(?:oasis_)?oas\d_\d{{4}}"
    rf"|(?:{PERSON})[-_ ]?\d+)"
    r"(?=[-_. ])"
)
# What the end of a name may say of one scan among a patient's: its sequence, side, plane, time, or place in a volume.
SIDE = r"left|right|l|r|lt|rt|lh|rh|od|os|l?cc|l?mlo|rcc|rmlo|ax|axial|cor|coronal|sag|sagittal|sa|la|[24]ch"
TIME = r"ed|es|pre|post|baseline|bl|followup|fu(\d+[a-z])?|t0|m\d{1,3}|mr\d|(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])"
# These count something, in the same word or the next: `slice003`, `slice_003`, `ses-2`.
COUNTED = (
    r"slice|sl|z|patch|tile|crop|roi|part|view|aug|frame|phase|visit|v|tp|time|timepoint|scan|exam|study|day|week|month"
    r"|year|session|ses|rep|run|acq|img|image|im|followup|fu"
)
# These and dates may stand anywhere in a name whose end says nothing: `left_hip_01`, `Mueller_FU1`, `2021-01-12_pat00`.
VISIT = r"(followup|fu|tp|visit)\d+"
DATE = r"(?<!\d)(19|20)\d\d[-_.]?(0[1-9]|1[0-2])[-_.]?([0-2]\d|3[01])(?!\d)"
DATED = re.compile(r"(?P<head>.*\d.*)[-_. ](19|20)\d\d[-_.](0[1-9]|1[0-2])[-_.]([0-2]\d|3[01])")
ENDING = re.compile(rf"{SEQUENCE}|{SIDE}|{TIME}|({COUNTED}|x|y)\d+")
# A number after one of these counts too, and so it does after a plane or a sequence: `axial_0003`.
COUNT = re.compile(rf"{COUNTED}|{SIDE}|{SEQUENCE}")
# Where every name of a dataset ends in a counter behind a number, what stands before it may be one patient's:
# `001_12`, `00000013_005`, `BraTS-GLI-00003-001`, `train_12_a`. So does a side at the number: `01L`.
COUNTER = re.compile(r"(?P<head>.*\d)[-_. ]+\(?(?:[a-z]{0,2}\d{1,4}|[a-f](_\d{1,3})?)\)?", re.IGNORECASE)
GLUED_SIDE = re.compile(r"(?P<head>.*\d)[LRlr]")
# Fewer heads than this are those of sites or of a release, not of patients.
FEWEST_HEADS = 5


def group_by_patient(data: Dataset, group: str = AUTO) -> Dataset:
    """Return the dataset with the cases of each patient in one group.

    - `group`: ``auto`` goes by names, where the dataset itself groups no case and the names give more than one patient;
      ``none`` leaves each case alone; otherwise a regular expression that finds the patient in each case's name, as its
      first group where it has one.
    """
    if group == NONE:
        return replace(data, cases=tuple(replace(case, group=None) for case in data.cases), grouped_by=None)
    if group != AUTO:
        pattern = re.compile(group)
        named = {case.case_id: _matched(pattern, case.case_id) for case in data.cases}
    elif any(case.group is not None for case in data.cases):
        return data
    else:
        named = _named([case.case_id for case in data.cases])
    counts = Counter(named.values())
    if len(counts) == len(named) or (group == AUTO and len(counts) == 1):
        return data
    # A patient of one case stays without group, so that splits stay what they were.
    groups = {case_id: patient for case_id, patient in named.items() if counts[patient] > 1}
    cases = tuple(replace(case, group=groups.get(case.case_id)) for case in data.cases)
    return replace(data, cases=cases, grouped_by="names" if group == AUTO else "pattern")


def patient_of(case_id: str) -> str:
    """Return the part of a case's name that it would have in common with other scans of its patient.

    All of the name where nothing in it is known to tell scans of one patient from each other.
    """
    if (match := PATIENT.match(case_id.lower())) is not None:
        return case_id[: match.end(1)]
    if (dated := DATED.fullmatch(case_id)) is not None:
        return patient_of(dated["head"])
    parts = re.split(r"([-_. ]+)", case_id)
    while len(parts) > 2:
        if ENDING.fullmatch(parts[-1].lower()):
            kept = parts[:-2]
        elif len(parts) > 4 and parts[-1].isalnum() and COUNT.fullmatch(parts[-3].lower()):
            kept = parts[:-4]
        elif len(parts) > 6 and parts[-1].isdigit() and parts[-3].isdigit() and COUNT.fullmatch(parts[-5].lower()):
            kept = parts[:-6]
        else:
            break
        # What remains must be able to name a patient: `mri_slice_3` does not say of whom it is.
        if not any(c.isdigit() for c in "".join(kept)) and re.fullmatch(SEQUENCE, parts[-1].lower()) is None:
            break
        parts = kept
    return "".join(parts)


def _named(case_ids: Sequence[str]) -> dict[str, str]:
    """The patient of each case, by its own name, or where no name says more, by what all names have in common."""
    named = {name: patient_of(name) for name in case_ids}
    if all(patient == name for name, patient in named.items()):
        for pattern, fewest in ((COUNTER, FEWEST_HEADS), (GLUED_SIDE, 2)):
            heads = [match["head"] if (match := pattern.fullmatch(name)) else "" for name in case_ids]
            if all(heads) and fewest <= len(set(heads)) < len(heads) and not any(map(_is_of_many, heads)):
                return dict(zip(case_ids, heads, strict=True))
        rests = [_without_known_words(name) for name in case_ids]
        known = all(rest not in ("", name) for rest, name in zip(rests, case_ids, strict=True))
        fewest = 2 if all(any(c.isdigit() for c in rest) for rest in rests) else FEWEST_HEADS
        if known and fewest <= len(set(rests)) < len(rests) and not any(map(_is_of_many, rests)):
            return dict(zip(case_ids, rests, strict=True))
    return named


def _without_known_words(case_id: str) -> str:
    """A name without dates and words for a phase, a sequence, a side or a time, wherever they stand."""
    rest = re.sub(DATE, "", case_id)
    known = re.compile(rf"{SEQUENCE}|{SIDE}|{TIME}|{VISIT}")
    return "_".join(part for part in re.split(r"[-_. ]+", rest) if part and not known.fullmatch(part.lower()))


def _is_of_many(head: str) -> bool:
    """Whether a name's beginning is a year, or its last word a site, a fold or a diagnosis: ``site2``."""
    letters = [word for word in words(head) if not word.isdigit()]
    return letters[-1] in NO_PATIENT if letters else re.fullmatch(r"(19|20)\d\d", head) is not None


def ready_to_split(data: Dataset, group: str = AUTO) -> Dataset:
    """Return the dataset with the groups of `group_by_patient` and the folds it gives itself."""
    return with_given_folds(group_by_patient(data, group))


def patients(data: Dataset) -> int:
    """How many patients the labeled cases are of, a case without group being one by itself."""
    return len({case.group if case.group is not None else ("alone", case.case_id) for case in data.labeled})


def _matched(pattern: re.Pattern[str], case_id: str) -> str:
    match = pattern.search(case_id)
    if match is None:
        raise ConfigError(
            f"the name '{case_id}' does not match '{pattern.pattern}'",
            where="split.group",
            fix="Write a pattern that finds the patient in every case's name, or auto, or none.",
        )
    return match[1] if pattern.groups else match[0]
