# Open what the role and the pod network need, to the peers that need it (ports: k0s's networking documentation and
# Cilium's system requirements). nftables, because its rules say sources and ports in one line each. Protocols are
# numbers: NixOS checks the rules against IANA's names, of which 4 is another than Debian's.
{ config, lib, ... }:
let
  inherit (lib) concatMapStringsSep mkOption optional optionals optionalString types;
  cfg = config.slipway;
  inherit (cfg.cluster) cilium ports;

  isV6 = lib.hasInfix ":";

  # A rule for those sources alone; for everybody where there are none.
  from =
    sources: rule:
    let
      among = name: list: "${name} saddr { ${builtins.concatStringsSep ", " list} } ${rule}\n";
      family = name: list: optionalString (list != [ ]) (among name list);
    in
    if sources == [ ] then
      "${rule}\n"
    else
      family "ip" (builtins.filter (s: !(isV6 s)) sources) + family "ip6" (builtins.filter isV6 sources);

  allow =
    protocol: list: sources:
    optionalString (list != [ ]) (
      from sources "${protocol} dport { ${concatMapStringsSep ", " toString list} } accept"
    );
  tcp = allow "tcp";
  udp = allow "udp";

  nodes = cfg.cluster.nodeNetworks;
  pods = cfg.cluster.podNetworks;
  inherit (cfg.cluster) controllers;
  hasVip = cfg.cluster.vip != null;
  # Of an IPv6 address keepalived tells by the link's own, as RFC 5798 wants it.
  vrrp = controllers ++ optional cfg.cluster.ipv6Only "fe80::/10";
  apiSources = optionals (cfg.firewall.apiFrom != [ ]) (cfg.firewall.apiFrom ++ nodes ++ pods);

  controllerRules =
    # keepalived sends what comes in for the virtual address to 6444, where its proxy listens on every controller.
    tcp ([ ports.api ] ++ optional hasVip 6444) apiSources
    + tcp [ ports.konnectivityAgent ] (nodes ++ pods)
    # k0s's own API, and etcd.
    + tcp [ ports.k0sApi 2380 ] controllers
    # VRRP.
    + optionalString hasVip (from vrrp "meta l4proto 112 accept");

  # What Cilium itself hands to its proxy (MARK_MAGIC_TO_PROXY in its bpf/lib/common.h). No pod can send a mark: the
  # kernel clears it where a packet leaves a network namespace.
  toProxy = "meta mark & 0xf00 == 0x200 accept\n";

  # What the pod network calls between nodes, and where packets of this node's own pods come in (`links`): verification
  # reads the same table.
  podNetwork = import ../lib/pod-network.nix cfg.cluster;
  isUsed =
    opening:
    builtins.all (name: cilium.${name} == opening.when.${name}) (builtins.attrNames (opening.when or { }));
  open =
    { protocol, port ? null, pods ? false, ... }:
    let
      sources = nodes ++ optionals pods cfg.cluster.podNetworks;
    in
    if port == null then
      from sources "meta l4proto ${toString protocol} accept"
    else
      allow protocol [ port ] sources;
  podNetworkRules =
    concatMapStringsSep "" open (builtins.filter isUsed podNetwork.open)
    + optionalString (cfg.cluster.provider == "cilium") toProxy;

  # The end for pods: whatever is opened after this is open to others. By link for those of this node, by source for
  # those of others, whose packets come over the network of the nodes or through a tunnel.
  noMoreForPods =
    concatMapStringsSep "" (link: "iifname \"${link}\" drop\n") podNetwork.links
    + optionalString (pods != [ ]) (from pods "drop");

  # Sources by name; who named some, and there are none of them, opens to nobody.
  sourcesOf = { nodes = nodes; pods = pods; inherit controllers; };
  opened =
    rule:
    let
      sources = lib.concatMap (s: sourcesOf.${s} or [ s ]) rule.from;
    in
    optionalString (rule.from == [ ] || sources != [ ]) (
      from sources "${rule.protocol} dport { ${builtins.concatStringsSep ", " rule.ports} } accept"
    );
  forPods = rule: rule.from == [ ] || builtins.elem "pods" rule.from;
  openedTo = some: concatMapStringsSep "" opened (builtins.filter some cfg.firewall.rules);

  workloadRules =
    # kubelet: konnectivity agents and metrics-server call from any node, as a pod or as the node.
    tcp [ 10250 ] (nodes ++ pods)
    + podNetworkRules;
in
{
  options.slipway.firewall = {
    enable = lib.mkEnableOption "slipway's rules; without them the machine's own must open what k0s needs" // {
      default = true;
    };
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
      description = "More TCP ports to open to everybody, pods included.";
    };
    allowedUDPPorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
      description = "More UDP ports to open to everybody, pods included.";
    };
    podTCPPorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
      example = [ 9100 ];
      description = "More TCP ports to open to pods, as for metrics of programs in the node's own network.";
    };
    podUDPPorts = mkOption {
      type = types.listOf types.port;
      default = [ ];
      description = "More UDP ports to open to pods.";
    };
    rules = mkOption {
      type = types.listOf (types.submodule {
        options = {
          ports = mkOption {
            type = types.listOf types.nonEmptyStr;
            example = [ "9100" "30000-32767" ];
            description = "Ports and ranges.";
          };
          protocol = mkOption {
            type = types.enum [ "tcp" "udp" ];
            default = "tcp";
            description = "Their protocol.";
          };
          from = mkOption {
            type = types.listOf types.nonEmptyStr;
            default = [ ];
            example = [ "nodes" "192.0.2.0/24" ];
            description = "Who may reach them: nodes, pods, controllers, or networks; none means everybody.";
          };
        };
      });
      default = [ ];
      description = "More ports to open, to some or to everybody.";
    };
  };

  config.networking = {
    # NixOS does so where stateVersion is below 23.11: each change would take kube-proxy's and Cilium's rules along.
    nftables.flushRuleset = false;
    nftables.enable = lib.mkIf cfg.firewall.enable true;
    firewall = lib.mkIf cfg.firewall.enable {
      enable = lib.mkDefault true;
      # A strict reverse path check drops traffic of kube-proxy's replacement (cilium/cilium#31565), and any check
      # what Cilium hands to its proxy: the way back of that mark is the machine itself.
      checkReversePath = "loose";
      extraReversePathFilterRules = optionalString (cfg.cluster.provider == "cilium") toProxy;
      inherit (cfg.firewall) allowedTCPPorts allowedUDPPorts;
      extraInputRules =
        optionalString cfg.isController controllerRules
        + optionalString cfg.runsWorkloads workloadRules
        + tcp cfg.firewall.podTCPPorts pods
        + udp cfg.firewall.podUDPPorts pods
        + openedTo forPods
        + noMoreForPods
        + openedTo (rule: !forPods rule)
        + tcp [ cfg.ssh.port ] cfg.firewall.sshFrom;
    };
  };
}
