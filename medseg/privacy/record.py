"""The record in a folder of de-identified objects: which profile and options, how many objects, nothing of the old."""

from __future__ import annotations

import hmac
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from medseg.config.safe_json import parse_json
from medseg.errors import UsageError
from medseg.io.files.atomic import write_text
from medseg.log_file import log_file
from medseg.privacy.cleaning import Kept
from medseg.privacy.confidentiality import OPTIONS

log = logging.getLogger("medseg.deidentify")

REPORT_FILE = "deidentification.json"
PROFILE = "PS3.15 2026c, Basic Application Level Confidentiality Profile, Clean Structured Content Option"
NOTES = (
    "What pixels show was not looked at. From a head scan the face can be reconstructed.",
    "The patient's weight is removed; standardized uptake values (SUV) can no longer be computed from PET.",
    "Short text outside the profile's table was searched for the names, identifiers, places and dates that stand in "
    "the headers of the same patient; long free text was removed.",
)
OF_OPTIONS = {
    "uids": "UIDs are kept: whoever has the originals finds them by these, and some contain a date or a number.",
    "dates": "Dates are moved back by one number of days for each patient; times are kept.",
    "descriptors": "Descriptions were cleaned of what the headers name; a name that stands nowhere else may be left.",
}


@dataclass(frozen=True)
class Record:
    """What a folder is for: one key and one choice of options, of which `run` is a hash.

    - `is_new`: whether no run with these has begun in the folder before.
    """

    out: Path
    kept: Kept
    run: str
    is_new: bool

    @classmethod
    def begin(cls, out: Path, key: bytes, kept: Kept) -> Self:
        """Write down what the folder is for, before any object is.

        Objects of another key or other options beside these would be one patient under two names, or some of them with
        more left in than the record says: `UsageError`.
        """
        run = hmac.new(key, json.dumps(_options(kept)).encode(), "sha256").hexdigest()[:16]
        path = out / REPORT_FILE
        try:
            before = parse_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = None
        if isinstance(before, dict) and before.get("run") == run:
            return cls(out, kept, run, is_new=False)
        if before is not None or next(out.rglob("*.dcm"), None) is not None:
            raise UsageError(
                "the folder holds objects of another key or of other options",
                where=out,
                fix="Choose another folder, or delete this one; only the same --key file and options add to one.",
            )
        write_text(path, json.dumps({"run": run}) + "\n")
        return cls(out, kept, run, is_new=True)

    def write(
        self, kinds: Iterable[str], reasons: Iterable[str], leaks: Mapping[str, int], *, allow_burned_in: bool
    ) -> None:
        """Write what was done.

        - `kinds`: of each object written. `reasons`: why others were not, without anything that stands in them.
        - `leaks`: places outside the profile's table that held an identifier, by attribute.
        """
        report = {
            "profile": PROFILE,
            "options": _options(self.kept),
            "objects": Counter(kinds),
            "pixels_accepted_by_the_user": allow_burned_in,
            "skipped": Counter(sorted(reasons)),
            "identifiers_found_outside_the_table": leaks,
            "run": self.run,
            "notes": [*NOTES, *(note for name, note in OF_OPTIONS.items() if getattr(self.kept, name))],
        }
        write_text(self.out / REPORT_FILE, json.dumps(report, indent=2) + "\n")
        _log(self.out, report)

    def withdraw(self) -> None:
        """Leave no folder where nothing was written to a new one."""
        if self.is_new:
            (self.out / REPORT_FILE).unlink()
            with suppress(OSError):  # what else may lie in it stays
                self.out.rmdir()


def _options(kept: Kept) -> list[str]:
    return [f"{OPTIONS[name].value} {OPTIONS[name].meaning}" for name in OPTIONS if getattr(kept, name)]


def _log(out: Path, report: Mapping[str, Any]) -> None:
    """Append to the folder's log what was done, in numbers: names of files may name patients, and the log is shared."""
    with log_file(out, only=log.name):
        log.debug("%s", report["profile"])
        for option in report["options"]:
            log.debug("Option %s", option)
        for what, counts in (("Written", report["objects"]), ("Skipped", report["skipped"])):
            for kind, count in sorted(counts.items()):
                log.debug("%s: %d: %s", what, count, kind)
        for name, places in sorted(report["identifiers_found_outside_the_table"].items()):
            log.debug("Emptied outside the table: %s in %d places", name, places)
        log.debug("2D images that may show the patient were accepted: %s", report["pixels_accepted_by_the_user"])
