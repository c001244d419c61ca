"""The repository as one file beside the backups in S3: with the age key it suffices when every clone is lost."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from slipway.errors import InvalidInput
from slipway.generate.gitops.secrets import BY_NAME
from slipway.inventory import Inventory
from slipway.secret import Secret
from slipway.secrets import store
from slipway.tools import git, s3
from slipway.tools.s3 import Account, Place

ACCOUNT = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def place_of(inventory: Inventory) -> Place:
    """Beside the backups, under the cluster's name. Raises InvalidInput where there are none, or none in S3."""
    repository = inventory.stages.backup.repository
    if repository is None or not repository.startswith(s3.PREFIX):
        raise InvalidInput(
            f"{inventory.path}: stages.backup.repository: {repository or 'not set'}; a bundle goes to an S3 account",
            hint="git bundle create FILE HEAD --all, and keep it where you like",
        )
    return Place.parse(f"{repository}/{inventory.cluster.name}.bundle")


def save(inventory: Inventory) -> tuple[Place, int]:
    """Put everything that is committed there, in the place of the one before; return where, and how many bytes."""
    account = Account.of(store.read(inventory.root, BY_NAME["backup-s3"].file).values)
    place = place_of(inventory)
    with tempfile.TemporaryDirectory(prefix="slipway-bundle-") as folder:
        file = Path(folder) / "bundle"
        git.bundle(inventory.root, file)
        content = file.read_bytes()
    s3.write(place, account, content)
    return place, len(content)


def clone(source: str, target: Path) -> str:
    """Copy the repository at `source` to `target`: a folder, an address, a bundle, or one in S3; return the commit.

    Of one in S3 the copy does not remember where it is from: git could not ask there again.
    """
    if not source.startswith(s3.PREFIX):
        return git.clone(source, target)
    with tempfile.TemporaryDirectory(prefix="slipway-bundle-") as folder:
        file = Path(folder) / "repository.bundle"
        fetch(source, file)
        commit = git.clone(str(file), target)
    git.forget_origin(target)
    return commit


def fetch(address: str, target: Path) -> None:
    """Write the bundle at an address to a file; the account is in the environment, since nothing else is there yet."""
    given = {name: Secret(os.environ[name]) for name in ACCOUNT if os.environ.get(name)}
    target.write_bytes(s3.read(Place.parse(address), Account.of(given)))
