# What the lab sets where slipway's own modules are among the evaluated ones.
{ lib, options, pkgs, ... }:
{
  config = lib.optionalAttrs (options ? slipway) {
    slipway.k0s.package = lib.mkDefault pkgs.k0s;
  };
}
