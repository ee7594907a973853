"""What an archive may cost: bytes, answers and time, whatever it sends; the page on radiology says so."""

from __future__ import annotations

import time

from medseg.service.archive import ArchiveRefusal

LARGEST_ANSWER = 64 << 20  # bytes of an answer to a search, or to what was sent, unpacked
LARGEST_OBJECT = 2 << 30  # bytes of one DICOM object
MOST_ANSWERS = 10_000  # studies, or series of a study
SEARCH_SECONDS = 300.0
# Once an answer has begun, it comes at this rate on average, or the archive counts as gone.
SLOWEST = 1000  # bytes a second
GRACE_SECONDS = 15.0
LARGEST_PDU = 16 << 20  # a thousand times what we ask for
PDU_SECONDS = 30.0
STALLED_SECONDS = 300.0  # of C-GET or C-MOVE without a further object
SPARE_DISK = 1 << 30  # bytes that stay free where objects are kept


class Search:
    """How many answers a search has had, and for how long it has been going on."""

    def __init__(self, where: str) -> None:
        self.where, self.answers, self.end = where, 0, time.monotonic() + SEARCH_SECONDS

    def count(self, answers: int = 1) -> None:
        """Take in further answers; raise where they are too many, or come for too long."""
        self.answers += answers
        if self.answers > MOST_ANSWERS:
            raise ArchiveRefusal(
                f"the search has more than {MOST_ANSWERS:,} answers", where=self.where, fix="Restrict it with --query."
            )
        if time.monotonic() > self.end:
            raise ArchiveRefusal(
                f"the search took longer than {SEARCH_SECONDS:g} s", where=self.where, fix="Restrict it with --query."
            )
