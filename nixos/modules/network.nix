# The machine's links, by systemd-networkd: cards, bonds, bridges and VLANs, with static addresses or DHCP.
{ config, lib, ... }:
let
  inherit (lib) filterAttrs mkDefault mkIf mkOption optional optionalAttrs types;
  cfg = config.slipway.network;
  address = config.slipway.address;
  holdsVip = config.slipway.isController && config.slipway.cluster.vip != null;

  # Most options here are of a few kinds, and mean nothing where they are not set.
  option = type: default: description: mkOption { inherit type default description; };
  text = option (types.nullOr types.nonEmptyStr) null;
  words = option (types.listOf types.nonEmptyStr) [ ];
  truth = option types.bool false;
  number = low: high: option (types.nullOr (types.ints.between low high)) null;
  several = options: option (types.attrsOf (types.submodule { inherit options; })) { };

  ports = words "Links that it is made of.";
  bond = {
    interfaces = ports;
    mode = mkOption {
      type = types.enum [
        "802.3ad"
        "active-backup"
        "balance-rr"
        "balance-xor"
        "broadcast"
        "balance-tlb"
        "balance-alb"
      ];
      default = "802.3ad";
      description = "How the links share the traffic.";
    };
    lacpRate = option (types.nullOr (types.enum [ "fast" "slow" ])) null "How often 802.3ad hears from the switch; none means fast.";
    transmitHashPolicy = text "By what the link of a packet is chosen; none means layer3+4 with 802.3ad, else the kernel's.";
    primary = text "The link that carries the traffic while it is up.";
    minLinks = number 1 64 "How many links of 802.3ad must be up for the bond to be.";
  };
  vlan = {
    id = mkOption {
      type = types.ints.between 1 4094;
      description = "The tag.";
    };
    interface = mkOption {
      type = types.nonEmptyStr;
      description = "Link that carries it.";
    };
  };
  route.options = {
    to = mkOption {
      type = types.nonEmptyStr;
      description = "Destination in CIDR notation.";
    };
    via = mkOption {
      type = types.nonEmptyStr;
      description = "Next hop.";
    };
  };
  link = {
    mac = text "Match the card by its MAC address in place of its name.";
    dhcp = truth "Whether a DHCP server gives the addresses.";
    addresses = words "Static addresses with prefix length.";
    mtu = number 1280 9216 "MTU of the link.";
    routes = option (types.listOf (types.submodule route)) [ ] "Static routes.";
  };
  ipv6 = {
    address = text "IPv6 address beside the machine's own.";
    prefixLength = option (types.ints.between 1 128) 64 "Its prefix length.";
    gateway = text "IPv6 default route; none waits for router advertisements.";
  };

  # --- which links there are -----------------------------------------------------------------------------------------

  main = if cfg.interface != null then cfg.interface else "primary";
  portsOf = made: lib.concatLists (lib.mapAttrsToList (_: m: m.interfaces) made);
  carriers = lib.mapAttrsToList (_: v: v.interface) cfg.vlans;
  made = cfg.bonds // cfg.bridges // cfg.vlans;
  names = lib.unique (
    [ main ] ++ builtins.attrNames (made // cfg.links) ++ portsOf cfg.bonds ++ portsOf cfg.bridges ++ carriers
  );

  mastersOf = name: kind: builtins.attrNames (filterAttrs (_: m: builtins.elem name m.interfaces) kind);
  # The links directly below one: a bond's or bridge's ports, a VLAN's carrier.
  below = name: made.${name}.interfaces or (optional (made ? ${name}) made.${name}.interface);
  underMain = lib.concatMap (entry: [ entry.key ]) (
    builtins.genericClosure {
      startSet = [ { key = main; } ];
      operator = entry: map (key: { inherit key; }) (below entry.key);
    }
  );

  # --- one link ------------------------------------------------------------------------------------------------------

  onLink = cfg.gateway != null && cfg.prefixLength == 32;

  routeOf = r: { Destination = r.to; Gateway = r.via; };

  mainNetwork = {
    address =
      optional (!cfg.dhcp) "${address}/${toString cfg.prefixLength}"
      ++ cfg.addresses
      ++ optional (cfg.ipv6.address != null) "${cfg.ipv6.address}/${toString cfg.ipv6.prefixLength}";
    gateway = builtins.filter (g: g != null) [ (if onLink then null else cfg.gateway) cfg.ipv6.gateway ];
    # A /32 has no network that the router could be in; networkd takes the route when it is told that it is on the link.
    routes = optional onLink { Gateway = cfg.gateway; GatewayOnLink = true; } ++ map routeOf cfg.routes;
    dns = cfg.nameservers;
    domains = mkIf (cfg.searchDomains != [ ]) cfg.searchDomains;
    networkConfig = {
      DHCP = if cfg.dhcp then "yes" else "no";
      # A static node has the addresses that the inventory says, and does not wait 12 s at boot for a router that may
      # not be there: networkd counts a link as configured only when its three solicitations went unanswered.
      IPv6AcceptRA = mkDefault (cfg.dhcp || cfg.slaac || (cfg.ipv6.address != null && cfg.ipv6.gateway == null));
    }
    // optionalAttrs holdsVip {
      # keepalived's address is foreign to networkd, which would drop it whenever it starts (systemd/systemd#12050). The
      # price: an address of its own that leaves the inventory stays until the next boot.
      KeepConfiguration = mkDefault "static";
    };
    linkConfig.RequiredForOnline = "routable";
  };

  otherNetwork = l: {
    address = l.addresses;
    routes = map routeOf l.routes;
    networkConfig = {
      DHCP = if l.dhcp then "yes" else "no";
      IPv6AcceptRA = mkDefault l.dhcp;
    };
    # A cable missing there must not keep the node from starting.
    linkConfig.RequiredForOnline = false;
  };

  # A port of a bond or bridge has no addresses; a carrier of VLANs may be without. One dead cable of a bond must not
  # keep the node from starting either.
  bareNetwork = {
    networkConfig.LinkLocalAddressing = "no";
    linkConfig.RequiredForOnline = false;
  };

  # What the inventory says about a link by name, and else about the main one and those below it.
  own = name: cfg.links.${name} or { mac = null; mtu = null; };
  orElse = value: other: if value != null then value else other;
  macOf = name: orElse (if name == main then cfg.mac else null) (own name).mac;
  mtuOf = name: orElse (own name).mtu (if builtins.elem name underMain then cfg.mtu else null);

  isPrimary = name: builtins.any (b: b.primary == name) (builtins.attrValues cfg.bonds);

  network = name: lib.mkMerge [
    (mkIf (isPrimary name) { networkConfig.PrimarySlave = true; })
    (if name == main then mainNetwork else if cfg.links ? ${name} then otherNetwork cfg.links.${name} else bareNetwork)
    {
      # Bonds, bridges and VLANs take over a card's MAC address, but not as their permanent one.
      matchConfig = if macOf name != null then { PermanentMACAddress = macOf name; } else { Name = name; };
      bond = mastersOf name cfg.bonds;
      bridge = mastersOf name cfg.bridges;
      vlan = builtins.attrNames (filterAttrs (_: v: v.interface == name) cfg.vlans);
      linkConfig = optionalAttrs (mtuOf name != null) { MTUBytes = toString (mtuOf name); };
    }
  ];

  netdev = name: kind: { netdevConfig = { Name = name; Kind = kind; }; };
  bondDev = name: b: netdev name "bond" // {
    bondConfig = {
      Mode = b.mode;
      # Without it a dead link is never noticed.
      MIIMonitorSec = "100ms";
    }
    // optionalAttrs (b.mode == "802.3ad") {
      LACPTransmitRate = if b.lacpRate != null then b.lacpRate else "fast";
      TransmitHashPolicy = "layer3+4";
    }
    // optionalAttrs (b.transmitHashPolicy != null) { TransmitHashPolicy = b.transmitHashPolicy; }
    // optionalAttrs (b.minLinks != null) { MinLinks = b.minLinks; };
  };
  vlanDev = name: v: netdev name "vlan" // { vlanConfig.Id = v.id; };
  netdevs =
    builtins.mapAttrs bondDev cfg.bonds
    // builtins.mapAttrs (name: _: netdev name "bridge") cfg.bridges
    // builtins.mapAttrs vlanDev cfg.vlans;
in
{
  options.slipway.network = {
    enable = lib.mkEnableOption "slipway's links; without them the machine's own must carry its address" // {
      default = true;
    };
    interface = text "Link that carries the machine's address: a card, or a bond, bridge or VLAN from below.";
    mac = text "Match the card of `interface` by its MAC address in place of its name.";
    dhcp = truth "Whether a DHCP server gives the address.";
    prefixLength = number 1 128 "Prefix length of the machine's address.";
    gateway = text "Default route.";
    nameservers = words "DNS servers.";
    searchDomains = words "Domains that short names are looked up in.";
    mtu = number 1280 9216 "MTU of `interface` and of the links below it.";
    addresses = words "More static addresses of `interface`, with prefix length.";
    routes = option (types.listOf (types.submodule route)) [ ] "Static routes by `interface`.";
    slaac = truth "Whether router advertisements add addresses and routes to a static address.";
    inherit ipv6;
    bonds = several bond "Several cards as one link.";
    bridges = several { interfaces = ports; } "Software bridges.";
    vlans = several vlan "Tagged VLANs.";
    links = several link "Links beside `interface`.";
  };

  config = lib.mkMerge [
    {
      # Routes, rules and links of the pod network are not networkd's to remove (cilium/cilium#18706), whoever sets it up.
      systemd.network.config.networkConfig = {
        ManageForeignRoutes = false;
        ManageForeignRoutingPolicyRules = false;
      };
      systemd.network.networks."05-pods" = {
        matchConfig.Name = "cilium* lxc* cali* vxlan.calico kube-bridge kube-dummy-if veth*";
        linkConfig.Unmanaged = true;
      };
    }
    (mkIf cfg.enable {
      assertions = [
        {
          assertion = cfg.interface != null || cfg.mac != null;
          message = "slipway: network.interface or network.mac says which link carries ${address}";
        }
        {
          assertion = cfg.dhcp || cfg.prefixLength != null;
          message = "slipway: the address ${address} needs network.prefixLength, or DHCP";
        }
      ];

      networking.useDHCP = false;
      networking.useNetworkd = mkDefault true;

      systemd.network = {
        enable = true;
        netdevs = lib.mapAttrs' (name: value: lib.nameValuePair "10-${name}" value) netdevs;
        networks = builtins.listToAttrs (map (name: lib.nameValuePair "10-${name}" (network name)) names);
      };
    })
  ];
}
