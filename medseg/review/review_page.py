"""The review in a browser: worklist, scans, corrections and verdicts, served to this machine alone."""

from __future__ import annotations

import getpass
import logging
import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from medseg.config.arguments import check_arguments_of, listed
from medseg.config.bounds import AtLeast1, Duration
from medseg.errors import UsageError
from medseg.review.events import check_name
from medseg.review.opening import check_cases, open_store
from medseg.review.review_status import ReviewStatus, status_of
from medseg.review.sample import draw_sample
from medseg.review.server.listening import LOOPBACK, allowed_hosts, check_address, check_proxy, listen, with_port

if TYPE_CHECKING:
    from medseg.review.server.click_answers import Answerer

log = logging.getLogger("medseg.review")
Port = Annotated[int, Ge(0), Le(65535)]


@check_arguments_of("medseg.review")
def review(
    folder: Path | str,
    *,
    scans: Sequence[Path | str] | Path | str = (),
    reviewer: str | None = None,
    blind: bool = False,
    blind_model: bool = False,
    sample: AtLeast1 | None = None,
    adjudicate: Sequence[str] | str = (),
    port: Port = 0,
    host: str = LOOPBACK,
    allow_host: Sequence[str] | str = (),
    tls_cert: Path | str | None = None,
    tls_key: Path | str | None = None,
    trust_header: str | None = None,
    idle: Duration = "8h",
    clicks: str | Path | None = None,
    assist: str | None = None,
    no_browser: bool = False,
    announce: Callable[[str], object] | None = None,
) -> ReviewStatus:
    """Show results to a reader in a browser, and record corrections and verdicts, until a signal or an idle time.

    Parameters
    ----------
    folder : path
        The ``--out`` of `medseg predict`.
    scans : path or sequence of path
        Where the scans are, if they were moved since.
    reviewer : str, optional
        Who reads; the name of the user of this machine by default.
    blind : bool
        Show the reader their own corrections and verdicts only, and the cases in an order of their own.
    blind_model : bool
        Hide the model's labels too, so that the reader draws unaided.
    sample : int, optional
        Read so many cases drawn at random, for an unbiased error rate.
    adjudicate : sequence of str, optional
        Two readers: show the cases they see differently, with their outlines as A and B.
    port : int
        Port to listen on; 0 for any that is free.
    host : str
        Address to listen on; any but this machine's own needs TLS.
    allow_host : str or sequence of str
        Further names that browsers may call this server by.
    tls_cert, tls_key : path, optional
        Certificate and its key, in PEM.
    trust_header : str, optional
        Header in which a proxy that has checked who it is names the reader, in place of the key and of `reviewer`.
    idle : str or float
        Stop after this time without a request, for instance ``"8h"``; a number is of seconds.
    clicks : str or path, optional
        Model of ``medseg train --interactive`` that answers clicks and scribbles; a random walker does without one.
    assist : str, optional
        Address of an nnInteractive server that answers clicks instead: the scan's voxels go there. Extra ``assist``.
    no_browser : bool
        Do not open a browser.
    announce : callable, optional
        Takes the address with its key; by default it is printed.

    Returns
    -------
    ReviewStatus
        Where the review stands when the server stops.

    Raises
    ------
    UsageError
        When there are no such results, the address cannot be used, or needs TLS, or there is nothing to settle between
        the readers to adjudicate.
    InputError
        When the audit trail is not as it was written.
    """
    import uvicorn

    from medseg.review.adjudication import open_adjudication
    from medseg.review.server.app import ReviewApp
    from medseg.review.server.idle import stop_when_idle
    from medseg.review.server.reading import Reading
    from medseg.review.server.security import Access
    from medseg.training.options import seconds_of

    check_proxy(trust_header, reviewer)
    who = getpass.getuser() if reviewer is None else reviewer
    check_name(who)
    certificate, key_file = (None if path is None else Path(path) for path in (tls_cert, tls_key))
    check_address(host, certificate, key_file)
    answerer = _answerer(clicks, assist)
    with open_store(Path(folder), create=True, scans=[Path(path) for path in listed(scans)]) as store:
        check_cases(store.results)
        drawn = None if sample is None else draw_sample(store, sample, who)
        readers = listed(adjudicate)
        settled = open_adjudication(store, readers, reviewer=who) if readers else None
        with listen(host, port) as opened:
            port = int(opened.getsockname()[1])
            key = secrets.token_urlsafe(24)
            scheme = "http" if certificate is None else "https"
            names = tuple(listed(allow_host))
            access = Access(key, port, allowed_hosts(host, port, names), scheme, trust_header)
            app = ReviewApp(Reading(store, who, blind, blind_model, drawn, settled), access, answerer)
            config = uvicorn.Config(
                app.asgi(),
                log_level="critical",
                access_log=False,
                server_header=False,
                ws="none",
                lifespan="off",
                ssl_certfile=certificate,
                ssl_keyfile=key_file,
                timeout_graceful_shutdown=5,
            )
            server = uvicorn.Server(config)
            # A proxy is asked by its own address, and asks this server by the one that it listens on.
            page = f"{scheme}://{with_port(names[0] if names and trust_header is None else host, port)}/"
            (announce or _print)(page if trust_header is not None else f"{page}?key={key}")
            if not no_browser:
                own = page if trust_header is not None else f"{page}?key={access.key_for_browser()}"
                threading.Thread(target=webbrowser.open, args=(own,), daemon=True).start()
            try:
                with stop_when_idle(server, access, seconds_of(idle)):
                    server.run(sockets=[opened])
            finally:
                app.close()
        return status_of(store)


def _answerer(clicks: str | Path | None, assist: str | None) -> Answerer | None:
    """What answers clicks, if not a random walker."""
    if assist is not None:
        from medseg.review.server.assist import ByServer

        if clicks is not None:
            raise UsageError("--clicks and --assist exclude each other", fix="Choose one of them to answer clicks.")
        server = ByServer(assist)
        log.warning("Clicks send the scan to %s. The license of its weights: %s.", assist, server.license)
        return server
    if clicks is None:
        return None
    from medseg.infer.clicks.model import ClickModel
    from medseg.review.server.click_answers import ByModel
    from medseg.tracking.resolve import resolve_model

    return ByModel(ClickModel(resolve_model(clicks, option="--clicks")))


def _print(address: str) -> None:
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
