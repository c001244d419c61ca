"""What a cluster would have saved: OpenBao as the stage starts it, an S3 account, and restic as VolSync calls it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from slipway.generate.gitops.secrets import BY_NAME
from slipway.lab import images
from slipway.secret import Secret
from slipway.secrets import manifest, store
from slipway.tools import restic
from slipway.tools.openbao import HERE, OpenBao, Seal, running
from slipway.tools.restic import Repository
from slipway.tools.run import run, serving
from slipway.wait import wait_until

STARTS_WITHIN = 60.0
IDENTITIES = """{"identities": [{"name": "backup", "actions": ["Admin", "Read", "Write", "List"],
  "credentials": [{"accessKey": "%s", "secretKey": "%s"}]}]}"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind((HERE, 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def s3(folder: Path, account: Mapping[str, Secret]) -> Iterator[str]:
    """SeaweedFS with one account; the address of its S3 interface."""
    access, secret = (account[name].reveal().decode() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    (folder / "s3.json").write_text(IDENTITIES % (access, secret))
    (folder / "data").mkdir()
    port, *others = free_ports(9)
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    ports = [f"-{name}={number}" for name, number in zip(names, others, strict=False)]
    size = ("-volume.max=20", "-master.volumeSizeLimitMB=32")
    words = ["weed", "server", f"-ip={HERE}", f"-dir={folder / 'data'}", *ports, *size]
    catalogs = ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    more = [*catalogs, "-s3", f"-s3.port={port}", f"-s3.port.grpc={others[6]}", f"-s3.config={folder / 's3.json'}"]
    with serving([*words, *more], env={"PATH": os.environ["PATH"], "HOME": str(folder)}, cwd=folder) as service:

        def look() -> tuple[bool | None, str]:
            assert service.ended() is None, service.said()
            try:
                socket.create_connection((HERE, port), timeout=1).close()
                # It listens before it can store anything.
                return (True, "") if "s3" in service.said().lower() else (None, "")
            except OSError:
                return None, "does not answer yet"

        wait_until(look, deadline=STARTS_WITHIN, describe="SeaweedFS")
        address = f"s3:http://{HERE}:{port}/backups"
        # What makes the bucket: restic asks again and again where there is none.
        with restic._environment(Repository(f"{address}/bucket", Secret("of the test"), account)) as environment:
            run(["restic", "init"], env=environment)
        yield address


API = '"https://kubernetes.default.svc"'


def _certificate() -> str:
    """Any will do: nobody signs in by it here."""
    head, _, _ = images.CA_BUNDLE.read_text().partition("-----END CERTIFICATE-----")
    return f"{head[head.index('-----BEGIN') :]}-----END CERTIFICATE-----"


def values(root: Path, name: str) -> dict[str, Secret]:
    return dict(manifest.read(store.decrypt(root, BY_NAME[name].file), name).values)


def generated_configuration(root: Path, folder: Path, ports: tuple[int, int]) -> str:
    """What the stage gives to OpenBao, with the places of this machine for those of its container."""
    release = yaml.safe_load((root / "gitops/cluster-base-apps/openbao/app/helmrelease.yaml").read_text())
    text = str(release["spec"]["values"]["server"]["ha"]["raft"]["config"])
    for there, here in (
        ("[::]:8200", f"{HERE}:{ports[0]}"),
        ("[::]:8201", f"{HERE}:{ports[1]}"),
        ("/openbao/data", str(folder / "data")),
        ("/openbao/seal", str(folder / "seal")),
        ('service_registration "kubernetes" {}', ""),
        # No pod has an account here: its certificate is said.
        (API, f"{API}, disable_local_ca_jwt = true, kubernetes_ca_cert = {json.dumps(_certificate())}"),
    ):
        assert there in text, there
        text = text.replace(there, here)
    return text


@contextmanager
def as_in_the_cluster(root: Path, folder: Path) -> Iterator[OpenBao]:
    """OpenBao as its pod starts it, with the Secrets of the repository."""
    port, cluster = free_ports(2)
    seal = values(root, "openbao-seal")
    for part in ("data", "seal"):
        (folder / part).mkdir(exist_ok=True)
    for name in ("key", "previous-key"):
        (folder / "seal" / name).write_bytes(seal[name].reveal())
    (folder / "openbao.hcl").write_text(generated_configuration(root, folder, (port, cluster)))
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "BAO_RAFT_NODE_ID": "openbao-0",
        "BAO_API_ADDR": f"http://{HERE}:{port}", "BAO_CLUSTER_ADDR": f"https://{HERE}:{cluster}",
        "BAO_STATIC_SEAL_CURRENT_KEY_ID": seal["key-id"].reveal().decode(),
        "BAO_STATIC_SEAL_PREVIOUS_KEY_ID": seal["previous-key-id"].reveal().decode(),
        "OPENBAO_ADMIN_PASSWORD": values(root, "openbao-admin")["password"].reveal().decode(),
    }  # fmt: skip
    with serving(["bao", "server", f"-config={folder / 'openbao.hcl'}"], env=environment, cwd=folder) as service:
        bao = OpenBao(port, service)
        bao.await_active(STARTS_WITHIN)
        yield bao.signed_in("admin", values(root, "openbao-admin")["password"])


def foreign_snapshot(folder: Path) -> bytes:
    """Of an OpenBao that another key opens."""
    password = Secret("a-password-of-another-cluster")
    with running(folder, Seal(Secret("cd" * 32), "20200101-1"), first=password) as bao:
        bao.await_active(STARTS_WITHIN)
        return bao.signed_in("admin", password).snapshot()


def save(repository: Repository, folder: Path, snapshot: bytes | None) -> None:
    """As VolSync's mover does it: make the repository where there is none, save the volume's folder."""
    with restic._environment(repository) as environment:
        if not restic.exists(repository):
            run(["restic", "init"], env=environment)
        if snapshot is not None:
            volume = folder / "volume"
            volume.mkdir(exist_ok=True)
            (volume / "openbao.snap").write_bytes(snapshot)
            run(["restic", "--no-cache", "backup", "--host", "volsync", "."], env=environment, cwd=volume)
