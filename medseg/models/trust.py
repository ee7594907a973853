"""Which files that hold programs this user has marked as trusted.

A TorchScript file is a program for PyTorch's interpreter, which can read and write files. It runs only where the user
of this machine has allowed it, by the file's hash: a package that arrives with such a file inside does not bring the
permission with it.
"""

from __future__ import annotations

from medseg.io.files.atomic import write_text
from medseg.resources import store_folder


def trust(sha256: str) -> None:
    """Remember that files with this hash may be run."""
    write_text(store_folder().parent / "trusted" / sha256, "")


def is_trusted(sha256: str) -> bool:
    """Whether the user has allowed files with this hash to be run."""
    return (store_folder().parent / "trusted" / sha256).is_file()
