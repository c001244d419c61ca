# Microcode and firmware for bare metal.
{ config, lib, ... }:
let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.slipway.hardware;
in
{
  options.slipway.hardware.cpu = mkOption {
    type = types.nullOr (types.enum [ "intel" "amd" "arm" ]);
    default = null;
    description = "Maker of the processor; chooses the microcode.";
  };

  config.hardware = {
    enableRedistributableFirmware = mkDefault true;
    cpu.intel.updateMicrocode = mkIf (cfg.cpu == "intel") (mkDefault true);
    cpu.amd.updateMicrocode = mkIf (cfg.cpu == "amd") (mkDefault true);
  };
}
