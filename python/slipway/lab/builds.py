"""Which programs the lab builds, from which pinned Go modules, and when a build is out of date.

The pins live in modules/<name>/go.mod and nowhere else; versions in this file's flags are read from there.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from slipway.generate.gitops.apps import APPS_STAGE, BOOTSTRAP

MODULES = Path(__file__).parent / "modules"
EMPTY: Mapping[str, tuple[str, ...]] = MappingProxyType({})

GITEA_STATIC = "/usr/share/gitea"
"""Where Gitea's image has its templates, public files and translations (`STATIC_ROOT_PATH`)."""
KUBERNETES_STAMP = (
    "-X k8s.io/component-base/version.gitVersion={version}"
    " -X k8s.io/component-base/version.gitMajor={major}"
    " -X k8s.io/component-base/version.gitMinor={minor}"
)
KONNECTIVITY = "sigs.k8s.io/apiserver-network-proxy"
FLUX = ("source-controller", "kustomize-controller", "helm-controller", "notification-controller")
FLUX_OPERATOR = "github.com/controlplaneio-fluxcd/flux-operator"
DEFINITIONS: Mapping[str, tuple[str, str]] = {
    "gateway-api": ("sigs.k8s.io/gateway-api", "config/crd/standard"),
    "external-snapshotter": ("github.com/kubernetes-csi/external-snapshotter/client/v8", "config/crd"),
    "prometheus-operator": ("github.com/prometheus-operator/prometheus-operator", "example/prometheus-operator-crd"),
}
"""CRDs that the stages take from Git: the Go module that has them, and where in it."""
EXTERNAL_SECRETS = "github.com/external-secrets/external-secrets"
_ESO_STORES = "".join(f'import _ "{EXTERNAL_SECRETS}/pkg/provider/{store}"\n' for store in ("kubernetes", "vault"))
_ESO_WEBHOOKS = tuple(
    (f"apis/externalsecrets/{version}/{kind}_webhook.go", f"package {version}\n")
    for version in ("v1", "v1beta1")
    for kind in ("secretstore", "externalsecret")
)
VOLSYNC = "github.com/backube/volsync"
LOCAL_PATH = "github.com/rancher/local-path-provisioner"
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")


@dataclass(frozen=True)
class Program:
    """One executable: the Go package that is its main, and the module whose pin in go.mod is its version."""

    name: str
    package: str
    pin: str = ""


@dataclass(frozen=True)
class Assets:
    """A folder of a Go module that a program needs at run time; copied under `name` beside the programs."""

    pin: str
    folder: str
    name: str


@dataclass(frozen=True)
class Addition:
    """A file that a program wants and that the published Go module lacks, such as a page that another tool makes; or
    one in the place of the module's own."""

    pin: str
    path: str
    text: str


EXTERNAL_SECRETS_LESS = (
    # All of its stores and generators make it four times as large; slipway's stages have these two stores.
    Addition(EXTERNAL_SECRETS, "pkg/provider/register/register.go", f"package register\n\n{_ESO_STORES}"),
    Addition(EXTERNAL_SECRETS, "pkg/generator/register/register.go", "package register\n"),
    # Its webhooks are of an older controller-runtime than that of the lab's other programs, and the lab has none.
    *(Addition(EXTERNAL_SECRETS, path, text) for path, text in _ESO_WEBHOOKS),
)


@dataclass(frozen=True)
class Build:
    """Programs that go builds out of one module, and files of Go modules; or such files alone.

    `seconds` and `megabytes` (of Go's caches, once): cold, on two cores.
    """

    name: str
    module: Path
    programs: tuple[Program, ...]
    seconds: int
    megabytes: int
    links: tuple[str, ...] = ()
    """Further names of the one program, which acts by the name that it is called by."""
    ldflags: str = ""
    tags: str = ""
    cgo: bool = False
    assets: tuple[Assets, ...] = ()
    additions: tuple[Addition, ...] = ()
    asked: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: EMPTY)
    """Programs that may come from PATH instead, and how each is asked for its version. All are found there, or none."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that this build puts into the folder of programs."""
        return tuple(program.name for program in self.programs) + self.links

    @property
    def version(self) -> str:
        """The pinned version of the first program, such as `v1.36.3`; empty for a program of our own, and for none."""
        pin = next((program.pin for program in self.programs), "")
        return self.pinned(pin) if pin else ""

    def pinned(self, pin: str) -> str:
        """The version that go.mod requires of the module `pin`. Raises KeyError if it does not."""
        return self._requirements[pin]

    @cached_property
    def _requirements(self) -> dict[str, str]:
        text = (self.module / "go.mod").read_text()
        return dict(re.findall(r"^(?:require)?\s+([^\s/]+\.\S+) (v\S+)(?!.*=>)", text, re.MULTILINE))

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of `go build`: no paths of this machine, no symbols, the version stamped in."""
        return (
            "-trimpath",
            *(("-tags", self.tags) if self.tags else ()),
            "-ldflags",
            f"-s -w {self._stamp()}".strip(),
        )

    def _stamp(self) -> str:
        plain = self.version.removeprefix("v")
        major, minor, *_ = [*plain.split("."), "", ""]
        return self.ldflags.format(version=self.version, plain=plain, major=major, minor=minor)

    def digest(self) -> str:
        """Names this build's result: it changes with the module's files, the flags and the processor alone."""
        content = hashlib.sha256()
        for part in (platform.machine(), str(self.cgo), *self.flags, *(str(each) for each in self.programs)):
            content.update(part.encode() + b"\0")
        for each in (*self.assets, *self.additions):
            content.update(str(each).encode() + b"\0")
        for path in self._sources():
            content.update(f"{path.relative_to(self.module)}\0".encode() + path.read_bytes() + b"\0")
        return content.hexdigest()[:16]

    def _sources(self) -> Iterator[Path]:
        files = (path for path in self.module.rglob("*") if path.is_file() and not path.name.endswith("_test.go"))
        yield from sorted(files)


class K0s(Enum):
    """What a lab's machines have for k0s; each kind wants other builds."""

    STAND_IN = auto()
    BARE = auto()
    """The real k0s, built without the programs that it starts: they are the lab's."""
    RELEASED = auto()
    """The real k0s as its makers publish it, with all programs in it."""


def needed(kind: K0s, until: str = BOOTSTRAP) -> tuple[Build, ...]:
    """The builds for a lab with this k0s whose last stage is `until`, in their order."""
    needless = _NEEDLESS[kind] | of_later(until, BASE_APPS, APPS)
    return tuple(build for build in BUILDS if build.name not in needless)


def of_later(until: str, base: frozenset[str], apps: frozenset[str]) -> frozenset[str]:
    """What a lab whose last stage is `until` does without, if `base` is what cluster-base-apps brings and `apps` what
    cluster-apps does."""
    return {BOOTSTRAP: base | apps, APPS_STAGE: frozenset[str]()}.get(until, apps)


def _flux(name: str) -> Program:
    return Program(name, f"github.com/fluxcd/{name}", f"github.com/fluxcd/{name}")


def _containerd(name: str) -> Program:
    module = "github.com/containerd/containerd/v2"
    return Program(name, f"{module}/cmd/{name}", module)


BUILDS: tuple[Build, ...] = (
    Build(
        name="kube",
        module=MODULES / "kubernetes",
        programs=(Program("kube", ".", "k8s.io/kubernetes"),),
        links=KUBERNETES,
        ldflags=KUBERNETES_STAMP,
        asked={name: ("--version",) for name in KUBERNETES[:-1]} | {"kubectl": ("version", "--client")},
        seconds=300,
        megabytes=4000,
    ),
    Build(
        name="etcd",
        module=MODULES / "etcd",
        # The stand-in for k0s restores a snapshot with etcdutl, which k0s has as a library.
        programs=(
            Program("etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
            Program("etcdutl", "go.etcd.io/etcd/etcdutl/v3", "go.etcd.io/etcd/etcdutl/v3"),
        ),
        asked={"etcd": ("--version",), "etcdutl": ("version",)},
        seconds=25,
        megabytes=500,
    ),
    Build(
        name="containerd",
        module=MODULES / "containerd",
        programs=tuple(_containerd(name) for name in ("containerd", "containerd-shim-runc-v2", "ctr")),
        # Machines keep their images on plain folders; what a machine sends to nobody need not be compiled.
        tags="no_devmapper,no_zfs,no_tracing",
        ldflags="-X github.com/containerd/containerd/v2/version.Version={plain}",
        asked={"containerd": ("--version",), "containerd-shim-runc-v2": ("-v",), "ctr": ("--version",)},
        seconds=75,
        megabytes=900,
    ),
    Build(
        name="k0s",
        module=MODULES / "k0s",
        programs=(Program("k0s", "."),),
        seconds=30,
        megabytes=400,
    ),
    Build(
        name="konnectivity-server",
        module=MODULES / "konnectivity",
        programs=(Program("konnectivity-server", f"{KONNECTIVITY}/cmd/server", KONNECTIVITY),),
        asked={"konnectivity-server": ("--version",)},
        seconds=50,
        megabytes=700,
    ),
    Build(
        name="konnectivity-agent",
        module=MODULES / "konnectivity",
        programs=(Program("konnectivity-agent", f"{KONNECTIVITY}/cmd/agent", KONNECTIVITY),),
        seconds=5,
        megabytes=50,
    ),
    Build(
        name="balancer",
        module=MODULES / "k0s",
        programs=(Program("balancer", "./envoy"),),
        seconds=5,
        megabytes=100,
    ),
    Build(
        name="helm",
        module=MODULES / "helm",
        programs=(Program("helm", "helm.sh/helm/v4/cmd/helm", "helm.sh/helm/v4"),),
        ldflags="-X helm.sh/helm/v4/internal/version.version={version}",
        asked={"helm": ("version", "--short")},
        seconds=100,
        megabytes=1500,
    ),
    Build(
        name="kube-node",
        module=MODULES / "kubernetes",
        programs=(Program("kube-node", "./kube-node", "k8s.io/kubernetes"),),
        ldflags=KUBERNETES_STAMP,
        seconds=10,
        megabytes=300,
    ),
    Build(
        name="pause",
        module=MODULES / "pause",
        programs=(Program("pause", "."),),
        seconds=2,
        megabytes=100,
    ),
    Build(
        name="coredns",
        module=MODULES / "coredns",
        programs=(Program("coredns", ".", "github.com/coredns/coredns"),),
        seconds=55,
        megabytes=1000,
    ),
    Build(
        name="flux",
        module=MODULES / "flux",
        programs=tuple(map(_flux, FLUX)),
        seconds=240,
        megabytes=5000,
    ),
    Build(
        name="flux-operator",
        module=MODULES / "flux",
        programs=(Program("flux-operator", f"{FLUX_OPERATOR}/cmd/operator", FLUX_OPERATOR),),
        ldflags="-X main.VERSION={version}",
        # Its web page is made by npm and not in the module; the lab serves none (`web.enabled: false`).
        additions=(Addition(FLUX_OPERATOR, "web/dist/index.html", "<!doctype html><title>not in the lab</title>\n"),),
        assets=(
            Assets(FLUX_OPERATOR, "config/crd/bases", "crds"),
            Assets(FLUX_OPERATOR, "config/data", "data"),
        ),
        seconds=150,
        megabytes=1500,
    ),
    Build(
        name="gitea",
        module=MODULES / "gitea",
        programs=(Program("gitea", "code.gitea.io/gitea", "code.gitea.io/gitea"),),
        # Static in spite of SQLite's C, so that one file runs on any machine, whatever its C library.
        tags="sqlite,sqlite_unlock_notify,sqlite_omit_load_extension,netgo,osusergo",
        ldflags=(
            "-linkmode external -extldflags -static -X main.Version={plain} -X main.Tags=sqlite,sqlite_unlock_notify"
            f" -X code.gitea.io/gitea/modules/setting.StaticRootPath={GITEA_STATIC}"
        ),
        cgo=True,
        assets=tuple(
            Assets("code.gitea.io/gitea", name, f"static/{name}") for name in ("options", "public", "templates")
        ),
        seconds=200,
        megabytes=3000,
    ),
    Build(
        name="restic",
        module=MODULES / "restic",
        programs=(Program("restic", "github.com/restic/restic/cmd/restic", "github.com/restic/restic"),),
        seconds=75,
        megabytes=800,
    ),
    Build(
        name="seaweedfs",
        module=MODULES / "seaweedfs",
        programs=(Program("weed", "github.com/seaweedfs/seaweedfs/weed", "github.com/seaweedfs/seaweedfs"),),
        seconds=900,
        megabytes=5000,
    ),
    Build(
        name="definitions",
        module=MODULES / "definitions",
        programs=(),
        assets=tuple(Assets(pin, folder, name) for name, (pin, folder) in DEFINITIONS.items()),
        seconds=10,
        megabytes=100,
    ),
    Build(
        name="local-path-provisioner",
        module=MODULES / "local-path-provisioner",
        programs=(Program("local-path-provisioner", LOCAL_PATH, LOCAL_PATH),),
        ldflags="-X main.VERSION={version}",
        seconds=60,
        megabytes=700,
    ),
    Build(
        name="external-secrets",
        module=MODULES / "external-secrets",
        programs=(Program("external-secrets", ".", EXTERNAL_SECRETS),),
        additions=EXTERNAL_SECRETS_LESS,
        assets=(Assets(EXTERNAL_SECRETS, "config/crds/bases", "crds"),),
        seconds=60,
        megabytes=600,
    ),
    Build(
        name="volsync",
        module=MODULES / "volsync",
        programs=(Program("volsync", f"{VOLSYNC}/cmd", VOLSYNC),),
        # The movers that slipway never asks for bring half of the packages along.
        tags="disable_rclone,disable_rsync,disable_rsynctls,disable_syncthing",
        ldflags="-X main.volsyncVersion={version}",
        assets=(Assets(VOLSYNC, "config/crd/bases", "crds"), Assets(VOLSYNC, "mover-restic", "mover-restic")),
        seconds=120,
        megabytes=1200,
    ),
    Build(
        name="podinfo",
        module=MODULES / "podinfo",
        programs=(Program("podinfo", "."),),
        seconds=10,
        megabytes=100,
    ),
)
"""In the order in which they are needed, which is the order in which they are built."""

BASE_APPS = frozenset({"restic", "seaweedfs", "definitions", "local-path-provisioner", "volsync", "external-secrets"})
"""Built for the stage cluster-base-apps, and for what else asks for them; no lab that ends before it needs any."""

APPS = frozenset({"podinfo"})
"""Likewise for the stage cluster-apps."""

_FOR_REAL_K0S = frozenset({"konnectivity-server", "konnectivity-agent", "balancer"})
_NEEDLESS: Mapping[K0s, frozenset[str]] = {
    K0s.STAND_IN: _FOR_REAL_K0S,
    K0s.BARE: frozenset({"k0s"}),
    K0s.RELEASED: frozenset({"k0s", "kube", "etcd", "containerd", "konnectivity-server"}),
}


def build_of(name: str) -> Build:
    """The build with this name, or the one that makes the program with this name. Raises KeyError."""
    for build in BUILDS:
        if name == build.name or name in build.names:
            return build
    raise KeyError(name)
