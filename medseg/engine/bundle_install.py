"""Install medseg from this folder, without network: python install.py FOLDER. Needs nothing but Python."""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXTRAS = ""


def main() -> int:
    """Check every file, make an environment in the folder named, install into it, and add the models."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.stderr.write("Usage: python install.py FOLDER\n")
        return 2
    wrong = damaged()
    if wrong:
        what = f"{wrong[0]} is missing, damaged or not of this bundle ({len(wrong)} in all)"
        sys.stderr.write(f"{what}. Copy the whole folder again.\n")
        return 2
    target = Path(sys.argv[1]).resolve()
    venv.create(target, with_pip=True)
    programs = target / ("Scripts" if os.name == "nt" else "bin")
    named = f"medseg[{EXTRAS}]" if EXTRAS else "medseg"
    install: list[str | Path] = [
        programs / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
    ]
    install += ["--find-links", HERE / "wheels", "--constraint", HERE / "constraints.txt", named]
    # Settings of pip's own that name an index or other versions would only disturb.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environment["PIP_CONFIG_FILE"] = os.devnull
    if subprocess.run(install, env=environment, check=False).returncode:
        sys.stderr.write("The packages could not be installed; the lines above say why. README.md names the Python.\n")
        return 1
    models = HERE / "models"
    for package in sorted(models.iterdir()) if models.is_dir() else []:
        add: list[str | Path] = [programs / "medseg", "models", "import", package, "--name", package.name]
        if subprocess.run(add, check=False).returncode:
            return 1
    sys.stdout.write(f"{programs / 'medseg'}\n")
    return 0


def damaged() -> list[str]:
    """Names of files that are not there, not as they were made, or wheels that were not there when it was made."""
    try:
        lines = (HERE / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ["SHA256SUMS"]
    wrong, listed = [], {line.partition("  ")[2] for line in lines}
    wheels = HERE / "wheels"
    present = [f"wheels/{path.name}" for path in sorted(wheels.glob("[!.]*"))]
    wrong += [name for name in present if name not in listed]  # which pip might install instead of one that is
    for line in lines:
        digest, name = line.split("  ", 1)
        try:
            found = hashlib.sha256((HERE / name).read_bytes()).hexdigest()
        except OSError:
            found = ""
        if found != digest:
            wrong.append(name)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
