"""The manual page has all that the help has, as text that no word of it can turn into something else."""

import re

from slipway.cli import man
from slipway.cli.reference import every_command
from slipway.errors import exit_codes

PAGE = man.render()


def test_every_command_and_option_is_there():
    for words, command in every_command():
        head = f'.SS "slipway {" ".join(words)}"\n'
        section = PAGE[PAGE.index(head) + len(head) :].partition("\n.S")[0]
        for option in (each for parameter in command.params for each in parameter.opts if each.startswith("--")):
            assert f"\\fB{option.replace('-', chr(92) + '-')}\\fR" in section, (words, option)
        assert re.search(r"^\.EX\n    .*slipway", section, re.M), f"{words} has no example"


def test_every_exit_code_is_there():
    codes = PAGE.partition(".SH EXIT STATUS\n")[2]
    assert [int(code) for code in re.findall(r"^\.TP\n(\d+)$", codes, re.M)] == list(exit_codes())


def test_nothing_but_the_macros_of_manual_pages_begins_a_line():
    found = {line.split()[0] for line in PAGE.splitlines() if line.startswith((".", "'"))}
    assert found == {".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".I", ".EX", ".EE"}
    assert man._text(".so /etc/passwd") == "\\&.so /etc/passwd"
    assert man._text("a\\b --c") == "a\\eb \\-\\-c"
