# What is the same on every machine of the cluster; generated/cluster.nix sets it.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.slipway.cluster;
  inherit (config.system.nixos) release;
in
{
  options.slipway.cluster = {
    name = mkOption {
      type = types.nonEmptyStr;
      description = "Name of the cluster.";
    };
    controllers = mkOption {
      type = types.listOf types.str;
      description = "Addresses of all controllers.";
    };
    nodeNetworks = mkOption {
      type = types.listOf types.str;
      description = "Networks, in CIDR notation, that the nodes' addresses lie in.";
    };
    podNetworks = mkOption {
      type = types.listOf types.str;
      description = "Networks of the pods, in CIDR notation.";
    };
    provider = mkOption {
      type = types.enum [ "cilium" "kuberouter" "calico" ];
      description = "The pod network.";
    };
    dualStack = mkOption {
      type = types.bool;
      default = false;
      description = "Whether pods and services have IPv6 beside IPv4.";
    };
    ipv6Only = mkOption {
      type = types.bool;
      default = false;
      description = "Whether nodes, pods and services have IPv6 alone.";
    };
    vip = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "Virtual address that keepalived moves among the controllers.";
    };
    channel = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "26.05";
      description = "NixOS release that the inventory names.";
    };
    cilium = {
      routing = mkOption {
        type = types.enum [ "vxlan" "geneve" "native" ];
        default = "vxlan";
        description = "How Cilium carries traffic between nodes.";
      };
      encryption = mkOption {
        type = types.enum [ "none" "wireguard" ];
        default = "none";
        description = "Whether and how Cilium encrypts it.";
      };
      hubble = mkOption {
        type = types.bool;
        default = true;
        description = "Whether Hubble observes it.";
      };
    };
    ports = {
      api = mkOption {
        type = types.port;
        default = 6443;
        description = "Port of kube-apiserver.";
      };
      k0sApi = mkOption {
        type = types.port;
        default = 9443;
        description = "Port of k0s's own API, where controllers join.";
      };
      konnectivityAgent = mkOption {
        type = types.port;
        default = 8132;
        description = "Port where konnectivity agents reach the controllers.";
      };
    };
  };

  config.warnings = lib.optional (cfg.channel != null && cfg.channel != release) (
    "slipway: the inventory names NixOS ${cfg.channel}, the flake's nixpkgs is ${release}: "
    + "change cluster.nixos.channel, or inputs.nixpkgs.url"
  );
}
