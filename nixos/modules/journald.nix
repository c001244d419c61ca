# The journal must not fill the disk that etcd and images live on.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.slipway.journald.maxUse = mkOption {
    type = types.ints.positive;
    default = 1073741824;
    description = "Bytes that the journal may take on disk.";
  };

  config.services.journald.extraConfig = "SystemMaxUse=${toString config.slipway.journald.maxUse}";
}
