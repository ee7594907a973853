"""The process in which cases are examined, one after another; started by `medseg.data.examine_all`, never manually."""

from __future__ import annotations

import sys

from medseg.child_process import parent_connection
from medseg.data.examine import examine


def main() -> None:
    """Take the dataset and how many voxels of each case to keep, then case after case; send back what was measured."""
    with parent_connection() as connection:
        connection.send("ready")
        data, most = connection.recv()
        while True:
            for one in examine(data, [connection.recv()], most=most):
                connection.send(one)


if __name__ == "__main__":
    try:
        main()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)
