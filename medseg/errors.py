"""The errors medseg raises: each one says what is wrong, where, and what to do about it.

::

    Exception
    └── MedsegError            exit code 4
        ├── UsageError         exit code 2
        │   └── ConfigError
        │       └── PipelineError
        ├── InputError
        │   └── UnforeseenError
        ├── GeometryMismatch
        ├── FormatLimitation
        ├── ModelError
        ├── NotForThisModel    exit code 3
        ├── NotPromoted        exit code 3, in medseg.training.promotion
        ├── NotComparable      exit code 3, in medseg.longitudinal.alignment
        ├── ResourceLimit
        ├── MissingDependency  exit code 2
        ├── RevisionConflict   in medseg.review.revisions
        └── ArchiveError       in medseg.service.archive
            └── ArchiveRefusal
    BaseException
    └── Interrupted            exit code 75
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from difflib import get_close_matches

from medseg.harmless import one_line

# What the system says of a path that a user can choose otherwise; anything else it says is a bug.
OF_A_PATH = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR,
    errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip

# The documentation's page that has a part for each code of an error; of the newest release, whatever its number.
ERRORS_PAGE = "https://medseg.readthedocs.io/page/reference/errors.html"


def page_of(code: str) -> str:
    """Address of what the documentation says of a code.

    >>> page_of("E-geometry-mismatch")
    'https://medseg.readthedocs.io/page/reference/errors.html#e-geometry-mismatch'
    """
    return f"{ERRORS_PAGE}#{code.lower()}"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Ask for the known name that a misspelled one is nearest to, be it text or not; empty where none is near.

    >>> did_you_mean("predictt", ["predict", "train"])
    "Did you mean 'predict'?"
    """
    near = get_close_matches(str(name), known, n=1)
    return f"Did you mean '{near[0]}'?" if near else ""


def with_code(line: str, code: str | None) -> str:
    """Return a line about an error as a whole sentence, with the error's code behind it.

    >>> with_code("case_7: FAILED: the file is truncated", "E-input")
    'case_7: FAILED: the file is truncated. [E-input]'
    """
    return f"{line}{'' if line.endswith(('.', '?')) else '.'}{'' if code is None else f' [{code}]'}"


class MedsegError(Exception):
    """Base of every error that a user can meet and correct.

    Parameters
    ----------
    what : str
        What is wrong, in one clause, with the numbers that matter.
    where : object, optional
        The file, case, key or option it is about.
    fix : str, optional
        What to do about it, as an instruction.

    Examples
    --------
    >>> print(InputError("the file is truncated", where="scan.nii.gz", fix="Copy it again."))
    scan.nii.gz: the file is truncated. Copy it again.
    """

    exit_code = 4

    def __init__(self, what: str, *, where: object = None, fix: str | None = None) -> None:
        self.what = " ".join(str(what).split())
        self.where = None if where is None else one_line(where)
        self.fix = None if fix is None else " ".join(fix.split())
        super().__init__(self.what)

    @property
    def code(self) -> str:
        """Short code of this kind of error, under which the documentation's page of errors has it.

        >>> GeometryMismatch("two grids differ").code
        'E-geometry-mismatch'
        """
        return self.code_of_kind()

    @classmethod
    def code_of_kind(cls) -> str:
        """Short code of all errors of this class."""
        kind = next(one for one in cls.__mro__ if not one.__name__.startswith("_"))
        name = kind.__name__.removesuffix("Error") or kind.__name__
        return "E-" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()

    def __str__(self) -> str:
        line = self.what if self.where is None else f"{self.where}: {self.what}"
        if self.fix is None:
            return line
        end = "" if line.endswith("?") else "."
        return f"{line.rstrip('.')}{end} {self.fix}"

    def about(self, subject: str) -> str:
        """Return the line with what it is about in front, which is said once, and its code at the end.

        >>> InputError("its scan was not found", where="case_7").about("case_7")
        'case_7: its scan was not found. [E-input]'
        """
        return with_code(str(self) if self.where == one_line(subject) else f"{subject}: {self}", self.code)

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip between processes with all parts."""
        return _rebuild, (type(self), self.what, self.where, self.fix, self.exit_code)


def _rebuild(kind: type[MedsegError], what: str, where: str | None, fix: str | None, exit_code: int) -> MedsegError:
    error = kind(what, where=where, fix=fix)
    error.exit_code = exit_code
    return error


class UsageError(MedsegError):
    """An option or argument cannot be what was given."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration, pipeline or model card has a key or value that is not allowed."""


class PipelineError(ConfigError):
    """Stages of a pipeline do not fit together."""


class InputError(MedsegError):
    """A file or folder cannot be read as what it should be."""


class UnforeseenError(InputError):
    """What nobody foresaw ended a case: an error of the system, a crash, or a bug; it may pass by itself."""


class GeometryMismatch(MedsegError):
    """Two grids that must be the same are not; nothing is ever resampled silently."""


class FormatLimitation(MedsegError):
    """A format cannot carry the truth, for instance a tilted grid or two hundred thousand labels."""


class ModelError(MedsegError):
    """A model package is missing, damaged or does not fit the scan."""


class NotForThisModel(MedsegError):
    """The scan is not what the model is for, so no labels are made of it; `anyway` makes them and marks them."""

    exit_code = 3


class ResourceLimit(MedsegError):
    """A case needs more memory, disk or time than it may have."""


class MissingDependency(MedsegError):
    """An optional package is needed for what was asked, and is not installed."""

    exit_code = 2


class Interrupted(BaseException):
    """A signal asked the process to stop; what is done is kept, and the same command resumes there.

    Derives from `BaseException` so that the handler which keeps one bad case from stopping a batch does not swallow it.
    """

    exit_code = 75

    def __init__(self, signal_name: str, *, fix: str = "run the same command again to resume") -> None:
        self.signal_name = signal_name
        super().__init__(f"stopped by {signal_name}; {fix}")


def first_line(error: BaseException) -> str:
    """What another library's error says, or the system's; no pages, no numbers, its name where it says nothing."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
