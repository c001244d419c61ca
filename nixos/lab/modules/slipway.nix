# What the lab sets where slipway's own modules are among the evaluated ones.
{ config, lib, options, pkgs, ... }:
{
  config = lib.optionalAttrs (options ? slipway) {
    slipway.k0s.package = lib.mkDefault (pkgs.k0sOf config.slipway.k0s.version);
    # There is no nixpkgs whose release could differ from the one that the inventory names.
    system.nixos.release = lib.mkIf (config.slipway.cluster.channel != null) config.slipway.cluster.channel;
  };
}
