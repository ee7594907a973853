"""What an archive may cost: bytes, answers and time, whatever it sends; the page on radiology says so."""

from __future__ import annotations

import time

from medseg.service.archive import ArchiveRefusal

LARGEST_ANSWER = 64 << 20  # bytes of an answer to a search, or to what was sent, unpacked
LARGEST_OBJECT = 2 << 30  # bytes of one DICOM object
LARGEST_IN_MEMORY = 8 << 20  # bytes of one on its way in; the rest lies in a file
LARGEST_INFLATED = 256 << 20  # bytes of one that is deflated, when it is not
LARGEST_BETWEEN = 1 << 20  # bytes of an answer before, between and after the objects in it
LARGEST_COMMAND = 1 << 20  # bytes of a command of DIMSE; real ones have less than a thousand
MOST_ANSWERS = 10_000  # studies, or series of a study
SEARCH_SECONDS = 300.0  # of each question of a search; and of the search with all its tries, where it finds nothing
FOUND_RATE = 1.0  # studies and series that are found, for which a search has a further second
# Once an answer has begun, it comes at this rate on average, or the archive counts as gone.
SLOWEST = 1000  # bytes a second
GRACE_SECONDS = 15.0
# One answer, or one object of it, takes this long at most, and longer where it is large.
ANSWER_SECONDS = 300.0
ANSWER_RATE = 250_000  # bytes for which there is a further second
UPLOAD_RATE = 10_000  # bytes of what is sent to it that an archive takes in a second, after `ANSWER_SECONDS`
# A series that is fetched, or all that is sent: with all its tries this long, and longer for what has come of it.
TRIES_SECONDS = 600.0
SERIES_RATE = 25_000  # bytes of a series for which there is a further second
# One message of DIMSE, from its first byte to its last.
MESSAGE_SECONDS = 60.0
MESSAGE_RATE = 100_000
LARGEST_PDU = 16 << 20  # a thousand times what we ask for
PDU_SECONDS = 30.0
MOST_WAITING = 100  # messages of one association that nobody has looked at yet
STALLED_SECONDS = 300.0  # of C-GET or C-MOVE without a further object
# Objects of a series that may come, repeated ones as well: so many times what the archive counts, and these.
TIMES_COUNTED, SPARE_OBJECTS = 2, 100
MOST_OBJECTS = 100_000  # of a series that it does not count
SPARE_DISK = 1 << 30  # bytes that stay free where objects are kept


def answer_seconds(size: int) -> float:
    """Return how long an answer, or an object, of a size in bytes may take."""
    return ANSWER_SECONDS + size / ANSWER_RATE


def upload_seconds(size: int) -> float:
    """Return how long an archive may take over so many bytes that are sent to it."""
    return ANSWER_SECONDS + size / UPLOAD_RATE


def message_seconds(size: int) -> float:
    """Return how long a message of DIMSE may take of which so many bytes have come."""
    return MESSAGE_SECONDS + size / MESSAGE_RATE


def most_objects(counted: int | None) -> int:
    """Return how many objects of a series may come of which an archive counts so many."""
    return MOST_OBJECTS if counted is None else TIMES_COUNTED * counted + SPARE_OBJECTS


class TimeForTries:
    """How long something takes, with all its tries: some seconds, and a further one for so much that came of it."""

    def __init__(self, seconds: float, rate: float) -> None:
        self.seconds, self.rate, self.amount, self.began = seconds, rate, 0, time.monotonic()

    def came(self, amount: int = 1) -> None:
        """Take in that so much has come."""
        self.amount += amount

    @property
    def allowed(self) -> float:
        """Seconds it may take, for what has come."""
        return self.seconds + self.amount / self.rate

    def is_over(self) -> bool:
        """Whether nothing further may be begun."""
        return time.monotonic() - self.began > self.allowed


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
