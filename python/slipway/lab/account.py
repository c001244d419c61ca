"""The lab's S3 account, where its clusters save volumes: SeaweedFS on the host, at the lab's own address.

It lies outside of the machines, as at a site: `down(keep_s3)` can take the machines away and leave what they saved.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from slipway.inventory.address import with_port
from slipway.lab import binaries, cgroups, nspawn
from slipway.lab.settings import Lab
from slipway.secret import Secret
from slipway.tools import s3
from slipway.tools.run import run
from slipway.wait import WaitedTooLong, wait_until

PROGRAM = "weed"
PORT = 8333
BUCKET = "backups"
START_TIMEOUT = 180.0
"""Seconds until it stores something; two where nothing else is at work."""
STOP_TIMEOUT = 30.0
INTERVAL = 0.5
_PARTS, _GRPC = ("master", "volume", "filer", "s3"), 20000
"""SeaweedFS's parts reach each other by sockets in /tmp with the port alone in their name (weed/command/server.go):
with the ports of another lab two accounts would become one, and lose what they have with the other."""
_CATALOGS = ("-s3.port.iceberg=0", "-s3.port.lance=0")
_SMALL = ("-volume.max=20", "-master.volumeSizeLimitMB=64", "-master.telemetry=false")


def home(lab: Lab) -> Path:
    return lab.state / "s3"


def address(lab: Lab) -> str:
    """What an inventory has as `stages.backup.repository`."""
    return f"s3:http://{with_port(str(lab.host_address), PORT)}/{BUCKET}"


def login(lab: Lab) -> Mapping[str, Secret]:
    """Who may read and write there, by the names that restic has for it; made with the lab's first start of it."""
    file = home(lab) / "login.json"
    if not file.exists():
        made = {"AWS_ACCESS_KEY_ID": "slipway-lab", "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(24)}
        home(lab).mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps(made))
        draft.replace(file)
    return {name: Secret(value) for name, value in json.loads(file.read_text()).items()}


def up(lab: Lab) -> None:
    """Have it running, in the lab's control group; it ends with the lab. Raises WaitedTooLong."""
    account = s3.Account.of(login(lab))
    pid_file = lab.state / "s3.pid"
    if nspawn.kept(pid_file) is None:
        files = map(str, cgroups.create(group(lab)))
        join, keep = (str(Path(__file__).parent / name) for name in ("join.sh", "keep.sh"))
        keeper = ["sh", keep, str(pid_file), str(lab.state / "s3.log")]
        run(["setsid", "--fork", "sh", join, *files, "--", *keeper, *_server(lab, account)], timeout=START_TIMEOUT)
    place = s3.Place.parse(f"{address(lab)}/lab")

    def stores() -> tuple[bool | None, str]:
        try:
            s3.write(place, account, b"")
        except s3.S3Refused as refused:
            return None, str(refused)
        return True, ""

    # The first object makes the bucket: restic asks again and again where there is none.
    wait_until(stores, deadline=START_TIMEOUT, describe=f"the S3 account at {place}", interval=INTERVAL)


def down(lab: Lab) -> None:
    """Have it end in order, with all that it was given on the disk; whoever calls ends by force what does not."""
    for process in cgroups.processes(group(lab)):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)

    def ended() -> tuple[bool | None, str]:
        left = len(cgroups.processes(group(lab)))
        return (None, f"{left} still there") if left else (True, "")

    with suppress(WaitedTooLong):
        wait_until(ended, deadline=STOP_TIMEOUT, describe="the end of the S3 account", interval=INTERVAL / 5)


def group(lab: Lab) -> str:
    """Its control group."""
    return f"{lab.name}/s3"


def _server(lab: Lab, account: s3.Account) -> list[str]:
    here, data = str(lab.host_address), home(lab) / "data"
    data.mkdir(parents=True, exist_ok=True)
    identities = home(lab) / "identities.json"
    allowed = {"accessKey": account.key, "secretKey": account.secret.reveal().decode()}
    who = {"name": "backup", "actions": ["Admin", "Read", "Write", "List"], "credentials": [allowed]}
    identities.write_text(json.dumps({"identities": [who]}))
    sockets = (f"-{part}.localSocket={lab.state / f'{part}.sock'}" for part in ("filer", "s3"))
    calls = (f"-{part}.port.grpc={_GRPC + 10 * lab.number + n}" for n, part in enumerate(_PARTS))
    listening = (f"-ip={here}", f"-ip.bind={here}", f"-dir={data}", *sockets, *calls)
    served = ("-s3", f"-s3.port={PORT}", f"-s3.config={identities}", *_CATALOGS)
    # Its own files come from HOME, and none of the user's shall change the lab.
    return ["env", f"HOME={home(lab)}", str(binaries.bin_dir() / PROGRAM), "server", *listening, *served, *_SMALL]
