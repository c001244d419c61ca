# Nix on the machine: caches, builders, and when old generations go.
{ config, lib, ... }:
let
  inherit (lib) mkDefault mkOption types;
  cfg = config.slipway.nix;
  words =
    description:
    mkOption {
      type = types.listOf types.nonEmptyStr;
      default = [ ];
      inherit description;
    };

  builder.options = {
    hostName = mkOption {
      type = types.nonEmptyStr;
      description = "Name or address of the builder.";
    };
    systems = words "Platforms that it builds for.";
    sshUser = mkOption {
      type = types.nonEmptyStr;
      default = "root";
      description = "User to log in as.";
    };
    sshKey = mkOption {
      type = types.nullOr types.nonEmptyStr;
      default = null;
      description = "Private key file on this machine.";
    };
    maxJobs = mkOption {
      type = types.ints.positive;
      default = 1;
      description = "Builds at the same time.";
    };
    speedFactor = mkOption {
      type = types.ints.positive;
      default = 1;
      description = "Its speed in relation to other builders.";
    };
    supportedFeatures = words "Features that builds may ask for.";
  };
in
{
  options.slipway.nix = {
    substituters = words "Binary caches beside cache.nixos.org.";
    trustedPublicKeys = words "Keys that sign what these caches hold.";
    buildMachines = mkOption {
      type = types.listOf (types.submodule builder);
      default = [ ];
      description = "Remote builders.";
    };
    gc = {
      dates = mkOption {
        type = types.nonEmptyStr;
        default = "weekly";
        description = "When old generations and what only they need are deleted (systemd calendar).";
      };
      olderThanDays = mkOption {
        type = types.ints.positive;
        default = 30;
        description = "Age from which a generation is old.";
      };
    };
  };

  config.nix = {
    settings = {
      experimental-features = [ "nix-command" "flakes" ];
      inherit (cfg) substituters;
      trusted-public-keys = cfg.trustedPublicKeys;
    };
    buildMachines = cfg.buildMachines;
    distributedBuilds = cfg.buildMachines != [ ];
    gc = {
      automatic = mkDefault true;
      dates = mkDefault cfg.gc.dates;
      # Not the whole fleet in the same minute.
      randomizedDelaySec = mkDefault "2h";
      options = "--delete-older-than ${toString cfg.gc.olderThanDays}d";
    };
  };
}
