# Open what the role and the pod network need, to the peers that need it (ports: k0s's networking documentation and
# Cilium's system requirements). nftables, because its rules say sources and ports in one line each.
{ config, lib, ... }:
let
  inherit (lib) concatMapStringsSep mkOption optionals optionalString types;
  cfg = config.slipway;
  inherit (cfg.cluster) ports;

  isV6 = lib.hasInfix ":";

  # `ip saddr { ... }` and `ip6 saddr { ... }` for those of `sources` that are of each kind; without sources, everywhere.
  fromSources =
    sources: rule:
    let
      of = family: list: optionalString (list != [ ]) "${family} saddr { ${builtins.concatStringsSep ", " list} } ${rule}\n";
    in
    if sources == [ ] then
      "${rule}\n"
    else
      of "ip" (builtins.filter (s: !(isV6 s)) sources) + of "ip6" (builtins.filter isV6 sources);

  allow =
    protocol: list: sources:
    optionalString (list != [ ]) (
      fromSources sources "${protocol} dport { ${concatMapStringsSep ", " toString list} } accept"
    );
  tcp = allow "tcp";
  udp = allow "udp";

  nodes = cfg.cluster.nodeNetworks;
  pods = cfg.cluster.podNetworks;

  controllerRules =
    tcp [ ports.api ] (if cfg.firewall.apiFrom == [ ] then [ ] else cfg.firewall.apiFrom ++ nodes ++ pods)
    + tcp [ ports.konnectivityAgent ] (nodes ++ pods)
    + tcp [ ports.k0sApi 2380 ] cfg.cluster.controllers;

  providerPorts = {
    cilium = {
      # Health, Hubble; VXLAN, Geneve, WireGuard.
      tcp = [ 4240 4244 ];
      udp = [ 8472 6081 51871 ];
    };
    kuberouter = {
      # BGP between the nodes.
      tcp = [ 179 ];
      udp = [ ];
    };
    calico = {
      # BGP, Typha; VXLAN.
      tcp = [ 179 5473 ];
      udp = [ 4789 ];
    };
  };
  provider = providerPorts.${cfg.cluster.provider};

  workloadRules =
    tcp [ 10250 ] (cfg.cluster.controllers ++ pods)
    + tcp provider.tcp nodes
    + udp provider.udp nodes
    # Pods of this node reach the node, and what it offers to them.
    + concatMapStringsSep "" (name: "iifname \"${name}\" accept\n") [ "cilium_*" "lxc*" "cali*" "kube-bridge" ];
in
{
  options.slipway.firewall = {
    sshFrom = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Sources that may reach SSH; none means everywhere.";
    };
    apiFrom = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Sources that may reach the Kubernetes API beside nodes and pods; none means everywhere.";
    };
    allowedTCPPorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
      description = "More TCP ports to open to everybody.";
    };
    allowedUDPPorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
      description = "More UDP ports to open to everybody.";
    };
  };

  config = {
    networking.nftables.enable = true;
    networking.firewall = {
      enable = true;
      # A strict reverse path check drops traffic of kube-proxy's replacement (cilium/cilium#31565).
      checkReversePath = "loose";
      inherit (cfg.firewall) allowedTCPPorts allowedUDPPorts;
      extraInputRules =
        tcp [ cfg.ssh.port ] cfg.firewall.sshFrom
        + optionalString cfg.isController controllerRules
        + optionalString cfg.runsWorkloads workloadRules;
    };
  };
}
