"""The commands of `slipway lab demo`, as it would type them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from slipway.cli import demo, typed
from slipway.cli.lab import app
from slipway.errors import UsageError
from slipway.lab import cold_start


@pytest.fixture
def lines_typed(monkeypatch):
    lines: list[str] = []

    def call(argv, **_):
        lines.append(" ".join(argv[3:] if "slipway.cli" in argv else argv))
        return 0

    monkeypatch.setattr(typed, "call", call)
    monkeypatch.setattr(cold_start, "ensure", lambda _events: Path("/programs"))
    return lines


def test_what_the_lab_shall_have_goes_to_lab_up_alone(lines_typed):
    options = ["--controllers", "3", "--workers", "2", "--k0s", "1.36.3+k0s.2", "--until", "cluster-base-apps"]
    ran = CliRunner().invoke(app, ["demo", "here", *options])
    assert ran.exit_code == 0, ran.output
    assert lines_typed[:3] == [f"lab up {' '.join(options)}", "lab init here", "check"]
    assert not [line for line in lines_typed[1:] if "--k0s" in line or "--until" in line]


def test_without_options_it_types_what_it_always_did(lines_typed):
    CliRunner().invoke(app, ["demo"])
    assert lines_typed[:2] == ["lab up", "lab init demo"]
    assert lines_typed[-1] == "status"
    assert lines_typed[lines_typed.index("handoff") - 2] == "git add --all"
    assert "git -c user.name=demo" in lines_typed[lines_typed.index("handoff") - 1], "what Flux is to read is committed"
    assert demo.steps(Path("demo"), ())[0].words == ("lab", "up")


def test_with_rebuild_every_machine_goes_and_comes_back_with_what_the_sample_had_saved(lines_typed):
    ran = CliRunner().invoke(app, ["demo", "here", "--until", "cluster-apps", "--rebuild"])
    assert ran.exit_code == 0, ran.output
    lost = lines_typed.index("lab down --keep-s3")
    assert lines_typed[lost + 1 : lost + 3] == ["lab up --until cluster-apps", "rebuild"]
    saved = next(place for place, line in enumerate(lines_typed) if "replicationsource/sample-data" in line)
    assert lines_typed.index("status") < saved < lost, "what was never saved cannot come back"
    assert lines_typed[-1] == lines_typed[lost - 1]
    assert lines_typed[-1].endswith("cat /data/since"), "the same question before and after"


def test_where_no_stage_saves_anything_there_is_no_rebuild(lines_typed):
    ran = CliRunner().invoke(app, ["demo", "here", "--rebuild"])
    assert isinstance(ran.exception, UsageError)
    assert lines_typed == []


@pytest.mark.parametrize(("code", "goes_on"), [(4, True), (0, True), (5, False)])
def test_changes_that_a_plan_finds_do_not_end_the_demo(monkeypatch, code, goes_on):
    lines: list[str] = []

    def call(argv, **_):
        lines.append(argv[-1])
        return code if argv[-1] == "plan" else 0

    monkeypatch.setattr(typed, "call", call)
    CliRunner().invoke(app, ["demo", "here"])
    assert (lines[-1] == "status") is goes_on
