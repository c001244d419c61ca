"""What a machine says of its disks, and what is refused because of it; the script itself runs in the lab's test."""

import pytest

from slipway.errors import InvalidInput
from slipway.install import disks
from slipway.install.disks import HoldsACluster

NVME, STICK = "/dev/disk/by-id/nvme-A_1", "/dev/disk/by-id/usb-Stick_2"
USED = f"""\
disk\t{NVME}\t/dev/nvme0n1\t1000204886016\tSamsung SSD 980
part\t{NVME}\t/dev/nvme0n1\t1000204886016\t\t\t
part\t{NVME}\t/dev/nvme0n1p1\t1073741824\tvfat\tEFI\t
part\t{NVME}\t/dev/nvme0n1p2\t999130996736\text4\troot disk\t
"""


def test_what_goes_is_told_with_its_lasting_name():
    (target,) = disks.parse(USED).targets
    assert list(target.lines()) == [
        f"{NVME} (/dev/nvme0n1), 931.5 GiB, Samsung SSD 980",
        "  /dev/nvme0n1p1, 1.0 GiB: vfat, label EFI",
        "  /dev/nvme0n1p2, 930.5 GiB: ext4, label root disk",
    ]


def test_an_empty_disk_is_told_as_one():
    said = f"disk\t{NVME}\t/dev/sda\t8589934592\t\npart\t{NVME}\t/dev/sda\t8589934592\t\t\t\n"
    (target,) = disks.parse(said).targets
    assert list(target.lines()) == [f"{NVME} (/dev/sda), 8.0 GiB", "  empty, as far as one can see"]


def test_control_a_disk_of_another_system_may_be_wiped():
    disks.refuse("w1", disks.parse(USED))
    disks.refuse_in_use("w1", disks.parse(USED))


@pytest.mark.parametrize(
    ("more", "said", "hint"),
    [
        (
            "cluster\t/dev/nvme0n1p2\t/var/lib/k0s/pki\n",
            "/dev/nvme0n1p2 holds /var/lib/k0s/pki",
            "wipefs --all /dev/nvme",
        ),
        ("cluster\trunning\t/var/lib/etcd/member\n", "it runs with /var/lib/etcd/member", "boot it from the installer"),
    ],
)
def test_data_of_a_cluster_stays(more, said, hint):
    with pytest.raises(
        HoldsACluster, match=f"w1: {said}, what a member of a cluster keeps: nothing is wiped"
    ) as caught:
        disks.refuse("w1", disks.parse(USED + more))
    assert hint in str(caught.value.hint)
    assert caught.value.exit_code == 3


def test_a_disk_that_is_not_there_is_named():
    with pytest.raises(InvalidInput, match=f"the machine has no disk {STICK}") as caught:
        disks.refuse("w1", disks.parse(f"{USED}missing\t{STICK}\n"))
    assert "slipway discover" in str(caught.value.hint)


def test_what_the_installer_runs_from_is_no_target():
    sight = disks.parse(USED.replace("vfat\tEFI\t", "vfat\tEFI\t/iso"))
    with pytest.raises(InvalidInput, match=f"{NVME} is in use there, mounted at /iso"):
        disks.refuse_in_use("w1", sight)


def test_what_cannot_be_looked_into_is_told():
    assert disks.parse(f"{USED}closed\t/dev/nvme0n1p2\tcrypto_LUKS\n").closed == (("/dev/nvme0n1p2", "crypto_LUKS"),)


@pytest.mark.parametrize("odd", ["disk\tonly\n", f"part\t{NVME}\t/dev/x\tbig\t\t\t\n", "cluster\tx\n", "missing\n\t\n"])
def test_odd_lines_are_no_sight(odd):
    if odd.startswith("missing"):
        assert disks.parse(odd).missing == ()
    else:
        with pytest.raises((ValueError, IndexError)):
            disks.parse(odd)


def test_this_machine_answers_in_that_form(remote):
    sight = disks.look(remote, ["/dev/disk/by-id/there-is-none"])
    assert sight.missing == ("/dev/disk/by-id/there-is-none",)
    assert sight.targets == ()
