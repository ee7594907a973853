"""What a node is set to: the keys of its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le
from pydantic import Field, field_validator

from medseg.config.bounds import LABEL_FORMATS
from medseg.config.strict import StrictFinite

FORMAT_NAMES = Literal[LABEL_FORMATS]  # type: ignore[valid-type]
Port = Annotated[int, Ge(1), Le(65535)]
SMTP_PORT = 25


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
