# The boot loader for the machine's firmware.
{ config, lib, ... }:
let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.slipway.boot;
in
{
  options.slipway.boot = {
    mode = mkOption {
      type = types.enum [ "uefi" "bios" ];
      default = "uefi";
      description = "How the firmware starts the machine: systemd-boot for uefi, GRUB for bios.";
    };
    initrdModules = mkOption {
      type = types.listOf types.nonEmptyStr;
      default = [ ];
      example = [ "nvme" "mpt3sas" ];
      description = "Kernel modules that reach the root disk, beside NixOS's own choice.";
    };
  };

  config.boot = {
    initrd.availableKernelModules = cfg.initrdModules;
    loader = {
      systemd-boot = mkIf (cfg.mode == "uefi") {
        enable = mkDefault true;
        # /boot is small, and every generation with another kernel takes its share of it.
        configurationLimit = mkDefault 10;
        # Whoever is at the keyboard shall not start a shell as root.
        editor = mkDefault false;
      };
      efi.canTouchEfiVariables = mkIf (cfg.mode == "uefi") (mkDefault true);
      # Its device comes from disko: the disk that has the BIOS boot partition.
      grub = mkIf (cfg.mode == "bios") {
        enable = mkDefault true;
        configurationLimit = mkDefault 20;
      };
    };
  };
}
