"""A worker's k0s that waits for its control plane: the scripts as the machine would run them, and their units."""

import base64
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

UNITS = "config.systemd.services"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nof the cluster\n"


@pytest.fixture
def scripts(evaluate, tmp_path):
    """The two scripts with the programs of the machine that runs the test, and places below a folder."""

    def written(wanted: str) -> str:
        out = tmp_path / "out"
        build = evaluate(f"{UNITS}.{wanted}.script", "worker")
        subprocess.run(["bash", "-ec", build], env={"out": str(out), "PATH": os.environ["PATH"]}, check=True)
        text: str = out.read_text()
        assert "\nPATH=/" in text
        places = str(text).replace("/var/lib/k0s", str(tmp_path)).replace("/run/slipway", str(tmp_path))
        return places.replace("\nPATH=/", f"\nPATH={tmp_path}/bin:/usr/bin:/bin #/")

    ahead = written("k0s.serviceConfig.ExecCondition")
    follow = written("slipway-k0s-follow.serviceConfig.ExecStart")
    named = evaluate(f'"${{{UNITS}.k0s.serviceConfig.ExecCondition}}"', "worker")
    return ahead, follow.replace(named, f"bash {tmp_path}/ahead")


@dataclass
class Worker:
    """A worker in a folder. Its programs are fakes that say what these fields hold and write down their calls."""

    folder: Path
    ahead: str
    follow: str
    k0s: str = "v1.36.3+k0s.2"
    serves: dict[str, str] = field(default_factory=lambda: {"10.0.0.11": "36", "10.0.0.12": "36"})
    """Controller to the minor version that it answers with; the others do not answer."""
    result: str = "success"
    runs_with: str | None = "/nix/store/old"

    def program(self, name: str, body: str) -> None:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def joined(self) -> None:
        data = base64.b64encode(CERTIFICATE.encode()).decode()
        lines = [
            f"    certificate-authority-data: {data}",
            f"    client-certificate: {self.folder}/client.pem",
            f"    client-key: {self.folder}/client.pem",
        ]
        (self.folder / "kubelet.conf").write_text("\n".join(["apiVersion: v1", *lines, ""]))

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        asked = f'echo "$@" >>{self.folder}/asked; [ "$(cat)" = "{CERTIFICATE.strip()}" ] || exit 77'
        answers = [
            f'*https://{name}:6443/version*) echo \'{{"minor": "{minor}"}}\' ;;' for name, minor in self.serves.items()
        ]
        self.program("curl", f'{asked}\ncase "$*" in {" ".join(answers)} *) exit 7 ;; esac')
        self.program("k0s", f"echo '{self.k0s}'")
        (self.folder / "ahead").write_text(self.ahead)
        return subprocess.run(["bash", "-c", script], check=False, capture_output=True, text=True)

    def started(self) -> bool:
        """Whether the follower restarts k0s."""
        running = None
        if self.runs_with:
            environment = {"SLIPWAY_STARTED_WITH": self.runs_with, "PATH": os.environ["PATH"]}
            running = subprocess.Popen(["sleep", "60"], env=environment)
        says = f"""case "$*" in
          *MainPID*) echo {running.pid if running else 0} ;;
          *Result*) echo {self.result} ;;
          *Environment*) echo PATH=/x SLIPWAY_STARTED_WITH=/nix/store/new ;;
          *) echo "$@" >>{self.folder}/done ;;
        esac"""
        self.program("systemctl", says)
        try:
            done = self.run(self.follow)
        finally:
            if running:
                running.kill()
                running.wait()
        assert done.returncode == 0, done.stderr
        path = self.folder / "done"
        return path.exists() and path.read_text() == "restart k0s.service\n"

    @property
    def asked(self) -> str:
        path = self.folder / "asked"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def worker(scripts, tmp_path):
    one = Worker(tmp_path, *scripts)
    one.joined()
    return one


def test_k0s_starts_where_every_controller_is_as_new(worker):
    assert worker.run(worker.ahead).returncode == 0
    assert "https://10.0.0.11:6443/version" in worker.asked
    assert f"--cert {worker.folder}/client.pem --key {worker.folder}/client.pem https://10.0.0.12" in worker.asked


@pytest.mark.parametrize("minor", ["35", "35+", "9"])
def test_k0s_does_not_start_while_one_controller_is_older(worker, minor):
    worker.serves["10.0.0.12"] = minor
    done = worker.run(worker.ahead)
    assert done.returncode == 1
    shown = minor.rstrip("+")
    assert (
        f"https://10.0.0.12:6443 serves Kubernetes 1.{shown}, k0s here is 1.36: it waits for the control" in done.stderr
    )


@pytest.mark.parametrize("serves", [{}, {"10.0.0.11": "37"}, {"10.0.0.11": "<html>", "10.0.0.12": ""}])
def test_k0s_starts_where_nobody_says_that_he_is_older(worker, serves):
    """After a power cut nobody answers, and everybody has to start."""
    worker.serves = serves
    assert worker.run(worker.ahead).returncode == 0


@pytest.mark.parametrize("version", ["v0.0.0-dev", "", "v1.34.1+k0s.0"])
def test_k0s_that_is_older_or_states_no_version_starts(worker, version):
    worker.k0s, worker.serves = version, {"10.0.0.11": "35"}
    assert worker.run(worker.ahead).returncode == 0


def test_a_machine_that_has_not_joined_asks_nobody(worker):
    (worker.folder / "kubelet.conf").unlink()
    worker.serves["10.0.0.11"] = "35"
    assert (worker.run(worker.ahead).returncode, worker.asked) == (0, "")


def test_what_runs_on_an_earlier_configuration_is_restarted(worker):
    assert worker.started()


def test_what_runs_on_its_configuration_is_left_alone(worker):
    worker.runs_with = "/nix/store/new"
    assert not worker.started()
    assert worker.asked == ""


def test_what_would_be_ahead_runs_on(worker):
    worker.serves["10.0.0.11"] = "35"
    assert not worker.started()


@pytest.mark.parametrize(("result", "started"), [("exec-condition", True), ("success", False), ("exit-code", False)])
def test_only_a_k0s_that_was_ahead_is_started_again(worker, result, started):
    """One that somebody stopped stays stopped."""
    worker.runs_with, worker.result = None, result
    assert worker.started() is started


def test_nothing_is_restarted_while_an_activation_may_be_taken_back(worker):
    lock = worker.folder / "lock"
    with subprocess.Popen(["flock", lock, "sh", "-c", "echo held; read _"], stdin=-1, stdout=-1) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert not worker.started()
        holder.communicate(b"\n")
    assert worker.started()


def test_only_workers_follow(evaluate):
    for role, follows in (("worker", True), ("controller", False), ("controller+worker", False), ("single", False)):
        assert evaluate("config.systemd.timers ? slipway-k0s-follow", role) is follows
        assert evaluate(f"{UNITS}.k0s.serviceConfig ? ExecCondition", role) is follows
        assert evaluate(f"{UNITS}.k0s.restartIfChanged", role) is False


def test_a_worker_that_shall_not_wait_is_restarted_by_its_activation(evaluate):
    more = "slipway.k0s.followControlPlane = false;"
    assert evaluate(f"{UNITS}.k0s.restartIfChanged", "worker", more) is True
    assert evaluate("config.systemd.timers ? slipway-k0s-follow", "worker", more) is False


def test_a_controller_with_ipv6_is_asked_in_brackets(evaluate):
    more = 'slipway.cluster.controllers = lib.mkForce [ "fd00::1" ];'
    script = evaluate(f"{UNITS}.k0s.serviceConfig.ExecCondition.script", "worker", more)
    assert "https://[fd00::1]:6443" in script


@pytest.mark.parametrize("role", ["worker", "controller+worker"])
def test_a_new_registry_is_a_reason_to_restart_k0s(evaluate, role):
    """containerd reads it once; no activation restarts k0s, so that the difference has to show."""
    more = 'slipway.images.registries."docker.io" = [ "https://mirror.example.org" ];'
    said = f"{UNITS}.k0s.environment.SLIPWAY_STARTED_WITH"
    assert evaluate(said, role, more).count(":") == evaluate(said, role).count(":") + 1
