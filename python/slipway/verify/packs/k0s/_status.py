"""`k0s status`."""

from __future__ import annotations

import json

from slipway.verify.backend import NodeHost

COMMAND = "k0s status -o json"


class K0sStatus:
    """What k0s says about itself, over its status socket.

    >>> K0sStatus(host).version
    'v1.36.3+k0s.2'
    """

    def __init__(self, host: NodeHost) -> None:
        # 1: k0s does not run; what it says then is no JSON.
        answer = host.run_expect([0, 1], COMMAND)
        self.running = answer.rc == 0
        self.said = answer.stderr.strip()
        known = json.loads(answer.stdout) if self.running else {}
        self.role = str(known.get("Role", ""))
        self.version = str(known.get("Version", ""))
        self.workloads = bool(known.get("Workloads", False))
        self.single = bool(known.get("SingleNode", False))
        connection = known.get("WorkerToAPIConnectionStatus") or {}
        self.connected = bool(connection.get("Success", False))
        self.connection_error = str(connection.get("Message", ""))
