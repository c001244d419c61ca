# The firewall as nftables rules, in the shape of NixOS's own: established traffic, then what is opened, then nothing.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption optionalString types;
  cfg = config.networking.firewall;
  ports = mkOption { type = types.listOf types.port; default = [ ]; };
  commas = lib.concatMapStringsSep ", ";
  open = protocol: list: optionalString (list != [ ]) "${protocol} dport { ${commas toString list} } accept";
  trusted = commas (name: "\"${name}\"") ([ "lo" ] ++ cfg.trustedInterfaces);
  reversePath = {
    loose = "fib saddr . mark oif missing";
    strict = "fib saddr . mark . iif oif missing";
  };
  # NixOS lets nft check the rules while it builds the system, where it knows the names of iana-etc alone. Words of
  # nft's own grammar need no name.
  words = [ "ah" "comp" "dccp" "esp" "icmp" "icmpv6" "igmp" "sctp" "tcp" "udp" "udplite" ];
  names = map (lib.splitString "\t") (lib.splitString "\n" (builtins.readFile ../protocols));
  known = words ++ map builtins.head (builtins.filter (line: builtins.length line == 2) names);
  named =
    let
      matches = builtins.filter builtins.isList (
        builtins.split "(l4proto|protocol|nexthdr)[ ]+([!=]=[ ]+)?([{][^}]*[}]|[^ ;\n]+)" cfg.extraInputRules
      );
      parts = match: builtins.filter (word: builtins.isString word && word != "") (
        builtins.split "[{}, \n]+" (lib.last match)
      );
    in
    builtins.concatLists (map parts matches);
  unknown = builtins.filter (word: builtins.match "[0-9]+" word == null && !builtins.elem word known) named;

  check = if cfg.checkReversePath == true then "strict" else cfg.checkReversePath;

  # Declared before it is deleted, so that deleting works the first time too; one transaction.
  rules = ''
    ${optionalString config.networking.nftables.flushRuleset "flush ruleset"}
    table inet nixos-fw
    delete table inet nixos-fw
    table inet nixos-fw {
      chain rpfilter {
        type filter hook prerouting priority mangle + 10; policy accept;
        ${optionalString (check != false) "meta nfproto ipv4 udp sport . udp dport { 67 . 68, 68 . 67 } accept"}
        ${optionalString (check != false) "jump rpfilter-allow"}
        ${optionalString (check != false) "${reversePath.${toString check}} drop"}
      }
      chain rpfilter-allow {
        ${cfg.extraReversePathFilterRules}
      }
      chain input {
        type filter hook input priority filter; policy drop;
        iifname { ${trusted} } accept
        ct state vmap {
          invalid : drop, established : accept, related : accept, new : jump input-allow, untracked : jump input-allow
        }
      }
      chain input-allow {
        ${open "tcp" cfg.allowedTCPPorts}
        ${open "udp" cfg.allowedUDPPorts}
        ${optionalString cfg.allowPing "icmp type echo-request accept"}
        icmpv6 type != { nd-redirect, 139 } accept
        ip6 daddr fe80::/64 udp dport 546 accept
        ${cfg.extraInputRules}
      }
    }
  '';
in
{
  options.networking = {
    nftables.enable = mkOption { type = types.bool; default = false; };
    nftables.flushRuleset = mkOption {
      type = types.bool;
      default = lib.versionOlder config.system.stateVersion "23.11";
    };
    firewall = {
      enable = mkOption { type = types.bool; default = true; };
      allowedTCPPorts = ports;
      allowedUDPPorts = ports;
      allowPing = mkOption { type = types.bool; default = true; };
      trustedInterfaces = mkOption { type = types.listOf types.str; default = [ ]; };
      checkReversePath = mkOption {
        type = types.either types.bool (types.enum [ "strict" "loose" ]);
        default = "loose";
      };
      extraInputRules = mkOption { type = types.lines; default = ""; };
      extraReversePathFilterRules = mkOption { type = types.lines; default = ""; };
    };
  };

  config = lib.mkIf (cfg.enable && config.networking.nftables.enable) {
    assertions = map (name: {
      assertion = false;
      message = "nftables: NixOS has no protocol ${name} in its /etc/protocols: write its number";
    }) unknown;
    environment.etc."nftables.conf".text = rules;
    systemd.services.nftables = {
      description = "nftables firewall";
      before = [ "network-pre.target" ];
      wants = [ "network-pre.target" ];
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ config.environment.etc."nftables.conf".source ];
      # Old rules hold until the new ones are in place.
      reloadIfChanged = true;
      unitConfig.DefaultDependencies = false;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${pkgs.nftables}/bin/nft -f /etc/nftables.conf";
        ExecReload = "${pkgs.nftables}/bin/nft -f /etc/nftables.conf";
        ExecStop = "${pkgs.nftables}/bin/nft delete table inet nixos-fw";
      };
    };
  };
}
