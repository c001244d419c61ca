"""helm: what it is called with, and what its answers mean. A fake program stands in for it."""

import json
import time
from pathlib import Path

import pytest
from tests.unit.cluster.credentials import KUBECONFIG

from slipway.errors import PrerequisiteMissing
from slipway.result import CommandFailed, OddAnswer
from slipway.tools import helm
from slipway.tools.helm import Release

UPSTREAM = "oci://charts.example.org/charts"

FAKE_HELM = """\
#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/argv"
cat "$KUBECONFIG" > "$here/kubeconfig"
cat > "$here/stdin"
case "$1 $2" in
  "get metadata") cat "$here/metadata" 2> /dev/null || { echo "Error: release: not found" >&2; exit 1; } ;;
  "get values") cat "$here/values" ;;
  "upgrade "*) [ ! -e "$here/broken" ] || { echo "Error: broken" >&2; exit 1; } ;;
esac
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the fake helm; it writes down argv, kubeconfig and standard input beside itself."""
    program = tmp_path / "helm"
    program.write_text(FAKE_HELM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_a_release_is_read_with_its_values(fake):
    (fake / "metadata").write_text('{"chart": "web", "version": "1.2.3", "revision": 4, "status": "deployed"}')
    (fake / "values").write_text('{"a": 1}')
    assert helm.get(KUBECONFIG, "front", "web") == Release("web", "web", "1.2.3", 4, "deployed", {"a": 1})


def test_a_release_without_values_has_none(fake):
    (fake / "metadata").write_text('{"chart": "web", "version": "1", "revision": "1", "status": "pending-install"}')
    (fake / "values").write_text("null")
    found = helm.get(KUBECONFIG, "front", "web")
    assert found is not None
    assert found.values == {}
    assert found.interrupted


@pytest.mark.parametrize(
    ("about", "values"), [("no json", "{}"), ("[]", "{}"), ('{"chart": "web"}', "{}"), (None, "password: x")]
)
def test_an_answer_that_is_no_release_is_told_and_not_quoted(fake, about, values):
    right = '{"chart": "web", "version": "1.2.3", "revision": 4, "status": "deployed"}'
    (fake / "metadata").write_text(right if about is None else about)
    (fake / "values").write_text(values)
    with pytest.raises(OddAnswer, match=r"helm: get web in front: the answer makes no sense \([A-Za-z]+\)$"):
        helm.get(KUBECONFIG, "front", "web")


def test_no_release_is_none(fake):
    assert helm.get(KUBECONFIG, "front", "web") is None


def test_values_go_in_by_standard_input_and_the_kubeconfig_by_a_file_of_memory(fake):
    helm.upgrade(KUBECONFIG, "front", "web", "oci://c/web", "1.2.3", {"password": "hidden"})
    argv = (fake / "argv").read_text()
    assert argv == "upgrade web oci://c/web --install --namespace=front --version=1.2.3 --values=-\n"
    assert json.loads((fake / "stdin").read_text()) == {"password": "hidden"}
    assert (fake / "kubeconfig").read_bytes() == KUBECONFIG.reveal()


def test_other_failures_are_failures(fake):
    (fake / "broken").touch()
    with pytest.raises(CommandFailed, match="broken"):
        helm.upgrade(KUBECONFIG, "front", "web", "oci://c/web", "1", {})


@pytest.mark.parametrize(("revision", "verb"), [(1, "uninstall"), (3, "rollback")])
def test_what_an_interrupted_helm_left_is_taken_back(fake, revision, verb):
    helm.put_right(KUBECONFIG, "front", Release("web", "web", "1", revision, "pending-upgrade", {}))
    assert (fake / "argv").read_text() == f"{verb} web --namespace=front\n"


def test_what_somebody_s_helm_may_still_be_doing_is_not_undone(fake):
    release = Release("web", "web", "1", 3, "pending-upgrade", {}, time.time() - 60)
    with pytest.raises(helm.AtWork, match=r"began revision 3 at 20\S+, and counts as dead only after 600 s") as caught:
        helm.put_right(KUBECONFIG, "front", release)
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("helm --namespace front rollback web")
    assert not (fake / "argv").exists()


def test_when_a_revision_was_begun_is_read(fake):
    told = {"chart": "web", "version": "1", "revision": 1, "status": "deployed"}
    (fake / "metadata").write_text(json.dumps({**told, "deployedAt": "1970-01-01T00:01:00.123456789Z"}))
    (fake / "values").write_text("null")
    found = helm.get(KUBECONFIG, "front", "web")
    assert found is not None
    assert found.since == pytest.approx(60.123, abs=0.001)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("1.2.3", "v1.2.3+b", True), ("1.2.3+a", "1.2.3", True), ("1.2.3", "1.2.4", False), ("1.2.3-a", "1.2.3", False)],
)
def test_versions_are_compared_without_build_metadata(one, other, same):
    assert helm.same_version(one, other) is same


def test_a_chart_is_taken_from_its_makers_unless_a_mirror_stands_in():
    assert helm.located({}, UPSTREAM, "web", "1") == f"{UPSTREAM}/web"
    assert helm.located({UPSTREAM: "oci://mirror/x/"}, UPSTREAM, "web", "1") == "oci://mirror/x/web"


def test_a_chart_of_a_registry_is_the_one_of_its_digest(tmp_path):
    pinned = "sha256:" + "ab" * 32
    assert helm.located({}, UPSTREAM, "web", "1", pinned) == f"{UPSTREAM}/web@{pinned}"
    (tmp_path / "web-1.tgz").touch()
    assert helm.located({UPSTREAM: str(tmp_path)}, UPSTREAM, "web", "1", pinned) == str(tmp_path / "web-1.tgz")


def test_a_mirror_may_be_a_folder_with_archives(tmp_path):
    (tmp_path / "web-1.tgz").touch()
    assert helm.located({UPSTREAM: str(tmp_path)}, UPSTREAM, "web", "1") == str(tmp_path / "web-1.tgz")
    with pytest.raises(PrerequisiteMissing, match=r"web-2\.tgz: missing; mirrors\.charts") as caught:
        helm.located({UPSTREAM: str(tmp_path)}, UPSTREAM, "web", "2")
    assert caught.value.hint == f"helm pull {UPSTREAM}/web --version 2 --destination {tmp_path}"


def test_a_registry_without_tls_is_asked_without_it(monkeypatch):
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(helm, "helm", lambda _k, *words, **_: asked.append(words))
    place = helm.located({UPSTREAM: "oci+http://10.0.0.1:5000/charts"}, UPSTREAM, "a", "1")
    helm.upgrade(KUBECONFIG, "there", "a", place, "1", {})
    helm.upgrade(KUBECONFIG, "there", "a", "oci://example.org/charts/a", "1", {})
    assert asked[0][:3] == ("upgrade", "a", "oci://10.0.0.1:5000/charts/a")
    assert "--plain-http" in asked[0]
    assert "--plain-http" not in asked[1]
