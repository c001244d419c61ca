"""The key that a node is born with, as OpenSSH sees it."""

import subprocess

from slipway.install import hostkey
from slipway.ssh.keys import describe, from_line


def test_openssh_takes_it(tmp_path):
    made = hostkey.make("w1")
    file = tmp_path / "key"
    file.touch(mode=0o600)
    file.write_bytes(made.private.reveal())
    derived = subprocess.run(["ssh-keygen", "-y", "-f", file], capture_output=True, text=True, check=True).stdout
    assert derived.split()[:2] == made.public.split()[:2]
    shown = subprocess.run(["ssh-keygen", "-lf", "-"], input=made.public, capture_output=True, text=True, check=True)
    assert describe(from_line(made.public)).split()[1] in shown.stdout


def test_it_prints_as_a_mask():
    assert "PRIVATE" not in repr(hostkey.make("w1"))


def test_two_are_not_the_same():
    assert hostkey.make("w1").public != hostkey.make("w1").public


def test_what_lies_there_is_found(remote, tmp_path):
    assert hostkey.there(remote, str(tmp_path)) == ""
    made = hostkey.make("w1")
    hostkey.put(remote, str(tmp_path), made)
    assert hostkey.there(remote, str(tmp_path)) == made.public.strip()
