"""Where the server listens: this machine alone, unless the way to it is encrypted."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import ssl
from pathlib import Path

from medseg.errors import InputError, UsageError

LOOPBACK = "127.0.0.1"
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110


def check_address(host: str, certificate: Path | None, key: Path | None) -> None:
    """Raise `UsageError` where scans would go over a network in the clear, or a certificate cannot be used."""
    if (certificate is None) != (key is None):
        raise UsageError("--tls-cert and --tls-key belong together", fix="Give both, in PEM.")
    if not is_loopback(host) and certificate is None:
        raise UsageError(
            "another address than this machine's own needs TLS, because scans and the key go over the network",
            where=f"--host {host}",
            fix="Add --tls-cert and --tls-key, or omit --host and use an SSH tunnel.",
        )
    if certificate is not None and key is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
        except (OSError, ValueError) as error:  # an error of ssl is an OSError
            raise InputError(
                f"certificate and key cannot be used ({error})",
                where=certificate,
                fix="Give a certificate and its key, in PEM and without a password.",
            ) from error


def check_proxy(trust_header: str | None, reviewer: str | None) -> None:
    """Raise `UsageError` where no request can have such a header, or its reader would be another than the one given."""
    if trust_header is None:
        return
    if not HEADER_NAME.fullmatch(trust_header):
        raise UsageError(
            f"'{trust_header}' cannot be a header's name",
            where="--trust-header",
            fix="Give the header that your proxy sets, such as X-Remote-User.",
        )
    if reviewer is not None:
        raise UsageError(
            "--reviewer and --trust-header exclude each other",
            fix="Omit --reviewer: the proxy says who reads.",
        )


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, which no other machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """Take a port, any free one for 0, before anything is printed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.listen(128)
    except OSError as error:
        opened.close()
        is_elsewhere = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        raise UsageError(
            f"this address cannot be used ({error.strerror or error})",
            where=f"--host {host} --port {port}",
            fix="Give an address that this machine has, or 0.0.0.0 for all of them."
            if is_elsewhere
            else "Choose another port, or 0 for any that is free.",
        ) from error
    return opened


def allowed_hosts(host: str, port: int, names: tuple[str, ...]) -> frozenset[str]:
    """What a browser may call this server, with and without the port where it is the default one."""
    known = {host, *names, *({"localhost", LOOPBACK} if is_loopback(host) else ())}
    shown = {_in_address(name) for name in known if name not in ("0.0.0.0", "::")}  # noqa: S104
    # Behind a proxy, a name comes without a port or with the proxy's own: then it is given with its port.
    return frozenset(shown & {_in_address(name) for name in names}) | {with_port(name, port) for name in shown}


def with_port(name: str, port: int) -> str:
    """Return a name or address as an address of the web has it, with a port unless it has one."""
    shown = _in_address(name)
    return shown if _has_port(shown) else f"{shown}:{port}"


def _in_address(name: str) -> str:
    """A name in lower case; an address of IPv6 in brackets."""
    try:
        return f"[{ipaddress.IPv6Address(name)}]"
    except ValueError:
        return name.lower()


def _has_port(name: str) -> bool:
    return name.rpartition(":")[2].isdecimal() and not name.endswith("]")
