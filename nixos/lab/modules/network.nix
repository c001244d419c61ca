# Host name, hosts file, and systemd-networkd's files.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.systemd.network;
  value = types.anything;
  section = mkOption { type = types.attrsOf value; default = { }; };
  sections = mkOption { type = types.listOf (types.attrsOf value); default = [ ]; };
  words = mkOption { type = types.listOf types.str; default = [ ]; };

  network.options = {
    enable = mkOption { type = types.bool; default = true; };
    matchConfig = section;
    linkConfig = section;
    networkConfig = section;
    dhcpV4Config = section;
    dhcpV6Config = section;
    ipv6AcceptRAConfig = section;
    bridgeConfig = section;
    address = words;
    gateway = words;
    dns = words;
    ntp = words;
    domains = words;
    vlan = words;
    bond = words;
    bridge = words;
    routes = sections;
    addresses = sections;
    routingPolicyRules = sections;
    extraConfig = mkOption { type = types.lines; default = ""; };
  };
  netdev.options = {
    enable = mkOption { type = types.bool; default = true; };
    netdevConfig = section;
    vlanConfig = section;
    bondConfig = section;
    bridgeConfig = section;
    extraConfig = mkOption { type = types.lines; default = ""; };
  };
  link.options = {
    enable = mkOption { type = types.bool; default = true; };
    matchConfig = section;
    linkConfig = section;
    extraConfig = mkOption { type = types.lines; default = ""; };
  };

  ini = config.systemd.lib.renderSection;
  many = name: lib.concatMapStrings (ini name);
  # The short options are keys of [Network] that may come several times.
  lists = n: {
    Address = n.address;
    Bond = n.bond;
    Bridge = n.bridge;
    DNS = n.dns;
    Domains = n.domains;
    Gateway = n.gateway;
    NTP = n.ntp;
    VLAN = n.vlan;
  };

  networkText = n:
    ini "Match" n.matchConfig
    + ini "Link" n.linkConfig
    + ini "Network" (n.networkConfig // lib.filterAttrs (_: xs: xs != [ ]) (lists n))
    + ini "DHCPv4" n.dhcpV4Config
    + ini "DHCPv6" n.dhcpV6Config
    + ini "IPv6AcceptRA" n.ipv6AcceptRAConfig
    + ini "Bridge" n.bridgeConfig
    + many "Route" n.routes
    + many "Address" n.addresses
    + many "RoutingPolicyRule" n.routingPolicyRules
    + n.extraConfig;
  netdevText = n:
    ini "NetDev" n.netdevConfig
    + ini "VLAN" n.vlanConfig
    + ini "Bond" n.bondConfig
    + ini "Bridge" n.bridgeConfig
    + n.extraConfig;
  linkText = n: ini "Match" n.matchConfig + ini "Link" n.linkConfig + n.extraConfig;

  files =
    suffix: render: units:
    lib.mapAttrs' (name: unit: lib.nameValuePair "systemd/network/${name}.${suffix}" { text = render unit; }) (
      lib.filterAttrs (_: unit: unit.enable) units
    );
  # As NixOS has them: by file name, with their text.
  units = lib.mapAttrs' (path: file: lib.nameValuePair (lib.removePrefix "systemd/network/" path) file) (
    lib.filterAttrs (path: _: lib.hasPrefix "systemd/network/" path) written
  );
  written =
    files "network" networkText cfg.networks
    // files "netdev" netdevText cfg.netdevs
    // files "link" linkText cfg.links
    // lib.optionalAttrs (cfg.config.networkConfig != { }) {
      "systemd/networkd.conf".text = ini "Network" cfg.config.networkConfig;
    };
  hostsLine = address: names: lib.optionalString (names != [ ]) "${address} ${toString names}\n";
in
{
  options = {
    networking = {
      hostName = mkOption { type = types.strMatching "[[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?"; };
      domain = mkOption { type = types.nullOr types.str; default = null; };
      hosts = mkOption { type = types.attrsOf (types.listOf types.str); default = { }; };
      useDHCP = mkOption { type = types.bool; default = false; };
      useNetworkd = mkOption { type = types.bool; default = true; };
      nameservers = words;
    };
    systemd.network = {
      enable = mkOption { type = types.bool; default = false; };
      wait-online.enable = mkOption { type = types.bool; default = true; };
      wait-online.anyInterface = mkOption { type = types.bool; default = false; };
      config.networkConfig = section;
      units = mkOption { type = types.attrsOf types.raw; default = units; };
      networks = mkOption { type = types.attrsOf (types.submodule network); default = { }; };
      netdevs = mkOption { type = types.attrsOf (types.submodule netdev); default = { }; };
      links = mkOption { type = types.attrsOf (types.submodule link); default = { }; };
    };
  };

  config = lib.mkMerge [
    {
      networking.hosts = {
        "127.0.0.1" = [ "localhost" ];
        "127.0.0.2" = [ config.networking.hostName ];
        "::1" = [ "localhost" ];
      };
      environment.etc.hosts.text = lib.concatStrings (lib.mapAttrsToList hostsLine config.networking.hosts);
      environment.etc.protocols.source = ../protocols;
      environment.etc.hostname.text = config.networking.hostName + "\n";
      system.activationScripts.hostname = "hostname -F /etc/hostname\n";
    }
    (lib.mkIf cfg.enable {
      environment.etc = written;
      systemd.services.systemd-networkd = {
        overrideStrategy = "asDropin";
        wantedBy = [ "multi-user.target" ];
        stopIfChanged = false;
        restartTriggers = lib.mapAttrsToList (name: _: config.environment.etc.${name}.source) written;
      };
      systemd.services.systemd-networkd-wait-online = lib.mkIf cfg.wait-online.enable {
        overrideStrategy = "asDropin";
        wantedBy = [ "network-online.target" ];
        stopIfChanged = false;
        serviceConfig.ExecStart = lib.mkIf cfg.wait-online.anyInterface [
          ""
          "/lib/systemd/systemd-networkd-wait-online --any"
        ];
      };
    })
  ];
}
