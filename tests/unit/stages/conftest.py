"""A cluster and a machine that exist in a test only."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.cluster.credentials import KUBECONFIG

from slipway import wait
from slipway.generate import gitops
from slipway.inventory import Inventory, load
from slipway.result import CommandFailed, CommandResult
from slipway.secret import Secret
from slipway.ssh.tunnel import Tunnel
from slipway.stages import proof
from slipway.stages.bootstrap import Site
from slipway.stages.repository import MARKER
from slipway.tools import git, helm, kubectl
from slipway.tools.helm import Release
from slipway.tools.kubeconfig import Kubeconfig
from slipway.tools.run import run

INVENTORY = """\
apiVersion: slipway/v1
cluster:
  name: small
  k0s: {version: 1.36.3+k0s.2}
defaults:
  network: {interface: eno1, prefixLength: 24, gateway: 10.0.0.1}
hosts:
  cp1: {address: 10.0.0.11, role: controller}
  w1: {address: 10.0.0.21, role: worker}
stages: {readyTimeout: 1s, proofTimeout: 1s}
mirrors:
  charts:
    oci://ghcr.io/controlplaneio-fluxcd/charts: oci://mirror.example.org/charts
    oci://docker.gitea.com/charts: oci://mirror.example.org/charts
"""


TOKEN = "first"


def failed(command: str, said: str) -> CommandFailed:
    return CommandFailed(CommandResult(tuple(command.split()), "localhost", 1, "", said, 0.0))


@dataclass
class FakeGitServer:
    """The Git server as git and Flux see it: one branch. `deaf` is a Flux that nobody calls; `dead` a server.

    `hook` is the token that its webhook was made with, `listening` the one that Flux listens for: it is called where
    these are the same. `cuts` is how many pushes more are cut short, after the server has taken them.
    """

    root: Path
    tip: str = ""
    pushes: list[str] = field(default_factory=list)
    calls: int = 0
    deaf: bool = False
    dead: bool = False
    hook: str = TOKEN
    listening: str = TOKEN
    cuts: int = 0

    def ask(self, _remote: git.Remote) -> str:
        if self.dead:
            raise failed("git ls-remote", "fatal: Empty reply from server")
        return self.tip

    def push(self, root: Path, remote: git.Remote, commit: str, *, instead_of: str) -> None:
        assert self.ask(remote) == instead_of
        self.tip = commit
        self.pushes.append(commit)
        self.calls += not self.deaf and self.hook == self.listening
        if self.cuts:
            self.cuts -= 1
            raise failed("git push", "error: RPC failed; curl 56 Recv failure: Connection reset by peer")

    def marker(self) -> dict[str, str]:
        """What the marker of the newest push that had one says."""
        for commit in reversed(self.pushes):
            shown = run(["git", "-C", str(self.root), "show", f"{commit}:{MARKER}"], check=False)
            if shown.ok:
                return dict(json.loads(shown.stdout)["data"])
        return {}


@dataclass
class FakeCluster:
    """What kubectl and helm talk to: objects with a version that grows with each change, and releases.

    `ready` says whether what is asked for counts as ready; every chart that was installed is in `charts`.
    """

    objects: dict[tuple[str, str, str], tuple[Any, int]] = field(default_factory=dict)
    releases: dict[str, Release] = field(default_factory=dict)
    charts: list[str] = field(default_factory=list)
    put_right: list[str] = field(default_factory=list)
    managers: dict[tuple[str, str, str], tuple[str, bool]] = field(default_factory=dict)
    flux_releases: list[str] = field(default_factory=list)
    ready: bool = True
    git: FakeGitServer | None = None
    jobs_made: int = 1
    away: int = 0
    """So many questions and changes more meet an API server that is not there."""

    def versions(self, _kubeconfig: Kubeconfig, manifests: bytes | Secret) -> Sequence[str]:
        found = [(key, self.objects[key][1]) for key, _ in self._read(manifests) if key in self.objects]
        return [" ".join((*key, str(version))) for key, version in found]

    def apply(
        self, kubeconfig: Kubeconfig, manifests: bytes | Secret, *, manager: str = "slipway", force: bool = False
    ) -> Sequence[str]:
        self._answer()
        for key, manifest in self._read(manifests):
            before, version = self.objects.get(key, (None, 0))
            self.managers[key] = (manager, force)
            if before != manifest:
                self.objects[key] = manifest, version + 1
        return self.versions(kubeconfig, manifests)

    def existing(self, _kubeconfig: Kubeconfig, manifests: bytes | Secret) -> Sequence[dict[str, Any]]:
        found = [(key, self.objects[key][0]) for key, _ in self._read(manifests) if key in self.objects]
        return [{"kind": key[0], "metadata": {**about.get("metadata", {}), "name": key[2]}} for key, about in found]

    def differs(self, kubeconfig: Kubeconfig, manifests: bytes | Secret, *, manager: str = "slipway") -> bool:
        return any(self.objects.get(key, (None, 0))[0] != manifest for key, manifest in self._read(manifests))

    def of_flux(self, kind: str, name: str) -> dict[str, Any] | None:
        """What Flux makes of the Git server's branch: at once, and all of it healthy."""
        if self.git is None:
            return None
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        revision = f"refs/heads/main@sha1:{self.git.tip}"
        if kind.startswith("gitrepositories"):
            artifact = {"artifact": {"revision": revision}} if self.git.tip else {}
            return {"status": {**ready, **artifact, "lastHandledReconcileAt": str(self.git.calls)}}
        if kind.startswith("kustomizations"):
            stages = ("bootstrap", "cluster-base-apps", "cluster-apps")
            status = {**ready, "lastAppliedRevision": revision}
            return {"items": [{"metadata": {"name": each}, "spec": {}, "status": status} for each in stages]}
        if kind == "configmaps":
            data = self.git.marker()
            return {"data": data} if data else {}
        if kind.startswith("receivers"):
            path = hashlib.sha256(f"{self.git.listening}git-webhookflux-system".encode()).hexdigest()
            return {"status": {"webhookPath": f"/hook/{path}"}}
        if kind.startswith("endpointslices"):
            endpoint = {"addresses": ["10.244.0.9"], "nodeName": "w1", "conditions": {"ready": True}}
            return {"items": [{"ports": [{"name": "http", "port": 3000}], "endpoints": [endpoint]}]}
        if kind.startswith(("clustersecretstores", "externalsecrets")):
            return {"status": ready}
        if kind.startswith("replicationsources"):
            saved = {"lastSyncTime": "2026-11-26T03:17:40Z", "latestMoverStatus": {"result": "Successful"}}
            about = {"name": "openbao-snapshots", "namespace": "openbao"}
            return {"items": [{"metadata": about, "spec": {}, "status": saved}]}
        return None

    def token(self) -> str:
        """What the Secret says by which Flux knows its Git server."""
        found, _ = self.objects.get(("Secret", "flux-system", "git-webhook"), ({"data": {"token": encoded(TOKEN)}}, 0))
        return base64.b64decode(found["data"]["token"]).decode()

    def patch(self, _kubeconfig: Kubeconfig, kind: str, name: str, *_: Any, **__: Any) -> None:
        """Flux is asked to look: at its Receiver, which may have another token by now."""
        self._answer()
        if kind.startswith("receivers") and self.git:
            self.git.listening = self.token()

    def delete(self, _kubeconfig: Kubeconfig, kind: str, name: str, *, namespace: str) -> None:
        """A Job that is gone is made again at once, and does what it is for."""
        self._answer()
        if kind == "jobs.batch" and name.startswith("git-webhook") and self.git:
            self.jobs_made += 1
            self.git.hook = self.token()

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            refused = (
                "The connection to the server 10.0.0.11:6443 was refused - did you specify the right host or port?"
            )
            raise failed("kubectl", refused)

    def get(self, _kubeconfig: Kubeconfig, kind: str, name: str = "", **where: str) -> dict[str, Any]:
        self._answer()
        found = self.of_flux(kind, name)
        if kind == "pods" and where.get("namespace") == "openbao":
            labels = {"openbao-initialized": "true", "openbao-sealed": "false"}
            return {"items": [{"metadata": {"name": "openbao-0", "labels": labels}, "status": {}}]}
        if found is not None:
            return found
        if kind == "jobs.batch":
            done = {"conditions": [{"type": "Complete", "status": "True"}]} if self.ready else {}
            return {"metadata": {"name": name, "uid": str(self.jobs_made)}, "status": done}
        if kind == "persistentvolumes":
            return next(
                (
                    each
                    for (what, _, called), (each, _) in self.objects.items()
                    if (what, called) == ("PersistentVolume", name)
                ),
                {},
            )
        if kind.startswith("helmreleases"):
            return {"status": {"history": [{}]}} if name in self.flux_releases else {}
        if kind.startswith("fluxinstances"):
            return {"status": {"conditions": [{"type": "Ready", "status": str(self.ready), "reason": "Progressing"}]}}
        if kind == "pods":
            return {"items": []}
        status = {"observedGeneration": 1, "updatedReplicas": 1, "readyReplicas": int(self.ready)}
        item = {"kind": "Deployment", "metadata": {"name": "web", "generation": 1}, "spec": {"replicas": 1}}
        return {"items": [{**item, "status": status}]}

    def release(self, _kubeconfig: Kubeconfig, _namespace: str, name: str) -> Release | None:
        return self.releases.get(name)

    def upgrade(self, _k: Secret, _ns: str, name: str, chart: str, version: str, values: Mapping[str, Any]) -> None:
        revision = self.releases[name].revision + 1 if name in self.releases else 1
        self.charts.append(chart)
        self.releases[name] = Release(name, name, version, revision, "deployed", values)

    def take_back(self, _kubeconfig: Kubeconfig, _namespace: str, release: Release) -> None:
        self.put_right.append(release.name)
        del self.releases[release.name]

    @staticmethod
    def _read(manifests: bytes | Secret) -> Iterator[tuple[tuple[str, str, str], Any]]:
        text = manifests.reveal() if isinstance(manifests, Secret) else manifests
        for item in json.loads(text)["items"]:
            yield (item["kind"], item["metadata"].get("namespace", "-"), item["metadata"]["name"]), item


class FakeMachine:
    """A machine with folders and nothing else, and all the machines that there are."""

    name = "w1"

    def __init__(self) -> None:
        self.folders: set[str] = set()

    def host(self, _name: str) -> FakeMachine:
        return self

    def tunnel(self, node: str, address: str, port: int) -> AbstractContextManager[Tunnel]:
        return fake_tunnel(node, address, port)

    def run(self, argv: Sequence[str], **_: Any) -> CommandResult:
        code = 0
        if argv[:2] == ["test", "-d"]:
            code = int(argv[2] not in self.folders)
        else:
            assert argv[0] == "mkdir"
            self.folders.add(argv[-1])
        return CommandResult(tuple(argv), self.name, code, "", "", 0.0)

    def put(self, *_: Any, **__: Any) -> None:
        raise AssertionError("the hand-off writes no file on a machine")

    @contextmanager
    def fresh(self, *, cut: bool = False) -> Iterator[FakeMachine]:
        yield self

    def close(self) -> None:
        pass


@pytest.fixture
def git_server(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> FakeGitServer:
    fake = FakeGitServer(inventory.root)
    monkeypatch.setattr(git, "tip", fake.ask)
    monkeypatch.setattr(git, "push", fake.push)
    monkeypatch.setattr(git, "fetch", lambda _root, _remote: None)
    return fake


@pytest.fixture
def cluster(git_server: FakeGitServer, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    fake = FakeCluster(git=git_server)
    for name in ("versions", "apply", "existing", "get", "differs", "patch", "delete"):
        monkeypatch.setattr(kubectl, name, getattr(fake, name))
    monkeypatch.setattr(helm, "get", fake.release)
    monkeypatch.setattr(helm, "upgrade", fake.upgrade)
    monkeypatch.setattr(helm, "put_right", fake.take_back)
    return fake


@pytest.fixture
def machine() -> FakeMachine:
    return FakeMachine()


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """An inventory whose repository has its GitOps files and, in the clear for a fake sops, its secrets."""
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    loaded = load(tmp_path / "inventory.yaml")
    for path, text in gitops.render(loaded).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr("slipway.secrets.store.decrypt", fake_decrypt)
    monkeypatch.setattr("slipway.stages.key.public_keys", lambda _root: {"age1own"})
    git.init(tmp_path)
    commit(tmp_path)
    return loaded


def commit(root: Path) -> str:
    """All that is there, committed; the commit."""
    run(["git", "-C", str(root), "add", "--all"])
    about = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    run(["git", "-C", str(root), *about, "commit", "--quiet", "--allow-empty", "--message", "Change"])
    return git.head(root)


@contextmanager
def fake_tunnel(_node: str, _address: str, _port: int) -> Iterator[Tunnel]:
    yield Tunnel(1)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def fake_decrypt(_root: Path, name: Path) -> Secret:
    about = {"name": name.name.removesuffix(".sops.yaml"), "namespace": "flux-system"}
    values = {"username": "Zm9v", "password": "Zm9v", "token": encoded(TOKEN)}
    manifest = {"kind": "Secret", "metadata": about, "data": values}
    return Secret(yaml.safe_dump(manifest))


@dataclass
class FakeClock:
    """Waiting takes its time and each look a millisecond: how long it takes on this computer decides nothing."""

    now: float = 0.0

    def monotonic(self) -> float:
        self.now += 0.001
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The one of everything that waits, and of the proof, which measures."""
    fake = FakeClock()
    monkeypatch.setattr(wait, "time", fake)
    monkeypatch.setattr(proof, "time", fake)
    return fake


@pytest.fixture
def bare_site(tmp_path: Path, machine: FakeMachine) -> Site:
    """A site with no files of its own."""
    return Site(
        tmp_path, KUBECONFIG, lambda _name: machine, fake_tunnel, {}, 0.05, lambda _text: None, proven_within=0.05
    )


@pytest.fixture
def site(inventory: Inventory, bare_site: Site) -> Site:
    return replace(bare_site, root=inventory.root, charts=inventory.mirrors.charts)
