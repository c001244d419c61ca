import json

import pytest

from slipway.cli import doctor as module
from slipway.cli.doctor import NEEDS, doctor
from slipway.errors import PrerequisiteMissing


def test_all_that_is_missing_is_named_at_once(monkeypatch, capfd):
    monkeypatch.setattr(module, "find_program", lambda name: None if name in ("helm", "sops") else f"/bin/{name}")
    with pytest.raises(PrerequisiteMissing, match="missing here: sops, helm"):
        doctor(json_output=True)
    findings = json.loads(capfd.readouterr().out)
    assert [finding["program"] for finding in findings] == [need.program for need in NEEDS]
    assert {finding["state"] for finding in findings} == {"ok", "missing"}


def test_nothing_missing_is_quiet_success(monkeypatch, capfd):
    monkeypatch.setattr(module, "find_program", lambda name: f"/bin/{name}")
    doctor()
    assert "missing" not in capfd.readouterr().out.replace("how to get it", "")
