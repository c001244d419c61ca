"""testinfra's `host.package` where there is no package manager: what the closure of the running system holds."""

from __future__ import annotations

import re

from testinfra.host import Host
from testinfra.modules.package import Package

CLOSURE = "nix-store --query --requisites /run/current-system"
_PATH = re.compile(r"/nix/store/[0-9a-z]{32}-(?P<name>.+?)(?:-(?P<version>[^a-zA-Z].*))?$")
"""A name ends before the first dash that no letter follows (Nix manual, builtins.parseDrvName)."""


class StorePackage(Package):  # type: ignore[misc]
    """A package by its name (`openssh`), by name and version (`openssh-10.2p1`), or by its store path."""

    @classmethod
    def get_module_class(cls, host: Host) -> type[StorePackage]:  # noqa: ARG003
        """Whatever programs are there by chance; testinfra takes an `apk` for Alpine."""
        return cls

    @property
    def is_installed(self) -> bool:
        return bool(self._found())

    @property
    def version(self) -> str:
        """Without the name of an output, which is part of some paths. Raises KeyError for what is not there."""
        versions = [match["version"] or "" for match in self._found()]
        if not versions:
            raise KeyError(f"{self.name} is not in the closure of /run/current-system")
        return min(versions, key=len)

    @property
    def release(self) -> str:
        raise NotImplementedError("Nix has no release of a package; `version` is all of it")

    def _found(self) -> list[re.Match[str]]:
        matches = filter(None, map(_PATH.match, self.check_output(CLOSURE).splitlines()))
        return [match for match in matches if self.name in (match["name"], match[0].partition("-")[2], match[0])]
