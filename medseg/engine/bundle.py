"""Everything that an installation without network needs, in one folder: packages, their versions, and models."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Container, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from medseg.config.arguments import check_arguments, listed
from medseg.config.safe_json import parse_json
from medseg.counted import counted
from medseg.errors import InputError, MissingDependency, UsageError
from medseg.io.files.atomic import atomic_folder, write_text
from medseg.io.files.file_hash import file_sha256
from medseg.io.files.writable import check_writable
from medseg.models.package import ModelPackage
from medseg.resources import models as shipped_models
from medseg.tracking.resolve import resolve_model

log = logging.getLogger("medseg.bundle")

WHEELS, MODELS, CONSTRAINTS, SUMS, README, INSTALL = (
    *("wheels", "models", "constraints.txt", "SHA256SUMS", "README.md"),
    "install.py",
)
# Runs pip as `python -m pip` does, for no longer than its parent lives.
PIP = (
    "import runpy; from medseg.isolation.child import die_with; "
    "die_with({parent}); runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)
# What pip says first when it gets no further, of all it says.
ERROR = "ERROR: "
TEXT = """# medseg {version}, to be installed without network

For {system}, {machine}, Python {python}, where this folder was made.

    python{python} install.py /opt/medseg

makes an environment in `/opt/medseg`, installs medseg{extras} from `wheels/` with the versions in `constraints.txt`,
and {models}. Every file is checked against `SHA256SUMS` first.
Then:

    /opt/medseg/bin/medseg doctor

The same without the script:

    python{python} -m venv /opt/medseg
    /opt/medseg/bin/pip install --no-index --find-links wheels --constraint constraints.txt "medseg{extras}"
{imports}"""


@dataclass(frozen=True)
class Bundle:
    """A folder to carry to a machine without network: its wheels, its models besides those shipped, its size."""

    folder: Path
    wheels: tuple[str, ...]
    models: tuple[str, ...]
    bytes: int

    def __repr__(self) -> str:
        """Return one line: the folder, how many packages, its size."""
        return f"Bundle('{self.folder}', {counted(len(self.wheels), 'package')}, {self.bytes / 1e6:.0f} MB)"


@check_arguments
def bundle(
    out: str | Path, *, model: str | Path | Sequence[str | Path] = (), extras: str | Sequence[str] = ()
) -> Bundle:
    """Collect medseg, every package it needs in the versions installed here, and models, for machines without network.

    Parameters
    ----------
    out : str or Path
        Folder to make; it must not exist, or be empty.
    model : str, Path or sequence of them
        Names or paths of model packages to take along; the shipped ones always are.
    extras : str or sequence of str
        Extras of medseg such as ``"ray"``, several with commas between them.

    Returns
    -------
    Bundle
        What lies in the folder.

    Raises
    ------
    UsageError
        When the folder holds something, or there is no such extra.
    MissingDependency
        When pip is not installed.
    InputError
        When pip cannot get a package.
    """
    folder = Path(out)
    check_writable(folder, where=f"--out {folder}", is_folder=True)
    if folder.exists() and any(folder.iterdir()):
        raise UsageError("the folder holds something already", where=f"--out {folder}", fix="Name a new one.")
    chosen = _known_extras(extras)
    packages = _packages(listed(model))
    if find_spec("pip") is None:
        raise MissingDependency("pip is not installed here", where="bundle", fix="python -m ensurepip")
    with atomic_folder(folder) as made:
        write_text(made / CONSTRAINTS, constraints())
        _collect(made, chosen)
        collected = {wheel.name.partition("-")[0].lower().replace("_", "-") for wheel in (made / WHEELS).iterdir()}
        write_text(made / CONSTRAINTS, constraints(collected))  # of nothing else that is installed here
        for package in packages:
            shutil.copytree(package.folder, made / MODELS / package.card.name)
        wheels = tuple(sorted(path.name for path in (made / WHEELS).iterdir()))
        _describe(made, chosen)
        write_text(made / SUMS, _sums(made))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Bundle(folder, wheels, tuple(package.card.name for package in packages), size)


def constraints(names: Container[str] | None = None) -> str:
    """Return the exact versions installed here but medseg's own, or of some names alone, a line each, as pip reads."""
    found = {one.name.lower().replace("_", "-"): one.version for one in metadata.distributions() if one.name}
    return "".join(
        f"{name}=={version}\n"
        for name, version in sorted(found.items())
        if name != "medseg" and (names is None or name in names)
    )


def _known_extras(extras: str | Sequence[str]) -> tuple[str, ...]:
    named = [name for text in listed(extras) for name in text.replace(" ", "").split(",") if name]
    known = metadata.metadata("medseg").get_all("Provides-Extra") or []
    for name in named:
        if name not in known:
            raise UsageError(f"there is no extra '{name}'", where="--extras", fix=f"There are: {', '.join(known)}.")
    return tuple(named)


def _packages(names: Sequence[str | Path]) -> list[ModelPackage]:
    """Models to take along: those that are not inside medseg, none of which may have the name of one that is."""
    inside = shipped_models()
    packages = [package for package in map(resolve_model, names) if package.folder not in inside.values()]
    for package in packages:
        if package.card.name in inside:
            raise UsageError(
                f"a model called '{package.card.name}' comes with medseg",
                where="--model",
                fix="Import it under another name first: medseg models import.",
            )
    return packages


def _collect(made: Path, extras: Sequence[str]) -> None:
    """Fill the folder with wheels: medseg's own first, then those of everything it needs."""
    log.info("Collecting medseg and the packages it needs; this takes some minutes.")
    own, temporary = made / "own", made / "temporary"
    temporary.mkdir()
    _pip(temporary, "--no-deps", "--wheel-dir", str(own), _source())
    (wheel,) = own.glob("medseg-*.whl")
    named = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
    _pip(temporary, "--constraint", str(made / CONSTRAINTS), "--wheel-dir", str(made / WHEELS), named)
    if not (made / WHEELS / wheel.name).exists():
        shutil.move(wheel, made / WHEELS / wheel.name)
    shutil.rmtree(own)
    shutil.rmtree(temporary)


def _source() -> str:
    """What pip makes medseg's own wheel from: the checkout that is installed, the file it came from, or the index."""
    origin = metadata.distribution("medseg").read_text("direct_url.json")
    if origin is not None:
        address = urlsplit(parse_json(origin)["url"])
        place = Path(unquote(address.path))
        if address.scheme == "file" and place.exists():
            return str(place)
    return f"medseg=={metadata.version('medseg')}"


def _pip(temporary: Path, *arguments: str) -> None:
    """Call `pip wheel`, whose temporary files, of gigabytes, are nobody's once it is ended in their midst."""
    pip = (sys.executable, "-c", PIP.format(parent=os.getpid()))
    command = [*pip, "wheel", "--quiet", "--disable-pip-version-check", "--no-input", *arguments]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=environment)
    if done.returncode:
        log.debug("%s", done.stderr)
        lines = [line.removeprefix(ERROR) for line in done.stderr.splitlines() if line.startswith(ERROR)]
        raise InputError(
            f"pip could not get every package ({lines[-1] if lines else 'it does not say why; see --debug'})",
            fix="Check that its package index can be reached (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_CERT).",
        )


def _describe(made: Path, extras: Sequence[str]) -> None:
    """Leave the installer and what people should know."""
    names = sorted(folder.name for folder in (made / "models").glob("*"))
    text = TEXT.format(
        version=metadata.version("medseg"),
        system=platform.system(),
        machine=platform.machine(),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        extras=f"[{','.join(extras)}]" if extras else "",
        models="adds the models in `models/` to those of the user who runs it" if names else "brings no further model",
        imports="".join(f"    /opt/medseg/bin/medseg models import models/{name} --name {name}\n" for name in names),
    )
    write_text(made / README, text)
    installer = (resources.files("medseg.engine") / "bundle_install.py").read_text(encoding="utf-8")
    write_text(made / INSTALL, installer.replace('EXTRAS = ""', f'EXTRAS = "{",".join(extras)}"'))


def _sums(made: Path) -> str:
    files = sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
    return "".join(f"{file_sha256(made / name)}  {name}\n" for name in files)
