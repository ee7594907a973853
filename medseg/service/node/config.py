"""The configuration of a node, and what can be checked of it before anything listens."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le
from pydantic import Field, field_validator

from medseg.config.bounds import LABEL_FORMATS
from medseg.config.load import apply_overrides, build, read_yaml
from medseg.config.strict import StrictFinite
from medseg.errors import ConfigError, did_you_mean
from medseg.review.server.listening import is_loopback
from medseg.service.matching import ANY_VALUE, NUMBERS

FORMAT_NAMES = Literal[LABEL_FORMATS]  # type: ignore[valid-type]
Port = Annotated[int, Ge(1), Le(65535)]
SMTP_PORT = 25
UNREADABLE = ("SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "AT")
# What people call them, and what DICOM does.
NO_MODALITIES = {"MRI": "MR", "MRT": "MR", "NMR": "MR", "CAT": "CT", "PET": "PT", "PET/CT": "PT\\CT", "XRAY": "DX\\CR"}
# What a value of these kinds can look like, with * and ? as in a pattern, and an example.
FORMS = {
    "AS": (r"(?i)(?=.{4}$|.*[*])[\d?*]*[DWMY?*]", "050Y"),
    "UI": (r"[\d.?*]+", "1.2.840.*"),
}
HTTP_HELP = "Write it as 127.0.0.1:8042, or null for none."


class Rule(StrictFinite):
    """Which series a model is for, what is written of it and where that goes."""

    when: dict[str, str | int | float] = Field(
        default={},
        description="DICOM keyword to what its value must match, with * and ? for any text and any character, in any "
        "case; \\ between alternatives; without any, every series fits",
    )
    model: str = Field(description="model name, package folder or models:/NAME@ALIAS")

    @field_validator("when", mode="before")
    @classmethod
    def _is_written_out(cls, when: Any) -> Any:
        """Refuse what YAML reads as true or false: no header holds that."""
        for keyword, value in when.items() if isinstance(when, dict) else ():
            if isinstance(value, bool):
                raise ValueError(f"{keyword}: YAML reads a bare YES or NO as {str(value).lower()}; write it in quotes")
        return when

    formats: tuple[FORMAT_NAMES, ...] = Field(default=("dicom-seg",), description="what is written of each result")
    send_to: tuple[str, ...] = Field(default=(), description="names of the destinations of the DICOM objects")


class Tls(StrictFinite):
    """Encryption: of what comes in where there is a certificate, and of dicoms:// destinations."""

    certificate: Path | None = Field(default=None, description="own certificate, PEM; with it only TLS is listened to")
    key: Path | None = Field(default=None, description="private key of the certificate, PEM")
    authority: Path | None = Field(
        default=None, description="certificates to trust, PEM; with it senders must show one that these signed"
    )


class Email(StrictFinite):
    """Mail about what needs a person."""

    server: str = Field(description="HOST or HOST:PORT of the mail server")
    sender: str = Field(description="address that it comes from")
    to: tuple[str, ...] = Field(description="addresses that it goes to")
    starttls: bool = Field(default=True, description="encrypt; only a server on this machine should do without")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server; `ValueError` where that is not what `server` says."""
        parts = urlsplit(f"smtp://{self.server}")
        if not parts.hostname or parts.netloc != self.server or parts.username is not None:
            raise ValueError(self.server)
        return parts.hostname, parts.port or SMTP_PORT


class Notify(StrictFinite):
    """Who is told of failed and withheld cases and of refused deliveries; never anything of a patient."""

    webhook: str | None = Field(default=None, description="address that JSON is posted to")
    email: Email | None = Field(default=None, description="mail; the password of a user is not supported")


class NodeConfig(StrictFinite):
    """A node."""

    aet: str = Field(default="MEDSEG", description="own application entity title")
    host: str = Field(default="127.0.0.1", description="address to listen on; another than loopback needs callers")
    port: Port = Field(default=11112, description="port to listen on")
    http: str | None = Field(
        default="127.0.0.1:8042",
        description="address and port of the queue page, /healthz and /metrics; loopback only, null for none",
    )
    folder: Path = Field(description="everything the node keeps; relative to the configuration file")
    quiet_seconds: Annotated[float, Gt(0)] = Field(
        default=30.0, description="a series is whole when nothing came for so long and its sender's association is gone"
    )
    callers: tuple[str, ...] = Field(
        default=(), description="AE titles that may send; without any, all may, which only loopback allows"
    )
    destinations: dict[str, str] = Field(
        default={},
        description="name to address: dicom://HOST:PORT/AETITLE, dicoms://, or the root of a DICOMweb service",
    )
    users: dict[str, str] = Field(
        default={},
        description="destination to the user it knows us as, for DICOMweb; the password is in MEDSEG_PACS_PASSWORD",
    )
    rules: tuple[Rule, ...] = Field(description="the first that fits a series wins", min_length=1)
    default: Literal["ignore"] = Field(default="ignore", description="what becomes of a series that no rule fits")
    commitment: bool = Field(
        default=True,
        description="ask DIMSE destinations for storage commitment: of results, and of incoming objects before these "
        "are deleted",
    )
    commitment_hours: Annotated[float, Gt(0)] = Field(
        default=24.0, description="hours that a destination may take to commit to a result before somebody is needed"
    )
    keep_days: Annotated[float, Ge(0)] | None = Field(
        default=None, description="days after which incoming objects of finished series are deleted; null keeps them"
    )
    tls: Tls = Field(default=Tls(), description="certificates")
    notify: Notify = Field(default=Notify(), description="who is told of what needs a person")
    tries: Annotated[int, Ge(1)] = Field(
        default=3, description="how often what may pass (a crash, too long, too little memory) is tried until it fails"
    )
    max_seconds: Annotated[float, Gt(0)] = Field(default=3600.0, description="seconds that one case may take")
    max_associations: Annotated[int, Ge(1)] = Field(default=16, description="senders at the same time")
    reports: dict[str, str] = Field(
        default={},
        description="caller to its HOST:PORT: where it hears what storage commitment it asked for, once its own "
        "association is gone",
    )

    @property
    def incoming(self) -> Path:
        """Where objects are kept."""
        return self.folder / "incoming"

    @property
    def results(self) -> Path:
        """The output folder, which `medseg review` opens."""
        return self.folder / "results"

    @property
    def page_address(self) -> tuple[str, int] | None:
        """Host and port of the queue page; None where there is none."""
        if self.http is None:
            return None
        host, _, port = self.http.rpartition(":")
        return host.strip("[]"), int(port)


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
        _check_rule(config, rule, f"{path}: rule {number}")
    _check_reachable(config, path)
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


def _check_rule(config: NodeConfig, rule: Rule, where: str) -> None:
    from pydicom.datadict import DicomDictionary, tag_for_keyword

    for keyword, pattern in rule.when.items():
        if tag_for_keyword(keyword) is None:
            near = did_you_mean(keyword, [entry[4] for entry in DicomDictionary.values() if entry[4]])
            raise ConfigError(
                f"'{keyword}' is not a DICOM keyword", where=where, fix=near or "Write it as in SeriesDescription."
            )
        _check_pattern(keyword, str(pattern), where)
        if not str(pattern).strip():
            raise ConfigError(
                f"{keyword} has no pattern, which would match everything",
                where=where,
                fix=f"Write what it must match, such as '*T1*', or omit {keyword}.",
            )
    for name in rule.send_to:
        if name not in config.destinations:
            known = ", ".join(config.destinations) or "none"
            raise ConfigError(
                f"there is no destination '{name}'",
                where=where,
                fix=f"{did_you_mean(name, config.destinations)} There are: {known}.".strip(),
            )
    if rule.send_to and not any(name.startswith("dicom-") or name in ("rtstruct", "sr", "sc") for name in rule.formats):
        raise ConfigError(
            f"formats {', '.join(rule.formats)} hold no DICOM object to send",
            where=where,
            fix="Add dicom-seg, or omit send_to.",
        )


def _check_pattern(keyword: str, pattern: str, where: str) -> None:
    """Refuse a pattern that no header can match."""
    from pydicom.datadict import dictionary_VR

    kind = dictionary_VR(keyword)
    if kind in UNREADABLE:
        raise ConfigError(f"{keyword} holds nothing that a pattern can match", where=where, fix=f"Omit {keyword}.")
    wanted = [one.strip() for one in pattern.split("\\") if one.strip()]
    if pattern.strip() == ANY_VALUE or not wanted:
        return
    if kind in NUMBERS and not all(_is_number(one) for one in wanted):
        raise ConfigError(
            f"{keyword} is a number, and '{pattern}' is none, so that nothing would match",
            where=where,
            fix="Write the number, several with \\ between them, or '?*' for any.",
        )
    form, example = FORMS.get(kind, ("", ""))
    odd = next((one for one in wanted if form and not re.fullmatch(form, one)), None)
    if odd is not None:
        raise ConfigError(
            f"no {keyword} can match '{odd}'", where=where, fix=f"Write it as in {example}, or '?*' for any."
        )
    wrong = next((one for one in wanted if keyword == "Modality" and one.upper() in NO_MODALITIES), None)
    if wrong is not None:
        raise ConfigError(
            f"there is no Modality '{wrong}', so that nothing would match",
            where=where,
            fix=f"DICOM writes {NO_MODALITIES[wrong.upper()]}.",
        )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _check_reachable(config: NodeConfig, path: Path) -> None:
    """Refuse a rule that can never be reached, because one before it fits whatever it fits."""
    for number, rule in enumerate(config.rules, 1):
        for earlier, other in enumerate(config.rules[: number - 1], 1):
            if all(_is_within(rule, keyword, str(pattern)) for keyword, pattern in other.when.items()):
                raise ConfigError(
                    f"rule {number} is never reached, because rule {earlier} fits every series that it fits",
                    where=path,
                    fix="Put the stricter rule first.",
                )


def _is_within(rule: Rule, keyword: str, pattern: str) -> bool:
    """Whether what a rule fits surely matches another one's pattern too."""
    if not pattern.strip().strip("*"):  # any value, also none
        return True
    own = str(rule.when.get(keyword, ""))
    if pattern.strip() == ANY_VALUE:
        return bool(own.strip().strip("*"))
    return own == pattern
