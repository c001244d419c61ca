# The machine's links, by systemd-networkd.
{ config, lib, ... }:
let
  inherit (lib) mkIf mkOption types;
  cfg = config.slipway.network;
in
{
  options.slipway.network = {
    interface = mkOption {
      type = types.nonEmptyStr;
      example = "eno1";
      description = "Link that carries the machine's address.";
    };
    dhcp = mkOption {
      type = types.bool;
      default = false;
      description = "Whether a DHCP server gives the address.";
    };
    prefixLength = mkOption {
      type = types.nullOr (types.ints.between 1 128);
      default = null;
      description = "Prefix length of the machine's address.";
    };
    gateway = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "Default route.";
    };
    nameservers = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "DNS servers.";
    };
  };

  config = {
    assertions = [
      {
        assertion = cfg.dhcp || cfg.prefixLength != null;
        message = "slipway: the address ${config.slipway.address} needs a prefix length, or DHCP";
      }
    ];

    networking.useDHCP = false;
    networking.useNetworkd = true;

    systemd.network = {
      enable = true;
      # Routes and rules of the pod network are not networkd's to remove (cilium/cilium#18706).
      config.networkConfig = {
        ManageForeignRoutes = false;
        ManageForeignRoutingPolicyRules = false;
      };
      networks."10-slipway" = {
        matchConfig.Name = cfg.interface;
        address = mkIf (!cfg.dhcp) [ "${config.slipway.address}/${toString cfg.prefixLength}" ];
        gateway = mkIf (cfg.gateway != null) [ cfg.gateway ];
        dns = cfg.nameservers;
        networkConfig.DHCP = if cfg.dhcp then "yes" else "no";
        linkConfig.RequiredForOnline = "routable";
      };
      networks."05-pods" = {
        matchConfig.Name = "cilium* lxc* cali* kube-bridge veth*";
        linkConfig.Unmanaged = true;
      };
    };
  };
}
