"""What has to be cleared up is, over a connection of its own if need be. With a real sshd."""

import pytest

from slipway.cluster.cleanup import at_last
from slipway.errors import Interrupted
from slipway.ssh.pool import Pool


def test_a_shut_machine_is_reached_over_a_new_connection(sshd, tmp_path):
    left = tmp_path / "left"
    left.touch()
    with Pool([sshd.endpoint], sshd.known_hosts) as pool:
        machine = pool.host("node")
        machine.run(["true"])
        pool.shut()
        with pytest.raises(Interrupted):
            machine.run(["true"])
        at_last(machine, lambda host: host.run(["rm", str(left)]))
    assert not left.exists()
