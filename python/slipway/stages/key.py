"""Whether the cluster's age key opens what Flux will have to open; asked before anything is applied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from slipway.errors import InvalidInput
from slipway.secrets import store
from slipway.stages.bootstrap import SHARED, Site
from slipway.stages.model import ENCRYPTED
from slipway.tools import age

KEY = "age.agekey"


def check(site: Site) -> bool:
    """What the hand-off opens opens here, and every encrypted file of gitops/ is encrypted to the cluster's key.

    Changes nothing. Raises PrerequisiteMissing where no key on this machine opens a file, InvalidInput with the files
    that the cluster's own key would not open.
    """
    for name in (store.GITEA_ADMIN, *SHARED) if site.git else ():
        store.decrypt(site.root, name)
    own = public_keys(site.root)
    closed = [str(path.relative_to(site.root)) for path in encrypted(site.root) if not own & recipients(path)]
    if closed:
        raise InvalidInput(
            f"{', '.join(closed)}: not encrypted to the cluster's key {', '.join(sorted(own))} (in {store.AGE_KEY}): "
            "Flux could not open it",
            hint=f"name that key in {store.CONFIG}, then for each file: sops updatekeys FILE",
        )
    return False


def public_keys(root: Path) -> set[str]:
    """The public halves of the keys that the cluster gets; two while they are rotated."""
    values = store.read(root, store.AGE_KEY).values
    return {age.public_key(private) for private in age.identities(values[KEY])}


def encrypted(root: Path) -> Iterator[Path]:
    return iter(sorted((root / "gitops").rglob(f"*{ENCRYPTED}")))


def recipients(path: Path) -> set[str]:
    """Whom a file is encrypted to (the format of sops: sops.age[].recipient)."""
    try:
        found = [document["sops"]["age"] for document in yaml.safe_load_all(path.read_text()) if document]
        return {each["recipient"] for listed in found for each in listed}
    except (OSError, yaml.YAMLError, LookupError, TypeError) as error:
        raise InvalidInput(f"{path}: not encrypted by sops with age: {error}", hint=f"sops encrypt -i {path}") from None
