"""Where an archive is, how to speak to it, and what went wrong with it."""

from __future__ import annotations

import os
import re
import socket
import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from medseg.errors import MedsegError, UsageError

HELP = "Write dicom://HOST:PORT/AETITLE, dicoms:// for TLS, or the https:// address of its DICOMweb service."
PASSWORD, TOKEN = "MEDSEG_PACS_PASSWORD", "MEDSEG_PACS_TOKEN"
# Parts with leading zeros are not allowed, and some scanners write them: such a UID is another than the one without.
UID = re.compile(r"[0-9]+(\.[0-9]+)+")


class ArchiveError(MedsegError):
    """An archive cannot be reached, or does not do what was asked."""

    nobody_there = False  # nothing listens at its address, or nothing has its name


class ArchiveRefusal(ArchiveError):
    """An archive says no, and would say so again: a wrong password, a title it does not know."""


@dataclass(frozen=True)
class Archive:
    """An archive and how to speak to it.

    The password of `user` is read from the environment, ``MEDSEG_PACS_PASSWORD``, or instead of both a bearer token,
    ``MEDSEG_PACS_TOKEN``, so that neither stands in a command line.
    """

    protocol: Literal["dimse", "web"]  # C-STORE, C-FIND and C-GET or C-MOVE; or DICOMweb
    host: str = ""
    port: int = 104
    ae_title: str = "ANY-SCP"  # the archive's
    url: str = ""  # root of its DICOMweb service
    tls: ssl.SSLContext | None = field(default=None, compare=False)
    aet: str = "MEDSEG"  # our own application entity title
    user: str | None = None
    authority: Path | None = None  # certificates to trust instead of the system's
    move_port: tuple[str, int] | None = None  # address and port of ours that the archive sends to, for C-MOVE
    move_tls: ssl.SSLContext | None = field(default=None, compare=False)  # for what it sends there

    @classmethod
    def parse(
        cls,
        address: str,
        *,
        aet: str = "MEDSEG",
        user: str | None = None,
        authority: Path | None = None,
        certificate: Path | None = None,
        private_key: Path | None = None,
        move_port: str | None = None,
        option: str = "",
    ) -> Archive:
        """Read ``dicom://host:port/AETITLE``, ``dicoms://...`` for TLS, or an ``http(s)://`` DICOMweb root.

        `option` is what an error calls the address, such as ``--to``.

        `certificate` and `private_key` are shown to an archive that asks for ours (``dicoms://`` only); `move_port` is
        ``host:port`` of ours, or a port alone for loopback.
        """
        # What may hold a password is not repeated.
        given = option if "@" in address else f"{option} {address}".strip()
        _check_title(aet, where=f"--aet {aet}")
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError as error:
            raise UsageError("this is not the address of an archive", where=given, fix=HELP) from error
        if parts.scheme in ("http", "https") and parts.hostname:
            if parts.username or parts.password:
                raise UsageError(
                    "passwords do not belong in addresses",
                    where=option or "the address",
                    fix=f"Use --user, and the variable {PASSWORD} or {TOKEN}.",
                )
            if move_port is not None:
                raise UsageError(
                    "C-MOVE is not part of DICOMweb",
                    where=f"--move-port {move_port}",
                    fix="Omit --move-port, or give dicom://.",
                )
            if certificate is not None:
                raise UsageError(
                    "a certificate of this machine is used for dicoms:// only",
                    where=f"--cert {certificate}",
                    fix="Omit --cert.",
                )
            return cls("web", parts.hostname, url=address.rstrip("/"), aet=aet, user=user, authority=authority)
        title = parts.path.strip("/")
        if parts.scheme not in ("dicom", "dicoms") or not parts.hostname or not port or not title:
            raise UsageError("this is not the address of an archive", where=given, fix=HELP)
        _check_title(title, where=given)
        if user is not None:
            raise UsageError(
                "a user is for DICOMweb only", where=f"--user {user}", fix="Omit --user, or give https://."
            )
        here = None if move_port is None else _move_address(move_port)
        archive = cls("dimse", parts.hostname, port, title, aet=aet, authority=authority, move_port=here)
        if parts.scheme == "dicom":
            return archive
        move_tls = None if here is None else _move_tls(authority, certificate, private_key)
        return replace(archive, tls=_tls(authority, certificate, private_key), move_tls=move_tls)

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return self.url if self.protocol == "web" else f"{self.ae_title} at {self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers that say who we are, where a token was given."""
        token = os.environ.get(TOKEN)
        return {"Authorization": f"Bearer {token}"} if token else {}

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password, where given."""
        return None if self.user is None else (self.user, os.environ.get(PASSWORD, ""))


def no_connection(error: object, where: str, fix: str, otherwise: str = "") -> ArchiveError:
    """Return the error that there is no connection, by what connecting raised; `otherwise` where that is no reason."""
    why = otherwise
    if isinstance(error, ConnectionRefusedError):
        why = "nothing listens at its port"
    elif isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
        why = "no machine has its name"
    failure = ArchiveError(f"no connection to the archive{': ' * bool(why)}{why}", where=where, fix=fix)
    failure.nobody_there = why != otherwise
    return failure


def is_uid(text: str) -> bool:
    """Whether text can be a UID, and so is safe as part of a path or an address."""
    return len(text) <= 64 and UID.fullmatch(text) is not None


def _check_title(title: str, *, where: str) -> None:
    if not 1 <= len(title) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
        raise UsageError(
            f"'{title}' is not an application entity title", where=where, fix="Use at most 16 plain characters."
        )


def _move_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(
            "this is not an address to receive at",
            where=f"--move-port {text}",
            fix="Write HOST:PORT, or PORT for loopback.",
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def _tls(
    authority: Path | None,
    certificate: Path | None,
    private_key: Path | None,
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH,
) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(purpose, cafile=None if authority is None else str(authority))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            context.load_cert_chain(str(certificate), None if private_key is None else str(private_key))
    except (OSError, ssl.SSLError) as error:
        given = {"--ca": authority, "--cert": certificate, "--cert-key": private_key}
        where = ", ".join(f"{option} {path}" for option, path in given.items() if path is not None)
        raise UsageError(f"a certificate cannot be read ({error})", where=where, fix="Give PEM files.") from error
    return context


def _move_tls(authority: Path | None, certificate: Path | None, private_key: Path | None) -> ssl.SSLContext:
    """Return what lets an archive connect to us over TLS, and shows it our certificate."""
    if certificate is None:
        raise UsageError(
            "C-MOVE over TLS needs a certificate of this machine",
            where="--move-port",
            fix="Add --cert, or omit --move-port.",
        )
    context = _tls(authority, certificate, private_key, ssl.Purpose.CLIENT_AUTH)
    if authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
