"""Which k0s a lab's machines get, and what stands before the real one there. Programs are fakes of a few lines."""

import json
import os
import shlex
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from slipway.errors import PrerequisiteMissing, UsageError
from slipway.events import Events
from slipway.lab import images, k0s, nspawn, releases, state
from slipway.lab.builds import K0s
from slipway.lab.k0s import NAMED, Choice
from slipway.lab.settings import IMAGES, PROGRAMS, Lab

VERSION = "1.36.3+k0s.2"
PAUSE, KUBE_ROUTER = "quay.io/k0sproject/pause:3.10.2-0", "quay.io/k0sproject/kube-router:v2"
WRAPPER = Path(k0s.__file__).with_name("k0s.sh")


@pytest.fixture
def lab(tmp_path, monkeypatch) -> Lab:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Lab, "state", property(lambda lab: tmp_path / lab.name))
    monkeypatch.setattr(Lab, "lock", property(lambda lab: tmp_path / f"{lab.name}.lock"))
    monkeypatch.delenv(NAMED, raising=False)
    return Lab(3)


def fake(path: Path, version: str = f"v{VERSION}") -> Path:
    """A fake of k0s that tells this version, and the images that k0s asks for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'#!/bin/sh\ncase "$*" in\nversion) echo {version} ;;\n'
        f'"airgap list-images --all") echo {PAUSE} {KUBE_ROUTER} ;;\n'
        "*) exit 1 ;;\nesac\n"
    )
    path.chmod(0o755)
    return path


def with_machine(lab: Lab) -> None:
    machine = lab.machine("cp1", lab.machines(1, 0)[0].role, 11)
    machine.folder.mkdir(parents=True)
    state.record(machine, Path("/cache/rootfs"))


def settle(lab: Lab, release: str | None = None) -> Choice:
    return k0s.settle(lab, Events(), release)


class TestChoice:
    def test_a_new_lab_has_the_stand_in(self, lab):
        assert settle(lab) == Choice(K0s.STAND_IN)
        assert str(settle(lab)) == "the stand-in for k0s"

    def test_a_named_file_is_copied_so_that_the_lab_keeps_it(self, lab, tmp_path, monkeypatch):
        monkeypatch.setenv(NAMED, str(fake(tmp_path / "mine")))
        assert settle(lab) == Choice(K0s.BARE, f"v{VERSION}")
        (tmp_path / "mine").unlink()
        assert (lab.k0s / "bin" / "real" / "k0s").read_text().startswith("#!/bin/sh\ncase")
        assert os.access(lab.k0s / "bin" / "k0s", os.X_OK)

    def test_a_file_that_a_browser_made_need_not_be_executable(self, lab, tmp_path, monkeypatch):
        monkeypatch.setenv(NAMED, str(fake(tmp_path / "mine")))
        (tmp_path / "mine").chmod(0o644)
        assert settle(lab).version == f"v{VERSION}"

    def test_a_release_comes_before_a_named_file(self, lab, tmp_path, monkeypatch):
        monkeypatch.setenv(NAMED, str(fake(tmp_path / "mine", "v0")))
        monkeypatch.setattr(releases, "k0s", lambda version, _events: fake(tmp_path / "real", f"v{version}"))
        assert settle(lab, VERSION).version == f"v{VERSION}"

    def test_a_lab_with_machines_keeps_what_it_has(self, lab, tmp_path, monkeypatch):
        monkeypatch.setenv(NAMED, str(fake(tmp_path / "mine")))
        first = settle(lab)
        with_machine(lab)
        assert settle(lab) == first, "the same file again"
        monkeypatch.delenv(NAMED)
        assert settle(lab) == first
        monkeypatch.setattr(releases, "k0s", lambda *_: pytest.fail("nothing is downloaded for a lab that has it"))
        assert settle(lab, VERSION) == first

    def test_a_lab_with_machines_takes_no_other(self, lab, tmp_path, monkeypatch):
        with_machine(lab)
        with pytest.raises(UsageError, match=r"--k0s 1\.36\.3.*have the stand-in for k0s"):
            settle(lab, VERSION)
        monkeypatch.setenv(NAMED, str(fake(tmp_path / "mine")))
        with pytest.raises(UsageError, match=f"{NAMED}=.*have the stand-in"):
            settle(lab)
        assert not lab.k0s.exists()

    def test_nor_another_release_or_file(self, lab, tmp_path, monkeypatch):
        monkeypatch.setenv(NAMED, str(fake(tmp_path / "mine")))
        settle(lab)
        with_machine(lab)
        with pytest.raises(UsageError, match=rf"--k0s 1\.35\.7.*have k0s v{VERSION.replace('+', '.')}") as refused:
            settle(lab, "1.35.7+k0s.0")
        assert "slipway lab down" in str(refused.value.hint)
        fake(tmp_path / "mine", "v1.36.4+k0s.0")
        with pytest.raises(UsageError, match=NAMED):
            settle(lab)

    def test_without_machines_the_next_choice_counts(self, lab, tmp_path, monkeypatch):
        monkeypatch.setenv(NAMED, str(fake(tmp_path / "mine")))
        settle(lab)
        monkeypatch.delenv(NAMED)
        assert settle(lab) == Choice(K0s.STAND_IN)
        assert not lab.k0s.exists()

    @pytest.mark.parametrize("content", ["#!/bin/sh\nexit 3\n", "#!/bin/sh\n", "no program\n"])
    def test_what_is_no_k0s_is_refused_and_nothing_of_it_stays(self, lab, tmp_path, monkeypatch, content):
        (tmp_path / "mine").write_text(content)
        monkeypatch.setenv(NAMED, str(tmp_path / "mine"))
        with pytest.raises(UsageError, match="mine: it does not tell its version as k0s does"):
            settle(lab)
        assert not lab.k0s.exists()

    def test_a_file_that_is_not_there_is_named(self, lab, tmp_path, monkeypatch):
        monkeypatch.setenv(NAMED, str(tmp_path / "nothing"))
        with pytest.raises(UsageError, match="nothing: No such file"):
            settle(lab)

    def test_a_program_that_carries_others_is_a_released_one(self, lab, tmp_path, monkeypatch):
        monkeypatch.setattr(k0s, "_version", lambda *_: f"v{VERSION}")
        plain = tmp_path / "plain"
        header = bytearray(64)
        header[:6] = b"\x7fELF\x02\x01"
        struct.pack_into("<Q", header, 40, 64)
        plain.write_bytes(bytes(header))
        for payload, kind in ((b"", K0s.BARE), (bytes(2 << 20), K0s.RELEASED)):
            (tmp_path / "mine").write_bytes(plain.read_bytes() + payload)
            monkeypatch.setenv(NAMED, str(tmp_path / "mine"))
            assert settle(lab).kind is kind


class TestMachines:
    def test_the_real_one_lies_above_the_labs_programs(self, lab, tmp_path, monkeypatch):
        machine = lab.machines(1, 0)[0]
        assert not [word for word in nspawn.command(machine) if "k0s/bin" in word or word.startswith("--overlay-ro")]
        monkeypatch.setenv(NAMED, str(fake(tmp_path / "mine")))
        settle(lab)
        words = nspawn.command(machine)
        cache = tmp_path / "cache" / "slipway" / "lab"
        assert f"--overlay-ro={cache / 'bin'}:{lab.k0s / 'bin'}:{PROGRAMS}" in words
        layers = f"{lab.images}:{lab.k0s / 'images'}:{machine.changes('images')}"
        assert f"--overlay={layers}:{IMAGES}" in words

    def test_images_are_made_under_the_names_that_this_k0s_asks_for(self, lab, tmp_path, monkeypatch):
        wanted = []
        monkeypatch.setattr(images, "ensure_for_k0s", lambda names, target, _events: wanted.append((names, target)))
        k0s.make_images(lab, Events())
        assert wanted == [], "the stand-in asks for none"
        monkeypatch.setenv(NAMED, str(fake(tmp_path / "mine")))
        settle(lab)
        k0s.make_images(lab, Events())
        assert wanted == [([PAUSE, KUBE_ROUTER], lab.k0s / "images")]


class Node:
    """A machine as the wrapper sees it: its places in a folder, k0s and mount as fakes that note their words."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("proc/kernel", "proc/vm", "cgroup/cpuset", "programs"):
            (root / folder).mkdir(parents=True)
        (root / "proc/kernel/panic").write_text("0\n")
        (root / "proc/vm/panic_on_oom").write_text("0\n")
        self.cgroup = root / "cgroup"
        for name, content in {"cgroup.procs": "", "cpuset.cpus": "0-1\n", "cpuset.mems": "0\n"}.items():
            (self.cgroup / "cpuset" / name).write_text(content)
        self.program("mount", f'echo "$@" >>{root}/mounts')
        self.program("hostname", "echo w1")
        self.version("v1.36.3+k0s.2")
        text = WRAPPER.read_text()
        for place, moved in {
            "/opt/slipway-lab/bin/real": root / "programs", "/proc/sys/": f"{root}/proc/", "/etc/k0s": root / "etc",
            "/run/slipway-lab": root / "run", "/var/lib/k0s": root / "data", "/sys/fs/cgroup": self.cgroup,
        }.items():  # fmt: skip
            assert place in text
            text = text.replace(place, str(moved))
        self.script = root / "k0s.sh"
        self.script.write_text(text)

    def program(self, name: str, line: str) -> None:
        path = self.root / "programs" / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def version(self, said: str) -> None:
        self.program("k0s", f'[ "$*" != version ] || {{ echo {said}; exit; }}\nfor word; do echo "$word"; done')

    def start(self, *words: str) -> list[str]:
        """The words that the real k0s gets."""
        done = run_in(self, *words)
        done.check_returncode()
        return done.stdout.splitlines()


def run_in(node: Node, *words: str) -> subprocess.CompletedProcess[str]:
    path = f"{node.root / 'programs'}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", node.script, *words], env={"PATH": path}, capture_output=True, text=True, check=False, timeout=30
    )


@pytest.fixture
def node(tmp_path) -> Node:
    return Node(tmp_path)


class TestWrapper:
    def test_what_starts_nothing_passes_untouched(self, node):
        assert node.start("status", "-o", "json") == ["status", "-o", "json"]
        assert node.start("kubectl", "get", "a  b") == ["kubectl", "get", "a  b"]
        assert not (node.root / "etc").exists()

    def test_the_users_words_for_kubelet_come_last(self, node):
        words = node.start("worker", "--kubelet-extra-args=--node-ip=10.0.0.1 --v=3", "--token-file=/etc/k0s/k0stoken")
        assert words[0] == "worker"
        assert words[1].startswith("--kubelet-extra-args=--feature-gates=KubeletInUserNamespace=true ")
        assert f" --resolv-conf={node.root}/run/resolv.conf " in words[1]
        assert (node.root / "run/resolv.conf").read_text() == "nameserver 192.0.2.1\n"
        assert words[1].endswith(" --node-ip=10.0.0.1 --v=3")
        assert "--token-file=/etc/k0s/k0stoken" in words
        assert len([word for word in words if word.startswith("--kubelet-extra-args")]) == 1

    def test_a_controller_without_words_for_kubelet_gets_them_and_no_metrics_server(self, node):
        words = node.start("controller", "--config=/etc/k0s/k0s.yaml", "--enable-worker")
        assert words[:3] == ["controller", "--config=/etc/k0s/k0s.yaml", "--enable-worker"]
        assert "--disable-components=metrics-server" in words
        assert any(word.startswith("--kubelet-extra-args=") for word in words)

    def test_where_control_groups_are_of_version_1_it_makes_its_own_and_k0s_is_lenient(self, node):
        words = node.start("worker")
        assert "--ignore-pre-flight-checks" in words
        assert any("--fail-cgroupv1=false --cgroup-root=/w1" in word for word in words)
        assert (node.cgroup / "cpuset" / "w1").is_dir()

    @pytest.mark.skipif(shutil.which("jq") is None, reason="jq, which every machine of the lab has")
    def test_sysinfo_says_of_version_1_what_the_lab_does_and_refuses_all_else(self, node):
        def found(name: str) -> dict[str, str]:
            return {"displayName": name, "category": "rejected", "prop": "version 1", "message": "not supported"}

        def answer(*entries: dict[str, str]) -> subprocess.CompletedProcess[str]:
            node.program("k0s", f"echo {shlex.quote(json.dumps(entries))}; exit 1")
            return run_in(node, "sysinfo", "--worker=true", "-o", "json")

        ran = answer(found("Control Groups"))
        assert (ran.returncode, json.loads(ran.stdout)[0]["category"]) == (0, "warning")
        assert "slipway lab starts k0s nevertheless" in ran.stdout
        ran = answer(found("Control Groups"), found("Name resolution"))
        assert (ran.returncode, [entry["category"] for entry in json.loads(ran.stdout)]) == (1, ["warning", "rejected"])
        (node.cgroup / "cgroup.controllers").touch()
        assert json.loads(answer(found("Control Groups")).stdout) == [found("Control Groups")]

    def test_where_they_are_of_version_2_it_does_neither(self, node):
        shutil.rmtree(node.cgroup / "cpuset")
        (node.cgroup / "cgroup.controllers").touch()
        words = node.start("worker")
        assert "--ignore-pre-flight-checks" not in words
        assert not any("cgroup-root" in word for word in words)

    @pytest.mark.parametrize(
        ("release", "version", "plugin"),
        [
            ("v1.34.10+k0s.0", 2, "io.containerd.grpc.v1.cri"),
            ("v1.35.7+k0s.0", 2, "io.containerd.grpc.v1.cri"),
            ("v1.36.3+k0s.2", 3, "io.containerd.cri.v1.runtime"),
            ("v1.40.0+k0s.0", 3, "io.containerd.cri.v1.runtime"),
        ],
    )
    def test_containerds_drop_in_is_of_the_version_that_this_release_reads(self, node, release, version, plugin):
        node.version(release)
        node.start("worker")
        text = (node.root / "etc/containerd.d/slipway-lab.toml").read_text()
        assert text == f'version = {version}\n[plugins."{plugin}"]\n  restrict_oom_score_adj = true\n'

    def test_k0s_finds_iptables_by_the_names_in_its_own_folder(self, node):
        node.start("controller")
        for name in ("xtables-legacy-multi", "xtables-nft-multi"):
            assert (node.root / "data/bin" / name).readlink() == Path("/usr/sbin") / name
        (node.root / "data/bin/xtables-nft-multi").unlink()
        (node.root / "data/bin/xtables-nft-multi").write_text("k0s's own")
        node.start("controller")
        assert (node.root / "data/bin/xtables-nft-multi").read_text() == "k0s's own"

    def test_kubelet_sees_the_settings_that_it_wants_and_those_that_fit_stay(self, node):
        node.start("worker")
        shown = node.root / "run/sysctl/kernel.panic"
        assert shown.read_text() == "10\n"
        assert (node.root / "mounts").read_text() == f"--bind {shown} {node.root}/proc/kernel/panic\n"


def test_a_download_that_fails_leaves_the_lab_as_it_was(lab, monkeypatch):
    def refuse(*_):
        raise PrerequisiteMissing("no server")

    monkeypatch.setattr(releases, "k0s", refuse)
    with pytest.raises(PrerequisiteMissing):
        settle(lab, VERSION)
    assert settle(lab) == Choice(K0s.STAND_IN)
