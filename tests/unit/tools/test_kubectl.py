"""kubectl: what it is called with, and what its answers mean. A fake program stands in for it."""

from pathlib import Path

import pytest
from tests.unit.cluster.credentials import KUBECONFIG

from slipway.result import CommandFailed, OddAnswer
from slipway.secret import Secret
from slipway.tools import kubectl

FAKE_KUBECTL = """\
#!/bin/sh
here=$(dirname "$0")
cat "$2" > "$here/kubeconfig"
shift 3
echo "$*" >> "$here/argv"
cat > "$here/stdin"
cat "$here/stdout" 2> /dev/null
cat "$here/stderr" >&2 2> /dev/null && exit 1
exit 0
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the fake kubectl; stdout and stderr beside it are what it says, the latter with exit code 1."""
    program = tmp_path / "kubectl"
    program.write_text(FAKE_KUBECTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_an_object_is_read_as_json(fake):
    (fake / "stdout").write_text('{"kind": "Pod"}')
    assert kubectl.get(KUBECONFIG, "pods", "web", namespace="front") == {"kind": "Pod"}
    assert (fake / "argv").read_text() == "get pods web --ignore-not-found --output=json --namespace=front\n"
    assert (fake / "kubeconfig").read_bytes() == KUBECONFIG.reveal()


@pytest.mark.parametrize("said", ["<html>secret</html>", '["secret"]', "[" * 100_000, '"secret"'])
def test_an_answer_that_is_no_object_is_told_and_not_quoted(fake, said):
    """A proxy in between says anything; what was asked for may have been a Secret."""
    (fake / "stdout").write_text(said)
    for call in (lambda: kubectl.get(KUBECONFIG, "secrets", "web"), lambda: kubectl.existing(KUBECONFIG, b"{}")):
        with pytest.raises(OddAnswer, match=r"the API server: kubectl get.*: the answer makes no sense") as caught:
            call()
        assert "secret<" not in str(caught.value) and '"secret"' not in str(caught.value)
        assert caught.value.__cause__ is None


def test_what_is_not_there_is_empty(fake):
    assert kubectl.get(KUBECONFIG, "pods", "web") == {}
    (fake / "stderr").write_text('error: the server doesn\'t have a resource type "widgets"\n')
    assert kubectl.get(KUBECONFIG, "widgets", "web") == {}


def test_an_api_server_that_refuses_is_an_error(fake):
    (fake / "stderr").write_text("The connection to the server was refused\n")
    for call in (kubectl.get, kubectl.versions):
        with pytest.raises(CommandFailed, match="refused"):
            call(KUBECONFIG, b"pods")  # type: ignore[arg-type]


def test_a_change_is_merged_into_the_object(fake):
    kubectl.patch(KUBECONFIG, "node", "w1", {"metadata": {"labels": {"disk": None}, "resourceVersion": "7"}})
    change = '{"metadata": {"labels": {"disk": null}, "resourceVersion": "7"}}'
    assert (fake / "argv").read_text() == f"patch node w1 --type=merge --patch={change} --output=name\n"


def test_manifests_go_in_by_standard_input(fake):
    (fake / "stdout").write_text("Secret front web 7\n")
    assert kubectl.apply(KUBECONFIG, Secret("kind: Secret # hidden")) == ["Secret front web 7"]
    argv = (fake / "argv").read_text()
    assert "--server-side --field-manager=slipway --filename=-" in argv
    assert "hidden" not in argv
    assert (fake / "stdin").read_text() == "kind: Secret # hidden"


def test_versions_of_a_kind_that_does_not_exist_yet_are_none(fake):
    (fake / "stderr").write_text('error: no matches for kind "FluxInstance" in version "fluxcd.controlplane.io/v1"\n')
    assert kubectl.versions(KUBECONFIG, b"kind: FluxInstance") == []
