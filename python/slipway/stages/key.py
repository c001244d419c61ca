"""Whether the cluster's age key opens what Flux will have to open; asked before anything is applied."""

from __future__ import annotations

from pathlib import Path

from slipway.errors import InvalidInput
from slipway.secrets import recipients, store
from slipway.stages.bootstrap import SHARED, Site
from slipway.tools import age, sops


def check(site: Site) -> bool:
    """What the hand-off opens opens here, and every encrypted file of gitops/ is encrypted to the cluster's key.

    Changes nothing. Raises PrerequisiteMissing where no key on this machine opens a file, InvalidInput with the files
    that the cluster's own key would not open.
    """
    for name in (store.GITEA_ADMIN, *SHARED) if site.git else ():
        store.decrypt(site.root, name)
    own = public_keys(site.root)
    of_flux = (path for path in recipients.files(site.root) if path.parts[0] == "gitops")
    closed = [str(path) for path in of_flux if not own & _recipients(site.root / path)]
    if closed:
        raise InvalidInput(
            f"{', '.join(closed)}: not encrypted to the cluster's key {', '.join(sorted(own))} (in {store.AGE_KEY}): "
            "Flux could not open it",
            hint=f"name that key in {store.CONFIG}, then for each file: sops updatekeys FILE",
        )
    return False


def public_keys(root: Path) -> set[str]:
    """The public halves of the keys that the cluster gets; two while they are rotated."""
    return {age.public_key(private) for private in store.cluster_identities(root)}


def _recipients(path: Path) -> set[str]:
    found = sops.recipients(path.read_bytes())
    if not found:
        raise InvalidInput(f"{path}: not encrypted by sops with age", hint=f"sops encrypt -i {path}")
    return set(found)
