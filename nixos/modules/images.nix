# Where containerd gets images from when not from their makers: mirrors, and a bundle that is there before any network.
{ config, lib, pkgs, ... }:
let
  inherit (lib) concatMapStrings mkIf mkMerge mkOption nameValuePair types;
  cfg = config.slipway.images;
  dropIn = "k0s/containerd.d/slipway-registries.toml";
  # Read at every pull (containerd's registry host configuration).
  hostsFile = mirrors: concatMapStrings (url: ''
    [host."${url}"]
      capabilities = ["pull", "resolve"]
  '') mirrors;
  hostsEntry = registry: mirrors: nameValuePair "k0s/certs.d/${registry}/hosts.toml" { text = hostsFile mirrors; };
in
{
  options.slipway.images = {
    registries = mkOption {
      type = types.attrsOf (types.listOf types.nonEmptyStr);
      default = { };
      example = { "docker.io" = [ "https://mirror.example.org" ]; };
      description = "Registry to the mirrors that are asked before it.";
    };
    airgap = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            url = mkOption {
              type = types.nonEmptyStr;
              description = "Where the bundle is fetched from when the system is built.";
            };
            hash = mkOption {
              type = types.nonEmptyStr;
              description = "Its hash, sha256-...";
            };
          };
        }
      );
      default = { };
      description = "Bundle of images by platform; k0s imports it on nodes that run pods.";
    };
  };

  config = mkIf config.slipway.runsWorkloads (mkMerge [
    (mkIf (cfg.registries != { }) {
      # containerd reads this one when k0s starts it, and the folder that it names at every pull.
      systemd.services.k0s.restartTriggers = [ config.environment.etc.${dropIn}.source ];
      environment.etc = {
        # Version 2 is what containerd 1.7 reads and containerd 2 converts.
        ${dropIn}.text = ''
          version = 2
          [plugins."io.containerd.grpc.v1.cri".registry]
            config_path = "/etc/k0s/certs.d"
        '';
      }
      // lib.mapAttrs' hostsEntry cfg.registries;
    })
    (mkIf (cfg.airgap ? ${pkgs.stdenv.hostPlatform.system}) {
      systemd.tmpfiles.rules = [
        "d /var/lib/k0s/images 0755 root root -"
        "L+ /var/lib/k0s/images/slipway-airgap.tar - - - - ${
          pkgs.fetchurl { inherit (cfg.airgap.${pkgs.stdenv.hostPlatform.system}) url hash; }
        }"
      ];
    })
  ]);
}
