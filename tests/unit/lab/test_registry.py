"""The lab's registry as Helm sees it; the registry itself runs on loopback."""

import hashlib
import json
import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from slipway.lab import charts, registry
from slipway.lab.settings import Lab


@pytest.fixture
def folder(tmp_path):
    for version in ("1.0.0", "1.1.0"):
        about = f"apiVersion: v2\nname: demo\nversion: {version}\n".encode()
        files = {"Chart.yaml": about, "charts/sub/Chart.yaml": b"name: sub\n", "values.yaml": b"a: 1\n"}
        (tmp_path / f"demo-{version}.tgz").write_bytes(charts.packed("demo", files))
    (tmp_path / "demo-more-2.0.0.tgz").write_bytes(charts.packed("demo-more", {"Chart.yaml": b"name: demo-more\n"}))
    return tmp_path


@pytest.fixture
def place(folder):
    with registry.serve("127.0.0.1", 0, folder) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(60)


def get(url: str) -> bytes:
    with urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
        assert answer.headers["Docker-Content-Digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    return content


def test_a_chart_is_pulled_by_its_version_and_by_its_digest(place, folder):
    manifest = get(f"{place}/v2/charts/demo/manifests/1.1.0")
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    assert get(f"{place}/v2/charts/demo/manifests/{digest}") == manifest
    said = json.loads(manifest)
    (layer,) = said["layers"]
    assert get(f"{place}/v2/charts/demo/blobs/{layer['digest']}") == (folder / "demo-1.1.0.tgz").read_bytes()
    about = json.loads(get(f"{place}/v2/charts/demo/blobs/{said['config']['digest']}"))
    assert about == {"apiVersion": "v2", "name": "demo", "version": "1.1.0"}


def test_other_files_come_as_fluxs_own_artifact(place, folder):
    (folder / "kinds-v1.6.1.tgz").write_bytes(charts.packed(".", {"kind.yaml": b"kind: X\n"}))
    said = json.loads(get(f"{place}/v2/charts/kinds/manifests/v1.6.1"))
    (layer,) = said["layers"]
    assert layer["mediaType"] == "application/vnd.cncf.flux.content.v1.tar+gzip"
    assert said["config"]["mediaType"] == "application/vnd.cncf.flux.config.v1+json"
    assert get(f"{place}/v2/charts/kinds/blobs/{layer['digest']}") == (folder / "kinds-v1.6.1.tgz").read_bytes()
    assert json.loads(get(f"{place}/v2/charts/kinds/blobs/{said['config']['digest']}")) == {}


def test_a_chart_that_is_packaged_anew_is_there_at_once(place, folder):
    before = get(f"{place}/v2/charts/demo/manifests/1.0.0")
    (folder / "demo-1.0.0.tgz").write_bytes(charts.packed("demo", {"Chart.yaml": b"name: demo\n", "new": b""}))
    assert get(f"{place}/v2/charts/demo/manifests/1.0.0") != before


@pytest.mark.parametrize(
    "path",
    [
        "charts/demo/manifests/9.9.9", "charts/other/manifests/1.0.0", f"charts/demo/blobs/sha256:{'0' * 64}",
        "charts/../demo/manifests/1.0.0", "elsewhere/demo/manifests/1.0.0",
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(place, path):
    with pytest.raises(HTTPError) as error:
        urlopen(f"{place}/v2/{path}", timeout=10)
    assert error.value.code == 404
    error.value.close()


def test_a_question_without_a_body_has_the_length(place):
    with urlopen(Request(f"{place}/v2/charts/demo/manifests/1.0.0", method="HEAD"), timeout=10) as answer:
        assert int(answer.headers["Content-Length"]) > 0
        assert answer.read() == b""


def test_each_lab_has_a_registry_of_its_own():
    assert registry.address(Lab(0)) == "oci+http://10.77.0.1:5000/charts"
    assert registry.address(Lab(3)) == "oci+http://10.80.0.1:5000/charts"
