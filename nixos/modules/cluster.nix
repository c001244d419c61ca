# What is the same on every machine of the cluster; generated/cluster.nix sets it.
{ lib, ... }:
let
  inherit (lib) mkOption types;
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
}
