"""Apps as their files say; what is wrong with a file, in words."""

from pathlib import Path

import pytest
import yaml

from slipway.errors import InvalidInput
from slipway.secret import Secret
from slipway.stages.model import LocalVolume, Stage, as_list, read_app, secrets_as_list

SOURCE = {
    "kind": "OCIRepository",
    "spec": {"url": "oci://charts.example.org/team/charts/web", "ref": {"tag": "1.2.3", "digest": "sha256:ab"}},
}
RELEASE = {
    "kind": "HelmRelease",
    "metadata": {"name": "web", "namespace": "front"},
    "spec": {"releaseName": "web-1", "values": {"a": 1}},
}
VOLUME = {
    "kind": "PersistentVolume",
    "spec": {
        "local": {"path": "/var/lib/x"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"values": ["w1"]}]}]}},
    },
}


def write(root: Path, **files: object) -> Path:
    folder = root / "gitops" / "bootstrap" / "web" / "app"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (folder / f"{name}.yaml").write_text(text)
    return root


def test_chart_version_and_values_are_read_from_the_files_of_gitops(tmp_path):
    root = write(tmp_path, ocirepository=SOURCE, helmrelease=RELEASE)
    release = read_app(root, Stage.BOOTSTRAP, "web").release
    assert release is not None
    assert (release.repository, release.chart, release.version, release.digest) == (
        "oci://charts.example.org/team/charts",
        "web",
        "1.2.3",
        "sha256:ab",
    )
    assert (release.name, release.namespace, release.values) == ("web-1", "front", {"a": 1})


def test_what_flux_alone_can_read_is_not_among_the_objects(tmp_path):
    policy = {"kind": "CiliumNetworkPolicy", "metadata": {}}
    kustomization = {"kind": "Kustomization", "resources": []}
    root = write(
        tmp_path, namespace={"kind": "Namespace"}, ocirepository=SOURCE, helmrelease=RELEASE, other=VOLUME,
        networkpolicy=policy, kustomization=kustomization,
    )  # fmt: skip
    app = read_app(root, Stage.BOOTSTRAP, "web")
    assert [each["kind"] for each in app.namespace] == ["Namespace"]
    assert [each["kind"] for each in app.objects] == ["PersistentVolume"]


def test_an_app_needs_neither_chart_nor_namespace(tmp_path):
    app = read_app(write(tmp_path, one={"kind": "A"}, two={"kind": "B"}), Stage.BOOTSTRAP, "web")
    assert (app.namespace, app.release) == ((), None)
    assert [each["kind"] for each in app.objects] == ["A", "B"]


def test_local_volumes_name_path_and_machine(tmp_path):
    app = read_app(write(tmp_path, volume=VOLUME), Stage.BOOTSTRAP, "web")
    assert app.local_volumes() == (LocalVolume("/var/lib/x", "w1"),)


@pytest.mark.parametrize("spec", [{}, {"local": {"path": "/x"}}, {**VOLUME["spec"], "local": None}])  # type: ignore[dict-item]
def test_a_volume_that_names_no_machine_is_refused(tmp_path, spec):
    app = read_app(write(tmp_path, volume={"kind": "PersistentVolume", "spec": spec}), Stage.BOOTSTRAP, "web")
    with pytest.raises(InvalidInput, match=r"not a folder .* of one machine"):
        app.local_volumes()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"ocirepository": "spec: ["}, "not YAML"),
        ({"ocirepository": "- a"}, "not a Kubernetes manifest"),
        ({"ocirepository": {"kind": "OCIRepository", "spec": {"url": "oci://a/b"}}}, r"spec\.ref\.tag is missing"),
        ({"ocirepository": {"kind": "OCIRepository", "spec": 1}}, r"spec\.url is missing"),
        ({"helmrelease": {"kind": "HelmRelease", "spec": {}}}, r"spec\.releaseName is missing"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, files, message):
    root = write(tmp_path, **{"ocirepository": SOURCE, "helmrelease": RELEASE, **files})
    with pytest.raises(InvalidInput, match=message) as caught:
        read_app(root, Stage.BOOTSTRAP, "web")
    assert str(caught.value).startswith(str(root / "gitops" / "bootstrap" / "web" / "app" / next(iter(files))))
    assert caught.value.hint == "slipway generate"


def test_two_charts_in_one_app_are_refused(tmp_path):
    root = write(tmp_path, ocirepository=f"{yaml.safe_dump(SOURCE)}---\n{yaml.safe_dump(SOURCE)}", helmrelease=RELEASE)
    with pytest.raises(InvalidInput, match="2 of the kind OCIRepository, not one"):
        read_app(root, Stage.BOOTSTRAP, "web")


def test_encrypted_files_are_told_apart_and_never_read(tmp_path):
    root = write(tmp_path, other=VOLUME, **{"admin.sops": "not: [yaml"})
    app = read_app(root, Stage.BOOTSTRAP, "web")
    assert [path.name for path in app.encrypted] == ["admin.sops.yaml"]
    assert [each["kind"] for each in app.objects] == ["PersistentVolume"]


def test_an_overlay_is_built_in(tmp_path):
    """What the hand-off installs is what Flux will, overlay included; ciphertext in it is left to sops."""
    root = write(tmp_path, ocirepository=SOURCE, helmrelease=RELEASE, **{"a.sops": "kind: Secret"})
    overlay = root / "overlays" / "bootstrap" / "web"
    overlay.mkdir(parents=True)
    (overlay / "kustomization.yaml").write_text("kind: Component\n")
    changed = {**RELEASE, "spec": {"releaseName": "web-1", "values": {"a": 2}}}
    built = yaml.safe_dump_all([SOURCE, changed, {"kind": "Secret", "metadata": {}, "sops": {}}])
    asked = []

    def build(folder: Path) -> str:
        asked.append(folder)
        return built

    app = read_app(root, Stage.BOOTSTRAP, "web", build)
    assert asked == [root / "gitops" / "bootstrap" / "web" / "app"]
    assert app.release is not None
    assert app.release.values == {"a": 2}
    assert (app.objects, [path.name for path in app.encrypted]) == ((), ["a.sops.yaml"])


def test_a_missing_app_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(InvalidInput, match="gitops/bootstrap/web/app: missing") as caught:
        read_app(tmp_path, Stage.BOOTSTRAP, "web")
    assert caught.value.hint == "slipway generate"


def test_a_release_without_its_source_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="a HelmRelease and no OCIRepository"):
        read_app(write(tmp_path, helmrelease=RELEASE), Stage.BOOTSTRAP, "web")


def test_manifests_become_one_list_in_their_order():
    document = yaml.safe_load(as_list(({"kind": "A"}, {"kind": "B"})))
    assert document["kind"] == "List"
    assert [item["kind"] for item in document["items"]] == ["A", "B"]


def test_secret_manifests_stay_secret_as_a_list():
    listed = secrets_as_list((Secret("kind: Secret\ndata: {a: Zm9v}\n"),))
    assert "Zm9v" not in repr(listed)
    assert yaml.safe_load(listed.reveal())["items"] == [{"kind": "Secret", "data": {"a": "Zm9v"}}]


def test_stages_stand_in_their_order():
    assert list(Stage) == ["bootstrap", "cluster-base-apps", "cluster-apps"]
