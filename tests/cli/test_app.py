import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import typer
from tiny_dataset import write_msd

from medseg.cli.app import run
from medseg.cli.command import app
from medseg.cli.options import GROUPS
from medseg.cli.verb import LOGGED, OUTPUTS, State, state
from medseg.config.bounds import LABEL_FORMATS
from medseg.config.bounds import METRICS as SHOWN_METRICS
from medseg.errors import Interrupted
from medseg.evaluation.metrics.definitions import METRICS
from medseg.io.formats import WRITERS


def commands() -> dict[str, object]:
    """Every verb, those of `models` and `bench` too, by what a user types."""
    top = typer.main.get_command(app)
    found = {}
    for name, command in top.commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {sub}": verb for sub, verb in inner.items()} if inner else {name: command}
    return found


VERBS = commands()
# What holds verbs, by what a user types.
HOLDERS = {"": typer.main.get_command(app)}
HOLDERS |= {name: command for name, command in HOLDERS[""].commands.items() if hasattr(command, "commands")}


@pytest.mark.parametrize("verb", [*HOLDERS, *VERBS])
def test_help_has_an_example_groups_and_whole_sentences(verb, capsys):
    assert run([*verb.split(), "--help"]) == 0
    text = capsys.readouterr().out
    assert re.search(rf"^  Example: medseg {verb}", text, re.MULTILINE)
    titles = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert titles[-1] == "Log and help"
    assert not {"Options", "Arguments", "Commands", "Verbs"} & set(titles)
    command = {**VERBS, **HOLDERS}[verb]
    assert {"quiet", "verbose", "debug"} <= {param.name for param in command.params}
    for param in command.params:
        if param.name in COMPLETION:
            continue
        assert re.fullmatch(r"[A-Z].*\.", param.help), param.help
        assert param.rich_help_panel in GROUPS, param.name
        closed = param.is_flag if param.param_type_name == "option" else False
        assert closed or param.metavar or param.type_descriptor.is_choice, f"{param.name} needs a metavar"
        for bound in (param.min, param.max):
            assert bound is None or f"{bound:g}" in param.help, f"{param.help} does not say {bound:g}"
        assert param.default != "" or "Default: ." not in text
    # No names of Python's types, no ranges and no defaults in the words of the library.
    assert not re.search(r"<(?!case|series|instance)|\[(default|required)|\brange\b|\d<=x", text)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_summed_up_by_a_sentence_and_holds_what_the_contract_says(verb):
    assert re.fullmatch(r"[A-Z].*\.", VERBS[verb].short_help)
    names = {name for param in VERBS[verb].params for name in param.opts}
    assert "--json" in names
    assert ("--config" in names) == ("--set" in names)
    for short, long in (("-o", "--out"), ("-m", "--model"), ("-c", "--config"), ("-f", "--format")):
        assert long not in names or short in names or verb == "models export", long


# Added by Typer, in its own words.
COMPLETION = {"install_completion", "show_completion"}


HELP = """
import sys
from medseg.cli.app import run
run(["--help"])
heavy = {"torch", "monai", "mlflow", "SimpleITK", "scipy", "pandas", "openvino", "matplotlib", "numpy", "pydantic"}
if heavy & set(sys.modules):
    sys.exit(f"imported {heavy & set(sys.modules)}")
sys.exit(f"imported {len(sys.modules)} modules" if len(sys.modules) > 400 else 0)
"""


def test_help_imports_nothing_heavy_and_little_else():
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "predict" in done.stdout


@pytest.mark.starts_workers  # as a shell starts it
def test_version_and_shell_completion(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("medseg ")
    asked = {"_MEDSEG_COMPLETE": "complete_bash", "COMP_WORDS": "medseg pre", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "medseg"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **asked})
    assert done.stdout.split() == ["predict"]


BENCH = ["--config", "architectures-membranes", "--work", "never-made", "-o", "never-made"]
PREDICT = ["predict", ".", "-m", "hippocampus", "-o", "never-made"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "there is no verb 'nonsense'. `medseg --help` shows the verbs."),
        (["predikt"], "Did you mean 'predict'"),
        (["segment", "scans"], "there is no verb 'segment'. Did you mean 'predict'?"),
        (["models", "shw"], "there is no verb 'shw'. Did you mean 'show'?"),
        (["models", "--quiet"], "a verb is missing, so add one of list, show"),
        ([*PREDICT, "--set", "segment.model=nosuch"], "--set segment.model=nosuch: there is no model called 'nosuch'"),
        (["evaluate", ".", ".", "-o", "x", "--region", "a=b"], "--region a=b: 'b' is not a class value. Give whole"),
        (
            ["evaluate", ".", ".", "-o", "x", "--class", "3"],
            "--class 3: must be of the form A=B. Write --class 1=",
        ),
        (["compare", ".", ".", "--metric", "foo"], "'foo' is no metric. There are dice"),
        (["review", ".", "--port", "a"], "`medseg review DIR --help` shows the options."),
        (["models", "register", "nuclei", "--alias", "a b"], "--alias a b: must be letters, digits, underscores and"),
        (["models", "register", "nuclei", "--alias", "v1"], "--alias v1: must be letters, digits, underscores and"),
        (["models", "register", "nuclei", "--name", "a/b"], "--name a/b: must be text without / and :"),
        (["models", "export", "nuclei", "--out", "/"], "/: it is a folder. Name a file, such as model.zip."),
        (["list", "extra"], "'extra' is more than `medseg list` takes."),
        (["list", "--json=yes"], "--json takes no value, so write --json alone."),
        (["convert"], "INPUT is missing, so add it: files and folders, mixed."),
        (["predict"], "--model is missing, so add --model MODEL"),
        (["predict", ".", "-m"], "-m needs a value, so write -m MODEL."),
        (["predict", ".", "-i"], "-i needs a value, so write -i INPUT."),
        (["predict", ".", "-m", "hippocampus"], "--out is missing, so add --out DIR: folder for the results."),
        (["copy", "predict"], "DEST is missing, so add it: new file, or a folder that there is."),
        (["copy", "predictt", "x"], "Did you mean 'predict'?"),
        (["schema", "tran"], "Did you mean 'train'? Use one of: predict, train, evaluate, batch-segmentation;"),
        (["models", "show", "hipocampus"], "Did you mean 'hippocampus'?"),
        ([*PREDICT, "--config", "predictt"], "there is no configuration called 'predictt'. Did you mean 'predict'?"),
        (["run", "batch-segmentatio", ".", "-o", "x"], "there is no pipeline called 'batch-segmentatio'. Did you mean"),
        (["evaluate", ".", ".", "-o", "x", "-c", "predictt"], "there is no configuration called 'predictt'."),
        (
            ["evaluate", ".", ".", "-o", "x", "--tolerance", "1", "--tolerance", "0"],
            "--tolerance 0: must be more than 0",
        ),
        (["evaluate", ".", ".", "-o", "x", "--tolerance", "1", "--tolerance", "a"], "--tolerance a: must be a number."),
        (["evaluate", ".", ".", "-o", "x", "--group-by", "site"], "--group-by site: there is no table whose column"),
        (["evaluate", ".", ".", "-o", "x", "--table", "/"], "--table /: must be a file, and this is a folder."),
        (["evaluate", ".", ".", "-o", "x", "--images", __file__], ": must be a folder, and this is a file."),
        (["convert", ".", "-o", __file__], "nothing can be written there: "),
        (["deidentify", ".", "-o", __file__], "nothing can be written there: "),
        (["compare", ".", ".", "--metric", "dicee"], "--metric dicee: 'dicee' is no metric. Did you mean 'dice'?"),
        (
            ["audit", ".", "--set", "datset.name=a"],
            "--set datset.name=a: unknown key 'datset'. Did you mean 'dataset'?",
        ),
        (["audit", ".", "--config", "predict"], "is a configuration for segmentation, not for training"),
        (["audit", ".", "--folds", "5", "--fold", "5"], "--fold 5: there is no such fold among 5. Use 0 to 4."),
        (["plan", ".", "--set", "epochs=-1"], "--set epochs=-1: must be at least 1"),
        (["bench", "architectures", ".", *BENCH, "--set", "tolerance=0"], "--set tolerance=0: must be more than 0"),
        (["bench", "architectures", ".", *BENCH, "--time-budget", "0s"], "--time-budget 0s: must be a duration"),
        (["train", ".", "-o", "x", "--seed", "-1"], "--seed -1: must be at least 0"),
        (["models", "import", ".", "--name", "../x"], "--name ../x: must be letters"),
        (["models", "import", ".", "--name", "x", "--folds", "a"], "--folds a: must be all, or numbers such as 0,1"),
        (["models", "export", "nuclei"], "--format zip needs a file to write. Add for instance --out model.zip."),
        (
            ["models", "optimize", "nuclei", "-i", ".", "--precision", "int9"],
            "--precision int9: must be one or more of",
        ),
        (
            ["export", ".", "-o", "x", "-f", "nifti", "--structures", "("],
            "--structures (: must be a regular expression",
        ),
        (["push", ".", "--to", "nowhere"], "--to nowhere: this is not the address of an archive"),
        (["push", ".", "--to", "dicom://a:1/B", "--aet", "a" * 17], "--aet aaaaaaaaaaaaaaaaa: "),
        (["push", ".", "--to", "dicom://a:1/B", "--user", "me"], "--user me: a user is for DICOMweb only"),
        (["pull", "--from", "dicom://a:x/B", "--query", "Modality=CT", "-o", "x"], "--from dicom://a:x/B: this is not"),
        (["pull", "--from", "dicom://a:1/B", "--query", "Modalty=CT", "-o", "x"], "--query Modalty=CT: this is not a"),
        (
            ["pull", "--from", "dicom://a:1/B", "--query", "Modality=CT", "-o", "x", "--move-port", "a"],
            "--move-port a: this is not an address to receive at",
        ),
        (["inspect", ".", "--jsn"], "there is no option --jsn. Did you mean '--json'?"),
        (["review", "agrement", "x"], "there is no verb 'agrement'. Did you mean 'agreement'?"),
        ([*PREDICT, "--seriess", "x"], "there is no option --seriess. Did you mean '--series'?"),
        ([*PREDICT, "--max-seconds", "inf"], "--max-seconds inf: must be a finite number"),
        (["train", ".", "-o", "x", "--processes", "99999"], "--processes 99999: must be between 1 and 1024"),
        (["train", ".", "-o", "x", "--seed", "4294967296"], "--seed 4294967296: must be at most 4294967295"),
        (["train", ".", "-o", "x", "--from", ""], "--from: the value is empty"),
        (["train", ".", "--out="], "--out: the value is empty"),
        (["predict", ""], "an argument: the value is empty"),
        (["convert", "-i", "", "-o", "x"], "-i: the value is empty"),
        (["deidentify", ".", "-o", "x", "--key", "."], "--key .: must be a file, and this is a folder"),
        (["bundle", "-o", "x", "--model", "nope"], "--model nope: there is no model called 'nope'"),
        (["inspect", ".", "--root", "x"], "--root goes with --manifest"),
        (["review", "nowhere"], "DIR nowhere: there is no such file or folder"),
        (["inspect", "nowhere"], "INPUT nowhere: there is no such file or folder"),
        (["convert", ".", "--out", "x", "--format", "dcm"], "--format dcm: must be one of nifti, nrrd, mha"),
        (["models", "verify", "hippocampus", "--device", "gpu"], "--device gpu: must be auto, cpu, cuda or cuda:N"),
        (["push", ".", "--to", "dicom://a:1/B", "--retries", "-1"], "--retries -1: must be at least 0"),
        (["push", ".", "--to", "dicom://a:1/B", "--retries=few"], "--retries few: must be"),
        ([*PREDICT, "--overlap", "abc"], "--overlap abc: must be a number between 0 and 0.9"),
        ([*PREDICT, "--overlap", "3"], "--overlap 3: must be between 0 and 0.9"),
        ([*PREDICT, "--max-seconds", "0"], "--max-seconds 0: must be more than 0"),
        ([*PREDICT, "--max-memory", "0"], "--max-memory 0: must be more than 0"),
        ([*PREDICT, "--max-memory", "abc"], "--max-memory abc: must be a number"),
        ([*PREDICT, "--device", "cuda:99"], "--device cuda:99: "),
        (["convert", ".", "-o", "/dev/null/x"], "--out /dev/null/x: nothing can be written there"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2_and_names_what_was_typed(arguments, message, capsys):
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Input should be" not in captured.err
    assert captured.err.endswith((".\n", "?\n", "]\n"))
    assert not Path("never-made").exists()
    assert not Path("x").exists()
    assert not captured.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bench", "architectures", ".", *BENCH], "matplotlib is not installed"),
        (["bench", "architectures", ".", *BENCH[2:], "-c", "nope"], "there is no configuration called 'nope'"),
        (["bench", "architectures", ".", *BENCH, "--only", "nope"], "--only nope: there is no such architecture"),
        (["evaluate", ".", ".", "-o", "never-made", "--parquet"], "Parquet needs pyarrow"),
        (["evaluate", ".", ".", "-o", "never-made", "--parquet", "-c", "nope"], "no configuration called 'nope'"),
    ],
)
def test_names_are_checked_before_optional_packages(arguments, message, monkeypatch, capsys):
    for module in ("medseg.models.family", "medseg.evaluation.tables"):
        monkeypatch.setattr(f"{module}.find_spec", lambda _name: None)
    assert run(arguments) == 2
    assert message in capsys.readouterr().err


def outputs() -> list[tuple[str, str]]:
    """Verb and parameter of every place that can be written to."""
    return [(verb, p.name) for verb, command in VERBS.items() for p in command.params if p.name in OUTPUTS]


@pytest.mark.parametrize("unwritable", ["file/out", "/proc/out", "/proc/out/below"])
@pytest.mark.parametrize(("verb", "name"), outputs())
def test_every_verb_with_an_output_refuses_one_that_cannot_be_written(verb, name, unwritable, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    out = str(tmp_path / unwritable)
    given = needed(VERBS[verb], tmp_path)
    if name == "destination":
        given[-1] = out
    elif name == "work":
        given[given.index("--work") + 1] = out
        given += ["--out", str(tmp_path / "out")]
    else:
        given += [OUTPUTS[name], out]
    assert run([*verb.split(), *given]) == 2
    assert f"{OUTPUTS[name]} {out}: nothing can be written there" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_refuses_an_unknown_option(verb, capsys):
    assert run([*verb.split(), "--nonsense"]) == 2
    assert "there is no option --nonsense" in capsys.readouterr().err


@pytest.mark.parametrize(
    "verb", [verb for verb, command in VERBS.items() if {"model", "model_name"} & {p.name for p in command.params}]
)
def test_a_model_that_does_not_exist_is_exit_code_2(verb, tmp_path, capsys):
    arguments = needed(VERBS[verb], tmp_path, model="no-such-model")
    if verb == "export":
        (tmp_path / "labels.nii.gz").touch()
    assert run([*verb.split(), *arguments]) == 2
    assert "no-such-model" in capsys.readouterr().err


def needed(command: object, folder: Path, model: str = "hippocampus") -> list[str]:
    """The arguments and options that a verb cannot do without, but --out."""
    given = []
    for param in command.params:
        is_model = param.name == "model"
        text = {"NAME": "a-name", "X,Y,Z": "1,2,3"}.get(param.metavar, "Modality=CT")
        value = model if is_model else str(folder) if param.type_descriptor.is_path else text
        if param.param_type_name == "argument":
            given += [str(folder) if param.nargs == -1 else value]
        elif (param.required or is_model) and param.name != "out":
            choices = param.type_descriptor.choices
            chosen = "nifti" if param.name == "formats" else choices[0] if choices else value
            given += [max(param.opts, key=len), chosen]
        elif param.name == "out" and model != "hippocampus":
            given += ["--out", str(folder / "out")]
    return given


def test_debug_counts_before_and_after_the_verb(monkeypatch, capsys):
    def explode() -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr("medseg.engine.catalog.catalog", explode)
    assert run(["list"]) == 1
    quiet = capsys.readouterr().err
    assert "bug in medseg: ZeroDivisionError: surprise" in quiet
    assert "Traceback" not in quiet
    for arguments in (["list", "--debug"], ["--debug", "list"]):
        assert run(arguments) == 1
        assert "Traceback" in capsys.readouterr().err
    for arguments in (
        ["models", "--debug", "show", "no-such-model"],
        ["models", "show", "no-such-model", "--debug"],
        ["inspect", "no-such-file", "--debug"],
        ["predict", "--overlap", "2", "--debug"],
    ):
        assert run(arguments) == 2
        assert "Traceback" in capsys.readouterr().err
    assert run(["--quiet", "list"]) == 1
    assert state.quiet
    assert not state.debug


@pytest.mark.parametrize("verb", ["predict", "convert", "inspect", "deidentify", "push", "evaluate", "audit", "plan"])
def test_nothing_to_do_is_exit_code_4(verb, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    arguments = [verb, *needed(VERBS[verb], tmp_path / "empty")]
    arguments += [] if verb == "push" else ["-o", str(tmp_path / "o")]
    arguments = [argument.replace("Modality=CT", "dicom://127.0.0.1:1/NONE") for argument in arguments]
    assert run(arguments) == 4
    assert "bug" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"), [(ZeroDivisionError("a"), 1), (Interrupted("SIGTERM"), 75), (KeyboardInterrupt(), 75)]
)
@pytest.mark.parametrize("verb", VERBS)
def test_a_bug_and_a_signal_end_every_verb_with_their_code(verb, error, code, tmp_path, monkeypatch):
    def explode(*_given: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(State, "start_log", explode)
    out = ["-o", str(tmp_path / "o")] if "out" in {param.name for param in VERBS[verb].params} else []
    assert run([*verb.split(), *needed(VERBS[verb], tmp_path), *out]) == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.parametrize("verb", VERBS)
def test_a_signal_stops_every_verb_from_its_start(verb, number, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(State, "start_log", lambda *_given, **_options: os.kill(os.getpid(), number))
    before = signal.getsignal(number)
    out = ["-o", str(tmp_path / "o")] if "out" in {param.name for param in VERBS[verb].params} else []
    assert run([*verb.split(), *needed(VERBS[verb], tmp_path), *out]) == 75
    assert f"stopped by {number.name}; run the same command again" in capsys.readouterr().err
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("verb", ["train", "audit"])
def test_a_signal_before_the_first_step(verb, tmp_path):
    write_msd(tmp_path / "balls", 40)
    command = [sys.executable, "-m", "medseg", verb, str(tmp_path / "balls"), "--out", str(tmp_path / "out")]
    command += ["--verbose", "--set", "tracking=false", "--device", "cpu"] if verb == "train" else ["--verbose"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        if verb == "train":
            first = process.stderr.readline()
        else:
            while not (tmp_path / "out").exists():
                time.sleep(0.01)
            first = ""
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
    assert process.returncode == 75, first + said
    assert said.endswith("medseg: stopped by SIGTERM; run the same command again to resume.\n")


def test_the_log_is_kept_with_the_output_and_no_folder_is_left_by_a_wrong_option(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert run(["inspect", str(tmp_path / "in"), "--out", str(tmp_path / "looked")]) == 4
    assert (tmp_path / "looked" / "medseg.log").is_file()
    given = [str(tmp_path / "in"), str(tmp_path / "in"), "--out", str(tmp_path / "measured")]
    assert run(["evaluate", *given, "--set", "worst=-1"]) == 2
    assert not (tmp_path / "measured").exists()


def test_every_verb_with_an_output_folder_leaves_its_log_there():
    """By the frame of every verb, or by itself; an output that is a model package holds nothing else."""
    by_themselves = {"demo", "predict", "run", "convert", "deidentify"}
    packages = {"models import", "models optimize"}
    others = {"mercure", "bundle"}  # mercure keeps what its modules print; each file of a bundle has its hash
    folders = {
        name: command.callback.__name__
        for name, command in VERBS.items()
        if any(param.name == "out" and param.metavar == "DIR" for param in command.params)
    }
    assert "agreement" in folders.values()
    logged = {name for name, function in folders.items() if function in LOGGED}
    assert set(folders) - logged == by_themselves | packages | others


def test_every_verb_is_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    first = {verb.split()[0] for verb in VERBS}
    assert [verb for verb in first if f"`{verb}" not in page] == []


def test_an_output_that_the_system_will_not_write_is_exit_code_2(monkeypatch, capsys):
    def full() -> None:
        raise OSError(28, "No space left on device", "results/a.nii.gz")

    monkeypatch.setattr("medseg.engine.catalog.catalog", full)
    assert run(["list"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("medseg: results/a.nii.gz: nothing can be written there (No space left on device). ")
    assert error.endswith("full. [E-usage]\n")


def test_input_model_and_output_have_short_names(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run(["convert", "-i", str(tmp_path / "empty"), "-o", str(tmp_path / "out")]) == 4
    assert run(["models", "show", "-m", "hippocampus", "--json"]) == 0
    assert '"hippocampus"' in capsys.readouterr().out
    assert run(["copy", "predict", "-o", str(tmp_path / "mine.yaml"), "--json"]) == 0
    assert (tmp_path / "mine.yaml").is_file()


def test_the_choices_that_help_shows_are_those_there_are():
    assert [name.partition("@")[0] for name in SHOWN_METRICS] == list(METRICS)
    assert list(LABEL_FORMATS) == list(WRITERS)


def test_importing_medseg_imports_no_torch():
    code = "import medseg, sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="the shell of POSIX closes them")
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_a_verb_works_without_standard_streams(tmp_path: Path, closed: str) -> None:
    scan = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(np.arange(512, dtype=np.int16).reshape(8, 8, 8), np.eye(4)), scan)
    command = f'"{sys.executable}" -m medseg convert "{scan}" --out "{tmp_path}/out" {closed}'
    assert subprocess.run(["sh", "-c", command], check=False, capture_output=True).returncode == 0
    assert (tmp_path / "out" / "a" / "image.nii.gz").is_file()


def test_a_terminal_that_has_few_letters_gets_the_others_written_as_what_they_are(tmp_path):
    (tmp_path / "l\u00e9sion.nii.gz").write_bytes(b"no scan")
    done = subprocess.run(
        [sys.executable, "-m", "medseg", "inspect", str(tmp_path)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (4, b"no scan was found\n")
    assert rb"l\xe9sion.nii.gz" in done.stdout


def test_the_page_of_a_review_has_its_help_under_the_folder(capsys):
    assert run(["review", "results-of-mine", "--help"]) == 0
    assert "Usage: medseg review DIR [OPTIONS]\n" in capsys.readouterr().out
    assert run(["review", "results", "folder", "--help"]) == 0  # its name among the verbs
    assert "Usage: medseg review DIR [OPTIONS]\n" in capsys.readouterr().out
