"""`slipway stages lint` and `graph` as a user types them."""

import json
from pathlib import Path

import pytest
import yaml
from tests.unit.stages.law.conftest import DATA

from slipway.cli.main import build, guarded

CLAIM = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: x, namespace: openbao}\nspec: "
CLAIM += "{storageClassName: fast}\n"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for path, content in yaml.safe_load((DATA / "clean.yaml").read_text()).items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> int:
    return guarded(lambda: build(["stages"])(["stages", *words], prog_name="slipway"), debug=False)


def break_it(repository: Path) -> None:
    place = repository / "gitops/cluster-base-apps/extra/a.yaml"
    place.parent.mkdir()
    place.write_text(CLAIM)


def test_a_kept_law_is_said_in_one_line(repository, capsys):
    assert run("lint") == 0
    out, err = capsys.readouterr()
    assert out.startswith("the stage law is kept: ")
    assert "bootstrap → cluster-base-apps → cluster-apps" in out
    assert err == ""


def test_a_breach_has_its_place_the_other_party_the_fix_and_exit_code_10(repository, capsys):
    break_it(repository)
    assert run("lint") == 10
    out, err = capsys.readouterr()
    assert "gitops/cluster-base-apps/extra/a.yaml:4:26: class:" in out
    assert "StorageClass fast, of the later stage cluster-apps (gitops/cluster-apps/monitoring/app.yaml:" in out
    assert "class: move it" in err
    assert "next:" in err


def test_json_is_one_document_also_when_the_law_is_broken(repository, capsys):
    break_it(repository)
    assert run("lint", "--json") == 10
    found = json.loads(capsys.readouterr().out)
    assert found["kept"] is False
    assert found["breaches"][0]["leansOn"]["stage"] == "cluster-apps"


def test_sarif_is_written_beside(repository, capsys):
    break_it(repository)
    assert run("lint", "--sarif", "law.sarif") == 10
    assert json.loads((repository / "law.sarif").read_text())["version"] == "2.1.0"


def test_another_layout_by_options(repository):
    assert run("lint", "--stage", "late=gitops/cluster-apps", "--stage", "early=gitops/cluster-base-apps") == 10


@pytest.mark.parametrize(("words", "begins"), [((), "<svg"), (("--format", "mermaid"), "flowchart")])
def test_the_picture_is_drawn(repository, capsys, words, begins):
    assert run("graph", *words) == 0
    assert capsys.readouterr().out.startswith(begins)
    assert run("graph", *words, "-o", "picture") == 0
    assert (repository / "picture").read_text().startswith(begins)


def test_an_empty_folder_tells_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("lint") == 2
    assert "slipway generate" in capsys.readouterr().err
