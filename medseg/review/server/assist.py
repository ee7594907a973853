"""Answers clicks by an nnInteractive server that somebody runs: one lease at a time, for the case that is open."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from medseg.errors import InputError, MissingDependency, UsageError
from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.session import Answer, Present, as_marked, corrected, cut
from medseg.review.server.listening import is_loopback
from medseg.types import Geometry, Scan
from medseg.types.axis_order import nearest_ras
from medseg.types.box import Box

REACH = 96  # voxels around a mark, half of nnInteractive's patch


class ByServer:
    """An nnInteractive server as what answers clicks.

    The scan's voxels go to the server, and nothing else of it. A key, where the server wants one, is taken from the
    environment variable NN_INTERACTIVE_API_KEY.

    Parameters
    ----------
    address : str
        Of the server, ``https://...``; ``http://`` for this machine alone.

    Raises
    ------
    UsageError
        When the address is none, or would send scans over a network in the clear.
    MissingDependency
        When the extra ``assist`` is not installed.
    InputError
        When no such server answers there.
    """

    kept = 1

    def __init__(self, address: str) -> None:
        check_server(address)
        self.address = address
        remote = self._connect()
        self.license = str(remote.license or "unknown")
        remote.close()
        self.name = f"nnInteractive at {address} (license of its weights: {self.license})"

    def reach(self, case: Mapping[str, Any]) -> list[int]:
        """How far around a mark it looks, in voxels that are sent to the page."""
        return [min(REACH, int(size)) for size in case["shape"]]

    def trail(self) -> dict[str, Any]:
        """What the audit trail says of it; it tells no hash of its weights."""
        return {"clicks_model": f"nnInteractive server {self.address}", "clicks_license": self.license}

    def open(self, scan: Scan, grid: Geometry) -> ServerSession:
        """Take a lease for a scan, and send its voxels."""
        with answering(self.address):
            remote = self._connect()
            try:
                order = nearest_ras(scan.geometry)
                voxels = np.ascontiguousarray(order.apply(scan.array[:1]), dtype=np.float32)
                remote.set_image(voxels, {"spacing": [float(mm) for mm in grid.spacing]})
                remote.set_target_buffer(np.zeros(grid.shape, np.uint8))
            except BaseException:
                remote.close()
                raise
        return ServerSession(remote, grid, self.address)

    def give_back(self, session: Any) -> None:
        """End a session's lease."""
        session.remote.close()

    def _connect(self) -> Any:
        try:
            from nnInteractive.inference.remote import nnInteractiveRemoteInferenceSession
        except ImportError as error:
            raise MissingDependency(
                "--assist needs the client of nnInteractive", fix="Run pip install 'medseg[assist]'."
            ) from error
        with answering(self.address):
            return nnInteractiveRemoteInferenceSession(self.address)


class ServerSession:
    """One case on the server."""

    def __init__(self, remote: Any, grid: Geometry, address: str) -> None:
        self.remote, self.grid, self.address = remote, grid, address

    def answer(self, present: Present, interactions: Sequence[Interaction]) -> Answer:
        """Return what becomes of a class; the server is told anew what is drawn, and every interaction in turn."""
        whole = np.zeros(self.grid.shape, np.uint8)
        box = Box(present.low, tuple(low + n for low, n in zip(present.low, present.mask.shape, strict=True)))
        whole[box.slices] = present.mask
        with answering(self.address):
            self.remote.reset_interactions()
            if present.mask.any():
                self.remote.add_initial_seg_interaction(whole, run_prediction=False)
            for number, one in enumerate(interactions, start=1):
                self._tell(one, last=number == len(interactions))
        before, after = cut(present, box), np.asarray(self.remote.target_buffer)[box.slices] > 0
        after = corrected(before, after, interactions, box.start)
        return Answer(box, as_marked(after, interactions[-1], box.start), 1)

    def _tell(self, one: Interaction, *, last: bool) -> None:
        how = {"include_interaction": not one.is_outside, "run_prediction": last}
        if one.is_scribble:
            drawn = np.zeros(self.grid.shape, np.uint8)
            drawn[tuple(one.voxels.T)] = 1
            self.remote.add_scribble_interaction(drawn, **how)
        else:
            self.remote.add_point_interaction([int(at) for at in one.voxels[0]], **how)


def check_server(address: str) -> None:
    """Refuse an address that is none, or that scans would be sent to in the clear; raises `UsageError`."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"'{address}' is no address of a server", where="--assist", fix="Give http://localhost:1527 or https://..."
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise UsageError(
            "scans would be sent over the network in the clear",
            where=f"--assist {address}",
            fix="Give an https address, or reach the server by a tunnel to this machine.",
        )


@contextlib.contextmanager
def answering(address: str) -> Iterator[None]:
    """Turn what the client raises into one sentence."""
    try:
        yield
    except (InputError, MissingDependency):
        raise
    except Exception as error:  # the client's own, and those of the library it speaks HTTP with
        raise InputError(
            f"the nnInteractive server did not answer as it should ({type(error).__name__}: {error})",
            where=address,
            fix="Look whether it runs, has a free session, and takes the key in NN_INTERACTIVE_API_KEY.",
        ) from error
