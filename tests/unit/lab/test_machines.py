"""What the lab's machines are made of, as far as it can be said without starting one."""

import os
from pathlib import Path

import pytest
import typer
from tests.unit.sealed import keys_of

from slipway.cli.generate import set_up
from slipway.errors import PrerequisiteMissing, UsageError
from slipway.generate.gitops import apps
from slipway.generate.gitops import charts as gitops_charts
from slipway.generate.skeleton import Flake
from slipway.inventory import edit, load
from slipway.lab import account, cgroups, mounts, network, nspawn, prerequisites, repository, rootfs, state
from slipway.lab.settings import Lab, LabRole, Machine

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE52Dut9WaGOK4+VLk/lxDYK45hWFantGsFEEe7b9iF9"
HYBRID = """\
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
cgroup /var/lib/other cgroup rw,pids 0 0
/dev/vda / ext4 rw,relatime 0 0
"""


@pytest.fixture
def lab(tmp_path, monkeypatch) -> Lab:
    monkeypatch.setattr(Lab, "state", property(lambda lab: tmp_path / lab.name))
    return Lab()


class TestSettings:
    def test_default_machines(self):
        found = [(machine.name, machine.address, machine.role) for machine in Lab().machines(1, 2)]
        assert found == [
            ("cp1", "10.77.0.11", LabRole.CONTROLLER),
            ("w1", "10.77.0.21", LabRole.WORKER),
            ("w2", "10.77.0.22", LabRole.WORKER),
        ]

    def test_two_labs_share_nothing(self):
        one, other = (Lab(number).machines(1, 0)[0] for number in (0, 1))
        for attribute in ("address", "folder", "link", "cgroup", "keeper_cgroup", "machine_name"):
            assert getattr(one, attribute) != getattr(other, attribute), attribute
        assert one.lab.bridge != other.lab.bridge
        assert one.lab.lock != other.lab.lock

    def test_names_of_links_fit_the_kernel(self):
        longest = Lab(9).machines(5, 200)[-1]
        assert len(longest.link) <= 15

    @pytest.mark.parametrize(("controllers", "workers"), [(2, 1), (0, 1), (1, 201), (1, -1)])
    def test_numbers_that_make_no_lab_are_refused(self, controllers, workers):
        with pytest.raises(UsageError):
            Lab().machines(controllers, workers)

    def test_an_eleventh_lab_is_refused(self):
        with pytest.raises(UsageError, match="0 to 9"):
            Lab(10)


class TestMirror:
    def write(self, folder: Path, name: str, text: str) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    def debian(self, folder: Path, codename: str = "bookworm") -> None:
        self.write(folder, "os-release", f'ID=debian\nVERSION_CODENAME={codename}\nNAME="Debian GNU/Linux"\n')

    def test_from_a_stanza(self, tmp_path):
        self.debian(tmp_path)
        self.write(
            tmp_path,
            "apt/sources.list.d/debian.sources",
            "Types: deb\n# a comment\nURIs: http://mirror.example/debian/\nSuites: bookworm bookworm-updates\n"
            "Components: main\n\nTypes: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\n"
            "Components: main\n",
        )
        assert rootfs.debian_mirror(tmp_path) == "http://mirror.example/debian"

    def test_from_a_line_with_options(self, tmp_path):
        self.debian(tmp_path)
        line = "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib # ours\n"
        self.write(tmp_path, "apt/sources.list", "# deb http://old.example bookworm main\n" + line)
        assert rootfs.debian_mirror(tmp_path) == "http://mirror.example/debian"

    def test_sources_of_others_are_no_mirror(self, tmp_path):
        self.debian(tmp_path)
        self.write(tmp_path, "apt/sources.list.d/cloud.list", "deb https://packages.example cloud-sdk main\n")
        self.write(
            tmp_path,
            "apt/sources.list.d/off.sources",
            "Types: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n",
        )
        self.write(tmp_path, "apt/sources.list", "deb-src http://source.example/debian bookworm main\n")
        assert rootfs.debian_mirror(tmp_path) == rootfs.FALLBACK_MIRROR

    def test_another_distribution_has_none_for_debian(self, tmp_path):
        self.write(tmp_path, "os-release", "ID=ubuntu\nVERSION_CODENAME=noble\n")
        self.write(tmp_path, "apt/sources.list", "deb http://mirror.example/ubuntu noble main\n")
        assert rootfs.debian_mirror(tmp_path) == rootfs.FALLBACK_MIRROR

    def test_a_machine_without_apt_has_none(self, tmp_path):
        assert rootfs.debian_mirror(tmp_path) == rootfs.FALLBACK_MIRROR


class TestRootfs:
    def test_each_recipe_has_a_place_of_its_own(self):
        assert rootfs.Recipe().path == rootfs.Recipe().path
        assert rootfs.Recipe(packages=("systemd",)).path != rootfs.Recipe().path


class TestHost:
    def test_mounts_come_innermost_first(self, tmp_path):
        mountinfo = tmp_path / "mountinfo"
        mountinfo.write_text(
            "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
            "40 22 0:40 / /lab/a/root rw - overlay o rw\n"
            "41 40 0:41 / /lab/a/root/with\\040blank rw - tmpfs t rw\n"
            "42 22 0:42 / /laboratory rw - tmpfs t rw\n"
        )
        assert mounts.below(Path("/lab"), mountinfo) == [Path("/lab/a/root/with blank"), Path("/lab/a/root")]

    def test_hierarchies_of_control_groups(self, tmp_path):
        (tmp_path / "mounts").write_text(HYBRID)
        found = cgroups.hierarchies(tmp_path / "mounts")
        assert [(each.mount.name, each.version) for each in found] == [("memory", 1), ("cpuset", 1), ("unified", 2)]
        assert "cpuset" in found[1].options

    def test_a_network_that_is_in_use_is_named(self, monkeypatch):
        taken = '[{"ifname": "eth7", "addr_info": [{"local": "10.77.0.200", "prefixlen": 16}]}]'
        monkeypatch.setattr(network, "_ip", lambda *_words: taken)
        with pytest.raises(PrerequisiteMissing, match=r"eth7 has 10\.77\.0\.200/16") as refused:
            network.check_free(Lab())
        assert refused.value.hint == "slipway lab up --lab 1"

    def test_the_bridge_of_the_lab_itself_is_no_conflict(self, monkeypatch):
        own = '[{"ifname": "slipway0", "addr_info": [{"local": "10.77.0.1", "prefixlen": 24}]}]'
        monkeypatch.setattr(network, "_ip", lambda *_words: own)
        network.check_free(Lab())


class TestPrerequisites:
    def test_all_missing_packages_are_named_at_once_with_the_command_that_installs_them(self, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(prerequisites, "find_program", lambda name: None if name in ("nix", "age") else Path(name))
        with pytest.raises(PrerequisiteMissing, match="age gcc nix-bin") as refused:
            prerequisites.check_host(also=["gcc", "age"])
        assert refused.value.hint == "apt-get install -y --no-install-recommends age gcc nix-bin"

    def test_needs_root(self, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(PrerequisiteMissing, match="root"):
            prerequisites.check_host()

    @pytest.mark.parametrize(("text", "version"), [("nix (Nix) 2.8.0\n", (2, 8)), ("nix (Nix) 2.31pre", (2, 31))])
    def test_versions_of_nix(self, text, version):
        assert prerequisites.parse_nix_version(text) == version

    def test_a_disk_without_room_is_refused_before_anything_is_made(self, tmp_path):
        names = [f"w{n}" for n in range(10**6)]
        with pytest.raises(PrerequisiteMissing, match="GB are free"):
            prerequisites.check_room(tmp_path / "not" / "there", names, rootfs_made=True)
        prerequisites.check_room(tmp_path, [], rootfs_made=True)


class TestState:
    def test_what_is_recorded_is_found_again_in_order(self, lab):
        for machine in reversed(lab.machines(3, 12)):
            machine.folder.mkdir(parents=True)
            state.record(machine, Path("/cache/rootfs"))
        assert state.recorded(lab) == lab.machines(3, 12)
        assert state.rootfs_of(state.find(lab, "w12")) == Path("/cache/rootfs")

    def test_a_machine_that_was_never_finished_is_a_trace_only(self, lab):
        whole, half, torn = lab.machines(1, 2)
        for machine in (whole, half, torn):
            machine.folder.mkdir(parents=True)
        state.record(whole, Path("/cache/rootfs"))
        (torn.folder / "machine.json").write_text('{"addr')
        assert state.recorded(lab) == (whole,)
        assert {machine.name for machine in state.traces(lab)} == {"cp1", "w1", "w2"}

    def test_an_unknown_machine_is_told_the_known_ones(self, lab):
        with pytest.raises(UsageError, match=r"w9: no such machine .* none"):
            state.find(lab, "w9")


class TestProcess:
    def test_an_inherited_number_is_not_the_machine(self, lab):
        (machine,) = lab.machines(1, 0)
        machine.folder.mkdir(parents=True)
        machine.pid_file.write_text(f"{os.getpid()} {nspawn.start_time(os.getpid())}\n")
        assert nspawn.pid(machine) == os.getpid()
        machine.pid_file.write_text(f"{os.getpid()} 1\n")
        assert nspawn.pid(machine) is None

    @pytest.mark.parametrize("text", ["", "12", "x y z"])
    def test_a_torn_pid_file_is_no_machine(self, lab, text):
        (machine,) = lab.machines(1, 0)
        machine.folder.mkdir(parents=True)
        machine.pid_file.write_text(text)
        assert nspawn.pid(machine) is None

    def test_a_dead_process_has_no_start_time(self):
        child = os.fork()
        if child == 0:
            os._exit(0)
        # Without its exit code being asked for, it stays in the table of processes as a zombie.
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert nspawn.start_time(child) is None
        os.waitpid(child, 0)
        assert nspawn.start_time(child) is None


class TestRepository:
    @pytest.fixture
    def machines(self, lab) -> tuple[Machine, ...]:
        made: tuple[Machine, ...] = lab.machines(3, 1)
        lab.identity.parent.mkdir(parents=True)
        lab.identity.with_suffix(".pub").write_text(f"{PUBLIC_KEY} lab\n")
        for machine in made:
            machine.folder.mkdir(parents=True)
            state.record(machine, Path("/cache/rootfs"))
            pin = lab.identity.parent / f"host-{machine.name}.pub"
            pin.write_text(f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{machine.name} lab\n")
        return made

    def test_its_inventory_is_valid_and_names_the_machines_of_the_lab(self, lab, machines, tmp_path):
        repository.write(lab, tmp_path / "demo")
        inventory = load(tmp_path / "demo" / "inventory.yaml")
        assert [(host.name, host.address) for host in inventory.hosts] == [
            (machine.name, machine.address) for machine in machines
        ]
        assert [host.name for host in inventory.controllers] == ["cp1", "cp2", "cp3"]
        assert inventory.hosts[0].ssh.identity == lab.identity
        assert set(inventory.mirrors.charts) >= {"oci://quay.io/cilium/charts"}

    @pytest.mark.parametrize("last", ["cluster-base-apps", "cluster-apps"])
    def test_with_a_later_stage_it_names_the_account_and_what_the_lab_has_not(self, lab, machines, tmp_path, last):
        lab.state.mkdir(parents=True, exist_ok=True)
        (lab.state / "until").write_text(f"{last}\n")
        repository.write(lab, tmp_path / "demo")
        inventory = load(tmp_path / "demo" / "inventory.yaml")
        stages = inventory.stages
        assert (stages.until, stages.mode, stages.code_hosting.kind) == (last, "install", "none")
        assert stages.backup.repository == "s3:http://10.77.0.1:8333/backups"
        charts = {gitops_charts.chart(inventory, app.chart) for app in apps.of(inventory) if app.chart}
        assert {chart.repository for chart in charts} == {"oci+http://10.77.0.1:5000/charts"}, "each has a stand-in"
        kinds = {gitops_charts.definitions(inventory, name) for name in gitops_charts.DEFINITIONS}
        assert {each.url for each in kinds} == {"oci+http://10.77.0.1:5000/charts"}
        own = {app.name for app in apps.in_stage(inventory, "cluster-apps")}
        assert own == ({"sample"} if last == "cluster-apps" else set())

    def test_with_another_account_there_is_nothing_to_restore(self, lab, machines, tmp_path, monkeypatch):
        keys_of(monkeypatch, tmp_path / "config")
        (lab.state / "until").write_text("cluster-apps\n")
        demo = tmp_path / "demo"
        repository.write(lab, demo)
        set_up(demo, repository.CLUSTER, Flake())
        assert demo / repository.ACCOUNT.file in repository.fill(lab, demo)
        edit.change(demo / "inventory.yaml", ("stages", "mode"), "restore")
        assert demo / repository.ACCOUNT.file not in repository.fill(lab, demo)
        assert load(demo / "inventory.yaml").stages.mode == "restore", "what was saved there is there"
        (account.home(lab) / "login.json").unlink()
        assert demo / "inventory.yaml" in repository.fill(lab, demo)
        assert load(demo / "inventory.yaml").stages.mode == "install"

    def test_what_it_tells_that_it_wrote_is_there_in_a_folder_named_from_here_as_well(
        self, lab, machines, tmp_path, monkeypatch
    ):
        keys_of(monkeypatch, tmp_path / "config")
        monkeypatch.chdir(tmp_path)
        (lab.state / "until").write_text("cluster-apps\n")
        demo = Path("demo")
        repository.write(lab, demo)
        set_up(demo, repository.CLUSTER, Flake())
        told = [*repository.fill(lab, demo)]
        (account.home(lab) / "login.json").unlink()
        told += repository.fill(lab, demo)
        assert len(told) > 2
        assert [path for path in told if not path.exists()] == []

    def test_several_controllers_have_a_virtual_address_that_no_machine_has(self, lab, machines, tmp_path):
        repository.write(lab, tmp_path / "demo")
        inventory = load(tmp_path / "demo" / "inventory.yaml")
        assert inventory.cluster.network.vip is not None
        assert inventory.cluster.network.vip.address == "10.77.0.10/24"
        assert "10.77.0.10" not in {machine.address for machine in machines}
        assert inventory.node_local_load_balancing

    def test_a_single_controller_has_none(self, lab, machines, tmp_path, monkeypatch):
        alone = tuple(machine for machine in machines if machine.name not in ("cp2", "cp3"))
        monkeypatch.setattr(repository, "recorded", lambda _lab: alone)
        repository.write(lab, tmp_path / "demo")
        assert load(tmp_path / "demo" / "inventory.yaml").cluster.network.vip is None

    def test_keys_are_pinned_beside_those_of_others(self, lab, machines, tmp_path):
        known_hosts = tmp_path / "known_hosts"
        known_hosts.write_text("10.0.0.1 ssh-ed25519 AAAAother\n10.77.0.11,cp1 ssh-ed25519 AAAAold\n")
        repository.write(lab, tmp_path)
        lines = known_hosts.read_text().splitlines()
        assert lines[0] == "10.0.0.1 ssh-ed25519 AAAAother"
        assert lines[1] == "10.77.0.11,cp1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIcp1"
        assert len(lines) == 1 + len(machines)

    def test_an_inventory_that_is_there_is_the_users(self, lab, machines, tmp_path):
        (tmp_path / "inventory.yaml").write_text("mine\n")
        assert repository.write(lab, tmp_path) == (tmp_path / "known_hosts",)
        assert repository.write(lab, tmp_path) == (), "control: nothing is left to change"
        assert (tmp_path / "inventory.yaml").read_text() == "mine\n"

    def test_without_machines_there_is_nothing_to_write_about(self, lab, tmp_path):
        with pytest.raises(UsageError, match="no machines"):
            repository.write(lab, tmp_path / "demo")
        assert not (tmp_path / "demo").exists()


class TestCommand:
    @pytest.mark.parametrize(
        ("typed", "sent"),
        [((), []), (("uptime | wc",), ["uptime | wc"]), (("sh", "-c", "echo a  b"), ["sh -c 'echo a  b'"])],
    )
    def test_ssh_sends_one_word_as_a_line_and_several_as_one_command(self, lab, monkeypatch, typed, sent):
        from slipway.cli import lab as cli

        (machine,) = lab.machines(1, 0)
        machine.folder.mkdir(parents=True)
        state.record(machine, Path("/cache/rootfs"))
        became: list[str] = []
        monkeypatch.setattr(cli, "replace", became.extend)
        cli.ssh("cp1", list(typed), 0)
        assert became[0] == "ssh"
        assert became[became.index("root@10.77.0.11") + 1 :] == sent

    def test_every_command_has_an_example(self):
        from slipway.cli.lab import app

        group = typer.main.get_command(app)
        for name, command in group.commands.items():  # type: ignore[attr-defined]
            assert "Example:" in (command.help or ""), name
