"""What may be given to ``--ray``, and what to do where no cluster answers there."""

from __future__ import annotations

import os
import re

from medseg.errors import UsageError

WORDS = ("auto", "local")
HEAD = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})")
LARGEST_PORT = 65535
FORM = "Write auto, local, or the address that `ray start --head` printed, such as 10.0.0.5:6379."


def address_meant(given: str) -> str:
    """Return the address that Ray takes: for ``auto`` that in ``RAY_ADDRESS``, where one is."""
    return (os.environ.get("RAY_ADDRESS") or given) if given == "auto" else given


def check_address(given: str) -> None:
    """Raise `UsageError` for what Ray cannot reach, be it given or in ``RAY_ADDRESS``."""
    address = address_meant(given)
    where = f"--ray {given}".rstrip() if address == given else f"--ray {given}, RAY_ADDRESS {address}"
    if address.startswith("ray://"):
        what = "a Ray client cannot run a batch"
        raise UsageError(what, where=where, fix="Run medseg on a machine of the cluster, with --ray auto.")
    head = HEAD.fullmatch(address)
    if address not in WORDS and (head is None or not 0 < int(head[2]) <= LARGEST_PORT):
        raise UsageError("it is no address of a Ray cluster", where=where, fix=FORM)


def advice(given: str) -> str:
    """What to do where no cluster answers."""
    head = HEAD.fullmatch(address_meant(given))
    if head is not None:
        return (
            f"Look on that machine with `ray status` whether one runs there, start one with `ray start --head --port "
            f"{head[2]}`, and see that no firewall is between."
        )
    return "Start one with `ray start --head` on this machine, or name the address of one, such as 10.0.0.5:6379."
