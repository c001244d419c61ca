"""The file system of boot entries: which machines have one of its own."""

from typing import NoReturn

import pytest
from tests.unit.verify.machines import INVENTORY

from slipway.inventory.model import Boot
from slipway.verify.check import CannotRun
from slipway.verify.packs.os import disk


class FakeAnswer:
    """What a machine says that has nothing mounted at /boot."""

    code = 3

    def said(self) -> NoReturn:
        raise CannotRun("exit code 3: it said nothing")


def test_a_machine_that_bios_starts_has_its_boot_entries_on_the_disk_of_its_system():
    """disko gives it a partition for GRUB alone, without a file system (nixos/modules/disks.nix)."""
    host = INVENTORY.host("w1").model_copy(update={"boot": Boot(mode="bios")})
    assert host.disks
    with pytest.raises(pytest.skip.Exception, match="no file system of its own"):
        disk.test_boot_has_room({"boot": FakeAnswer()}, host)  # type: ignore[arg-type]


def test_control_uefi_wants_it_where_disko_made_it():
    with pytest.raises(CannotRun):
        disk.test_boot_has_room({"boot": FakeAnswer()}, INVENTORY.host("w1"))  # type: ignore[arg-type]
