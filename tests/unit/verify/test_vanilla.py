"""Files as other people write them for pytest-testinfra run unchanged in verify/, over a real sshd."""

import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.verify.fakes import Canned, FakeHost
from tests.unit.verify.machines import HERE

from slipway.inventory import load
from slipway.result import CommandResult
from slipway.ssh.host import Remote
from slipway.verify.result import Verdict
from slipway.verify.runner import verify

FACTS = f"/nix/store/system\n/nix/store/system\nthis-boot\n{'a' * 32}\nw1\n\n\n"

MODULES = """
import getpass
import unittest

import pytest


def test_file(host):
    hosts = host.file("/etc/passwd")
    assert hosts.exists and hosts.is_file and not hosts.is_directory
    assert hosts.user == "root" and hosts.group == "root"
    assert hosts.mode & 0o022 == 0
    assert hosts.contains("^root:")
    assert "root" in hosts.content_string and hosts.size > 0
    assert host.file("/etc").is_directory
    assert not host.file("/no/such/file").exists


def test_user_and_group(host):
    root = host.user("root")
    assert root.exists and root.uid == 0 and root.gid == 0 and root.home == "/root"
    assert not host.user("nobody-of-this-name").exists
    assert host.group("root").exists and host.group("root").gid == 0


def test_process(host):
    assert host.process.filter(user=getpass.getuser(), comm="sshd")


def test_interface(host):
    lo = host.interface("lo")
    assert lo.exists and "127.0.0.1" in lo.addresses
    assert not host.interface("nonet0").exists


def test_mount_point(host):
    proc = host.mount_point("/proc")
    assert proc.exists and proc.filesystem == "proc"
    assert not host.mount_point("/no/such/place").exists


def test_sysctl(host):
    assert host.sysctl("kernel.ostype") == "Linux"


def test_addr(host):
    local = host.addr("127.0.0.1")
    assert local.is_resolvable and local.port(PORT).is_reachable
    assert not local.port(1).is_reachable


def test_socket(host):
    assert host.socket("tcp://127.0.0.1:PORT").is_listening
    assert not host.socket("tcp://127.0.0.1:1").is_listening


def test_system_info(host):
    assert host.system_info.type == "linux"
    assert host.system_info.distribution


def test_service(host):
    ssh = host.service("sshd")
    assert ssh.is_running and ssh.is_enabled and ssh.is_valid
    assert not host.service("no-such-unit").is_running


def test_package(host):
    openssh = host.package("openssh")
    assert openssh.is_installed and openssh.version == "10.2p1"
    assert host.package("openssh-10.2p1").is_installed
    assert host.package("/nix/store/" + "a" * 32 + "-openssh-10.2p1").is_installed
    assert not host.package("nginx").is_installed


@pytest.fixture(params=["/etc/passwd", "/etc/group"])
def path(request):
    return request.param


def test_parametrised_fixture(host, path):
    assert host.file(path).is_file


def test_skips_by_itself(host):
    if not host.file("/no/such/file").exists:
        pytest.skip("not on this machine")


def test_check_output_quotes(host):
    assert host.check_output("echo %s", "a  'b' $HOME") == "a  'b' $HOME"


def test_sudo(host):
    with host.sudo():
        assert host.check_output("id -un") == "root"


@pytest.mark.parametrize("path, kind", [("/dev/null", "character"), ("/etc", "directory")])
def test_parametrised(host, path, kind):
    assert host.file(path).exists


@pytest.fixture(scope="module")
def release(host):
    return host.run("uname -r").stdout.strip()


def test_fixture(release):
    assert release[0].isdigit()


@pytest.mark.skip(reason="on machines with a colour screen")
def test_marked_skip(host):
    assert False


@pytest.mark.skipif("not __import__('os').path.exists('/')", reason="never")
def test_skipif(host):
    assert host.run("true").rc == 0


@pytest.mark.xfail(reason="known")
def test_xfail(host):
    assert host.file("/no/such/file").exists


@pytest.mark.slow
def test_marked_by_its_author(host):
    assert host.run("true").succeeded


def test_finds_and_environment(host):
    assert host.exists("sh") and host.find_command("sh")
    assert "PATH" in host.environment()


class TestOld(unittest.TestCase):
    def test_old(self):
        self.assertEqual(1, 1)


def test_logs(host, caplog):
    assert host.run("true").rc == 0


class TestGrouped:
    def test_in_a_class(self, host):
        assert host.run_test("test -e /").rc == 0


def test_many(host, subtests):
    for path in ("/etc", "/proc"):
        with subtests.test(path=path):
            assert host.file(path).is_directory
"""


PROGRAMS = {
    "systemctl": """#!/bin/sh
case "$*" in
  "is-active sshd") echo active ;;
  is-active*) echo inactive; exit 3 ;;
  "is-enabled sshd") echo enabled ;;
  *) exit 1 ;;
esac
""",
    "systemd-analyze": "#!/bin/sh\nexit 0\n",
    "nix-store": f"#!/bin/sh\necho /nix/store/{'a' * 32}-openssh-10.2p1; echo /nix/store/{'b' * 32}-bash-5.3\n",
}
"""What the machine that runs the tests may lack: fakes of systemd's and Nix's programs."""


class Node(FakeHost):
    """The sshd of the tests, as a node that tells facts of NixOS and finds the fake programs in `folder`."""

    def __init__(self, remote: Remote, folder: Path) -> None:
        super().__init__("w1", lambda _: Canned("", f"{FACTS}{time.time()}\n"))
        self._remote = remote
        for name, text in PROGRAMS.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        systemd = '[ "$2" = /run/systemd/system/ ] || command test "$@"'
        self._around = f"PATH={folder}:$PATH; test() {{ {systemd}; }}; "

    def run(self, argv: Sequence[str], **options: Any) -> CommandResult:
        if "boot_id" in argv[-1]:
            return super().run(argv)
        return self._remote.run([*argv[:-1], self._around + argv[-1]], **options)


@pytest.fixture
def asked(tmp_path, remote, sshd):
    (tmp_path / "inventory.yaml").write_text((HERE / "inventory.yaml").read_text())
    folder = tmp_path / "verify"
    folder.mkdir()
    inventory = load(tmp_path / "inventory.yaml")

    programs = tmp_path / "programs"
    programs.mkdir()

    def ask(text):
        (folder / "test_vanilla.py").write_text(textwrap.dedent(text).replace("PORT", str(sshd.port)))
        (result,) = verify(inventory, [inventory.host("w1")], lambda _: Node(remote, programs), packs=["user"]).nodes
        return {c.id.removeprefix("user.test_vanilla."): c for c in result.checks}

    return ask


def test_files_of_other_people_work_unchanged(asked):
    """Modules of testinfra, sudo, parameters, fixtures, classes, unittest, subtests, and marks of one's own."""
    found = asked(MODULES)
    odd = {name: check for name, check in found.items() if check.verdict is not Verdict.PASSED}
    assert {name: (check.verdict, check.reason) for name, check in odd.items()} == {
        "marked_skip": (Verdict.SKIPPED, "on machines with a colour screen"),
        "xfail": (Verdict.SKIPPED, "known"),
        "skips_by_itself": (Verdict.SKIPPED, "not on this machine"),
    }, [check.finding for check in odd.values()]
    assert {"parametrised[/etc-directory]", "in_a_class", "many", "many[2]", "old"} <= set(found)


def test_control_what_fails_in_such_files_is_red(asked):
    found = asked(
        """
        import unittest

        import pytest

        def test_file(host):
            assert host.file("/no/such/file").exists

        def test_port(host):
            assert host.socket("tcp://127.0.0.1:1").is_listening

        @pytest.mark.parametrize("name", ["root", "nobody-of-this-name"])
        def test_user(host, name):
            assert host.user(name).exists

        def test_many(host, subtests):
            for path in ("/etc", "/no/such/folder"):
                with subtests.test(path=path):
                    assert host.file(path).is_directory

        class TestOld(unittest.TestCase):
            def test_old(self):
                self.assertEqual(1, 2)
        """
    )
    assert {name for name, check in found.items() if check.verdict is Verdict.FAILED} == {
        "file", "port", "user[nobody-of-this-name]", "many[2]", "old",
    }  # fmt: skip
