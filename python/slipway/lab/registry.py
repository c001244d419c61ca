"""The lab's registry: gives the lab's charts and CRDs to Helm and to Flux, over plain HTTP, and takes nothing.

It speaks the part of the OCI distribution specification that pulling needs, and makes manifests from the archives that
lie in a folder (NAME-VERSION.tgz), each time it is asked: a chart that was packaged anew is there at once.
`python -m slipway.lab.registry ADDRESS PORT FOLDER` is the server; `up` starts one for a lab.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import yaml

from slipway.inventory.address import with_port
from slipway.lab import cgroups, nspawn
from slipway.lab.settings import Lab
from slipway.tools.run import run
from slipway.wait import wait_until

PORT = 5000
REPOSITORY = "charts"
"""What stands before a chart's name in its reference."""
START_TIMEOUT = 30.0
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.cncf.helm.config.v1+json"
_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_FILES_CONFIG = "application/vnd.cncf.flux.config.v1+json"
_FILES = "application/vnd.cncf.flux.content.v1.tar+gzip"
_PATH = re.compile(rf"/v2/{REPOSITORY}/([a-z0-9-]+)/(manifests|blobs)/([A-Za-z0-9._:+-]+)")


def address(lab: Lab) -> str:
    """How an inventory names it as a mirror of charts."""
    return f"oci+http://{with_port(str(lab.host_address), PORT)}/{REPOSITORY}"


def up(lab: Lab, folder: Path) -> None:
    """Have the lab's registry running, in the lab's control group; it ends with the lab. Raises WaitedTooLong."""
    pid_file = lab.state / "registry.pid"
    if nspawn.kept(pid_file) is None:
        files = map(str, cgroups.create(f"{lab.name}/registry"))
        join, keep = (str(Path(__file__).parent / name) for name in ("join.sh", "keep.sh"))
        keeper = ["sh", keep, str(pid_file), str(lab.state / "registry.log")]
        server = [sys.executable, "-m", __name__, str(lab.host_address), str(PORT), str(folder)]
        run(["setsid", "--fork", "sh", join, *files, "--", *keeper, *server], timeout=START_TIMEOUT)
    wait_until(
        lambda: _answers(lab), deadline=START_TIMEOUT, describe=f"the registry at {lab.host_address}", interval=0.1
    )


def _answers(lab: Lab) -> tuple[bool | None, str]:
    try:
        with urlopen(f"http://{with_port(str(lab.host_address), PORT)}/v2/", timeout=5):
            return True, ""
    except (URLError, OSError) as error:
        return None, str(error)


@dataclass(frozen=True)
class Blob:
    kind: str
    content: bytes

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    def described(self) -> dict[str, str | int]:
        return {"mediaType": self.kind, "digest": self.digest, "size": len(self.content)}


def artifact(archive: Path) -> tuple[Blob, Blob, Blob]:
    """Manifest, configuration and content of an archive: of a chart as `helm push` makes them, of other files as
    `flux push artifact` does."""
    about = _about(archive)
    content = Blob(_FILES if about is None else _CHART, archive.read_bytes())
    kind = _FILES_CONFIG if about is None else _CONFIG
    config = Blob(kind, json.dumps(about or {}, sort_keys=True).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.described(),
        "layers": [content.described()],
    }
    return Blob(MANIFEST, json.dumps(manifest).encode()), config, content


def _about(archive: Path) -> dict[str, object] | None:
    """The Chart.yaml of a chart; None for an archive of other files."""
    with tarfile.open(archive) as opened:
        names = (name for name in opened.getnames() if name.count("/") == 1 and name.endswith("/Chart.yaml"))
        name = next(names, None)
        stream = opened.extractfile(name) if name else None
        found: dict[str, object] | None = yaml.safe_load(stream) if stream else None
    return found


class Registry(BaseHTTPRequestHandler):
    """One request. `folder` has the archives."""

    protocol_version = "HTTP/1.1"
    folder: Path

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        blob = self._found(self.path)
        content = blob.content if blob else b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'
        self.send_response(200 if blob else 404)
        self.send_header("Content-Type", blob.kind if blob else "application/json")
        self.send_header("Content-Length", str(len(content)))
        if blob:
            self.send_header("Docker-Content-Digest", blob.digest)
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def _found(self, path: str) -> Blob | None:
        if path.rstrip("/") == "/v2":
            return Blob("application/json", b"{}")
        asked = _PATH.fullmatch(path)
        if asked is None:
            return None
        name, what, reference = asked.groups()
        if what == "manifests" and ":" not in reference:
            archive = self.folder / f"{name}-{reference}.tgz"
            return artifact(archive)[0] if archive.exists() else None
        return next((blob for blob in self._blobs(name) if blob.digest == reference), None)

    def _blobs(self, name: str) -> Iterator[Blob]:
        for archive in self.folder.glob(f"{name}-*.tgz"):
            if re.match(r"-v?[0-9]", archive.name.removeprefix(name)):
                yield from artifact(archive)


class ServerOfIpv6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def serve(host: str, port: int, folder: Path) -> ThreadingHTTPServer:
    server = ServerOfIpv6 if ":" in host else ThreadingHTTPServer
    return server((host, port), type("Registry", (Registry,), {"folder": folder}))


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])).serve_forever()
