"""The Git server's scripts: shell that bash takes, no password in an argument, the hook where Flux waits."""

import hashlib
import subprocess
from typing import Any

import pytest
import yaml

from slipway.generate import gitops

JOBS = ("bootstrap/git-repository", "bootstrap/git-webhook")


def container(make: Any, app: str) -> Any:
    files = {str(path): text for path, text in gitops.render(make()).items()}
    job = yaml.safe_load(files[f"gitops/{app}/app/job.yaml"])
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize("app", JOBS)
def test_bash_takes_the_script(make, app):
    script = container(make, app)["command"][2]
    subprocess.run(["bash", "-n"], input=script.encode(), check=True)


@pytest.mark.parametrize("app", JOBS)
def test_passwords_come_from_secrets_alone(make, app):
    found = container(make, app)
    secret = {each["name"] for each in found["env"] if "secretKeyRef" in each.get("valueFrom", {})}
    assert "ADMIN_PASSWORD" in secret
    assert not any("PASSWORD" in each["name"] or "TOKEN" in each["name"] for each in found["env"] if "value" in each)


def test_the_webhook_calls_where_the_receiver_listens(make):
    """notification-controller: sha256 of token, name and namespace, one behind the other."""
    script = container(make, "bootstrap/git-webhook")["command"][2]
    (line,) = [line for line in script.splitlines() if line.startswith("path=")]
    argv = ["bash", "-c", f'{line}; printf %s "$path"']
    said = subprocess.run(
        argv, env={"TOKEN": "tok", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert said.stdout == hashlib.sha256(b"tokgit-webhookflux-system").hexdigest()
