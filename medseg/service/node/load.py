"""Reads the configuration of a node, and checks what can be checked of it before anything listens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medseg.config.load import apply_overrides, build, read_yaml
from medseg.errors import ConfigError
from medseg.review.server.listening import is_loopback
from medseg.service.node.config import Email, NodeConfig
from medseg.service.node.rule_checks import check_reachable, check_rule

HTTP_HELP = "Write it as 127.0.0.1:8042, or null for none."


def load_node(path: Path, settings: Sequence[str] = ()) -> NodeConfig:
    """Read the configuration of a node, and check what can be checked without models and network.

    Raises
    ------
    ConfigError
        When a key is unknown or a value cannot be what it is.
    """
    values: dict[str, Any] = apply_overrides(read_yaml(path), settings)
    config = build(NodeConfig, values, where=path)
    config = _beside(config, path.resolve().parent)
    _check_listening(config, path)
    for number, rule in enumerate(config.rules, 1):
        check_rule(config, rule, f"{path}: rule {number}")
    check_reachable(config, path)
    return config


def _beside(config: NodeConfig, parent: Path) -> NodeConfig:
    """Read relative paths from where the file is: a service may start anywhere."""
    tls = {key: None if value is None else parent / value for key, value in config.tls}
    rules = [
        rule.model_copy(update={"model": str(parent / rule.model)}) if _is_path(rule.model) else rule
        for rule in config.rules
    ]
    return config.model_copy(
        update={"folder": parent / config.folder, "rules": tuple(rules), "tls": config.tls.model_copy(update=tls)}
    )


def _is_path(model: str) -> bool:
    return not model.startswith("models:/") and ("/" in model or model.endswith(".zip"))


def _check_listening(config: NodeConfig, path: Path) -> None:
    if not is_loopback(config.host) and not config.callers:
        raise ConfigError(
            f"host {config.host} is reached by other machines, so that callers must say who may send",
            where=path,
            fix="Add callers: [AETITLE, ...], or set host: 127.0.0.1.",
        )
    for title in (config.aet, *config.callers):
        is_plain = title.isascii() and title.isprintable() and "\\" not in title
        if not 1 <= len(title) <= 16 or not is_plain or title != title.strip():
            raise ConfigError(
                f"'{title}' is not an application entity title",
                where=path,
                fix="Use at most 16 plain characters, without spaces around them.",
            )
    if (config.tls.certificate is None) != (config.tls.key is None):
        raise ConfigError("tls.certificate and tls.key belong together", where=path, fix="Give both, in PEM.")
    if config.http is not None:
        host, _, port = config.http.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigError(f"http: '{config.http}' is not an address and a port", where=path, fix=HTTP_HELP)
        if not is_loopback(host.strip("[]")):
            raise ConfigError(
                f"http: {host} is reached by other machines, and the queue page has no login",
                where=path,
                fix="Use 127.0.0.1 and, from elsewhere, an SSH tunnel or a proxy that asks who it is.",
            )
        if int(port) == config.port:
            raise ConfigError(
                f"port and http are both {port}",
                where=path,
                fix="Give http another one, such as 127.0.0.1:8042, or null for none.",
            )
    for name in config.users:
        if name not in config.destinations:
            raise ConfigError(
                f"users.{name}: there is no destination of that name",
                where=path,
                fix=f"There are: {', '.join(config.destinations) or 'none'}.",
            )
    for title, address in config.reports.items():
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise ConfigError(
                f"reports.{title}: '{address}' is not HOST:PORT", where=path, fix="Write for instance 10.0.0.5:104."
            )
    if config.notify.webhook is not None and not config.notify.webhook.startswith(("https://", "http://")):
        raise ConfigError(
            "notify.webhook must be an http(s):// address", where=path, fix="Write it with https://, or omit it."
        )
    if config.notify.email is not None:
        _check_mail(config.notify.email, path)


def _check_mail(email: Email, path: Path) -> None:
    try:
        email.address  # noqa: B018
    except ValueError:
        raise ConfigError(
            f"notify.email.server: '{email.server}' is not HOST or HOST:PORT",
            where=path,
            fix="Write for instance mail.example:587.",
        ) from None
    if not email.to:
        raise ConfigError("notify.email.to is empty", where=path, fix="Name who is to be told, or omit email.")
    for text in (email.sender, *email.to):
        if "@" not in text or not text.isprintable() or "," in text:
            raise ConfigError(
                f"notify.email: '{text}' is not an address", where=path, fix="Write each as in node@hospital.example."
            )
