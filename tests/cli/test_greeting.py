import re

from medseg.cli.app import run


def test_medseg_alone_greets_with_commands_that_exist(capsys):
    assert run([]) == 0
    greeting = capsys.readouterr().out
    verbs = re.findall(r"^  medseg (\w+)", greeting, re.MULTILINE)
    assert len(verbs) == 3
    for verb in verbs:
        assert run([verb, "--help"]) == 0
