"""Commands in the network of a canary, as a program in that pod would run them."""

from __future__ import annotations

from slipway.inventory import Host
from slipway.verify.canary import Canaries
from slipway.verify.check import CannotRun

# The network of a pod is that in which its address is; a container's name would be another one for every runtime.
INSIDE = """
for pid in $(lsns --type net --noheadings --raw --output PID); do
  if nsenter --net --target "$pid" ip -o address show 2>/dev/null | grep -q -F " $0/"; then
    exec nsenter --net --target "$pid" "$@"
  fi
done
echo "no network of this machine has the address $0" >&2
exit 3
"""


def inside(node: Host, canaries: Canaries) -> tuple[str, ...]:
    """Words before a command that run it in the network of the node's canary. Raises CannotRun where it has none."""
    mine = canaries[node.name]
    if not mine.addresses:
        raise CannotRun(f"the canary of {node.name} has no address: {mine.state}")
    return ("sh", "-c", INSIDE, mine.addresses[0])
