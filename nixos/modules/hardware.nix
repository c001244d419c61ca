# Microcode and firmware for bare metal, and the programs with which verification reads it.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.slipway.hardware;
in
{
  options.slipway.hardware = {
    cpu = mkOption {
      type = types.nullOr (types.enum [ "intel" "amd" "arm" ]);
      default = null;
      description = "Maker of the processor; chooses the microcode.";
    };
    tools = mkOption {
      type = types.bool;
      default = true;
      description = "Programs that the pack hardware of `slipway verify` asks with.";
    };
  };

  config.environment.systemPackages = mkIf cfg.tools [
    pkgs.dmidecode
    pkgs.ethtool
    pkgs.fio
    pkgs.iperf3
    pkgs.ipmitool
    pkgs.lm_sensors
    pkgs.nvme-cli
    pkgs.smartmontools
    pkgs.stress-ng
  ];
  config.hardware = {
    enableRedistributableFirmware = mkDefault true;
    cpu.intel.updateMicrocode = mkIf (cfg.cpu == "intel") (mkDefault true);
    cpu.amd.updateMicrocode = mkIf (cfg.cpu == "amd") (mkDefault true);
  };
}
