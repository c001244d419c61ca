"""The system that a machine of the lab starts with, and those that it gets."""

import shutil

from slipway.paths import resource

LAB = resource("nixos") / "lab"


def test_a_machine_s_first_system_has_the_kernel_of_all_that_come(tmp_path, nix_value):
    """A repository's systems are built with a busybox of its own, the first one with the host's shell: else every first
    deploy would say that the next boot brings another kernel."""
    repository = tmp_path / "lab"
    shutil.copytree(LAB, repository)
    (repository / "programs").mkdir()
    (repository / "programs" / "busybox").touch()
    of = '(import {}/pkgs.nix {{ lib = import {}/lib; system = "x86_64-linux"; }})'
    first, later = (of.format(folder, folder) for folder in (LAB, repository))
    assert nix_value(f"{first}.kernel") == nix_value(f"{later}.kernel")
    assert nix_value(f"toString {first}.userland.outPath == toString {later}.userland.outPath") is False
