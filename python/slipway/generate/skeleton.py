"""What a new repository begins with, and the flake that it gets slipway's modules from."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from slipway import inside, pages
from slipway.errors import UsageError
from slipway.generate.gitops.charts import CHARTS, DEFINITIONS, IMAGES, Chart, Definitions
from slipway.generate.templates import template
from slipway.inventory.model import Nixos
from slipway.inventory.schema import schema
from slipway.paths import cache_dir, resource

FLAKE_URL = pages.FLAKE
"""Where a user's flake finds slipway's modules, unless told otherwise."""

K0S_VERSION = "1.36.3+k0s.2"
"""What a new inventory proposes: the newest release in nixos/pkgs/k0s/versions.json."""

VERSIONS = "versions.yaml"
SCHEMA = "inventory.schema.json"
"""What the first line of a new inventory names, for editors that speak to yaml-language-server."""
_HELD = ("cilium", "flux-operator", "gitea", "forgejo", "local-path-provisioner", "openebs", "volsync", "openbao")
"""Charts that no machine may merge: with them the other stages stand and fall."""
_STAGED = ("flake.nix", "flake.lock", "nixos")


class Example(StrEnum):
    """Whose machines a new inventory shows: three controllers with an address in common, one machine that is
    everything, or a controller and two workers."""

    HA = "ha"
    SINGLE = "single"
    HOMELAB = "homelab"


@dataclass(frozen=True)
class Flake:
    """Where a repository's flake.nix gets slipway from. `lab` takes the lab's evaluator and no nixpkgs of its own."""

    url: str = FLAKE_URL
    lab: bool = False


def source(text: str) -> str:
    """`text` as the URL of a flake: a folder that is there, such as a clone of slipway, by its full path.

    Raises UsageError for a folder without a flake.
    """
    folder = Path(text).expanduser()
    if not folder.is_dir():
        return text
    if not (folder / "flake.nix").exists():
        raise UsageError(f"--from {text}: there is no flake.nix", hint=f"--from {FLAKE_URL}, or a clone of it")
    kind = "git+file" if (folder / ".git").exists() else "path"
    return f"{kind}://{quote(str(folder.resolve()))}" if kind == "git+file" else f"path:{folder.resolve()}"


def files(
    name: str, flake: Flake, authorized_keys: Sequence[str] = (), example: Example = Example.HOMELAB
) -> dict[str, bytes]:
    """The first files of a repository for the cluster `name`, by path. Pure."""
    channel = str(Nixos().channel)
    texts = {
        "flake.nix": _flake(name, flake, channel),
        ".gitignore": template("skeleton/gitignore.j2").render(),
        "README.md": template("skeleton/README.md.j2").render(name=name),
        "inventory.yaml": template("skeleton/inventory.yaml.j2").render(
            name=name,
            k0s_version=K0S_VERSION,
            channel=channel,
            authorized_keys=authorized_keys,
            example=example.value,
            schema=SCHEMA,
        ),
        SCHEMA: json.dumps(schema(), indent=2) + "\n",
        VERSIONS: template("skeleton/versions.yaml.j2").render(charts=_versions(), images=IMAGES),
        "renovate.json": template("skeleton/renovate.json.j2").render(held=_held()),
    }
    return {path: text.encode() for path, text in texts.items()}


def _versions() -> dict[str, Chart | Definitions]:
    """All but GitLab's, whose line the inventory chooses (`codeHosting.gitlab`)."""
    found: dict[str, Chart | Definitions] = {**CHARTS, **DEFINITIONS}
    return {name: each for name, each in found.items() if name != "gitlab"}


def _held() -> list[str]:
    """The same in Renovate's words."""
    found = (CHARTS[name].renovate.split("depName=")[1] for name in _HELD)
    return [words.partition(" ")[0] for words in found]


def _flake(name: str, flake: Flake, channel: str) -> str:
    return template("skeleton/flake.nix.j2").render(
        description=f"The cluster {name}",
        slipway=flake.url,
        nixpkgs=None if flake.lab else f"github:NixOS/nixpkgs/nixos-{channel}",
        lab=flake.lab,
    )


def write(root: Path, wanted: Mapping[str, bytes], flake: Flake) -> tuple[Path, ...]:
    """Write those of `wanted` that are not there; what is there is the user's. Return what was written.

    The lab's flake.nix names a folder of the cache, and follows it: another slipway has other modules there.
    """
    root.mkdir(parents=True, exist_ok=True)
    replaced = {"flake.nix"} if flake.lab else set()
    missing = [path for path in wanted if not (root / path).exists() or path in replaced]
    if (root / "inventory.yaml").exists() and VERSIONS in missing:
        missing.remove(VERSIONS)  # that inventory does not include it
    written = [path for path in missing if _read(root / path) != wanted[path]]
    for path in written:
        inside.write(root, path, wanted[path])
    return tuple(root / path for path in written)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def stage_flake(programs: Mapping[Path, bytes] | None = None) -> Path:
    """A copy of slipway's own flake in the cache, named after its contents: a source that needs no network.

    A new version of slipway makes a new folder, so that a lock file never disagrees with what it locked. `programs` are
    put into it as well, by their path in the flake.
    """
    content = {path: (resource(path.parts[0]).parent / path).read_bytes() for path in _flake_paths()}
    content |= programs or {}
    digest = hashlib.sha256(b"\0".join(str(path).encode() + b"\0" + data for path, data in content.items()))
    target = cache_dir() / "flake" / digest.hexdigest()[:16]
    if not target.exists():
        making = target.with_name(f".making-{target.name}")
        shutil.rmtree(making, ignore_errors=True)
        for path, data in content.items():
            (making / path).parent.mkdir(parents=True, exist_ok=True)
            (making / path).write_bytes(data)
            if path in (programs or {}):
                (making / path).chmod(0o755)
        making.rename(target)
    return target


def _flake_paths() -> Iterator[Path]:
    """The flake's files, relative to the folder that `resource` finds them in, in a fixed order."""
    for name in _STAGED:
        top = resource(name)
        found = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
        yield from (path.relative_to(top.parent) for path in found)
