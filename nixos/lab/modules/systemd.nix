# Units: services, timers and sockets as text, wanted by links, as NixOS lays them out.
{ config, lib, pkgs, ... }:
let
  inherit (lib) concatStrings mkOption optional optionalAttrs optionalString types;
  names = mkOption { type = types.listOf types.str; default = [ ]; };
  section = mkOption { type = types.attrsOf types.anything; default = { }; };
  text = mkOption { type = types.lines; default = ""; };

  common = {
    enable = mkOption { type = types.bool; default = true; };
    overrideStrategy = mkOption { type = types.enum [ "asDropinIfExists" "asDropin" ]; default = "asDropinIfExists"; };
    description = mkOption { type = types.str; default = ""; };
    documentation = names;
    after = names;
    before = names;
    wants = names;
    requires = names;
    requisite = names;
    bindsTo = names;
    partOf = names;
    conflicts = names;
    onFailure = names;
    wantedBy = names;
    requiredBy = names;
    unitConfig = section;
    restartTriggers = mkOption { type = types.listOf types.anything; default = [ ]; };
    startLimitIntervalSec = mkOption { type = types.nullOr types.int; default = null; };
    startLimitBurst = mkOption { type = types.nullOr types.int; default = null; };
  };
  service.options = common // {
    serviceConfig = section;
    environment = mkOption { type = types.attrsOf (types.nullOr (types.either types.str types.path)); default = { }; };
    path = mkOption { type = types.listOf (types.either types.package types.str); default = [ ]; };
    script = text;
    preStart = text;
    postStart = text;
    restartIfChanged = mkOption { type = types.bool; default = true; };
    reloadIfChanged = mkOption { type = types.bool; default = false; };
    stopIfChanged = mkOption { type = types.bool; default = true; };
  };
  timer.options = common // { timerConfig = section; };
  socket.options = common // { socketConfig = section; listenStreams = names; };

  # A list is the same key several times; null is no key.
  renderValue = value: if builtins.isBool value then lib.boolToString value else toString value;
  renderKey =
    key: value:
    lib.concatMapStrings (v: optionalString (v != null) "${key}=${renderValue v}\n") (lib.toList value);
  renderSection =
    name: set: optionalString (set != { }) "[${name}]\n${concatStrings (lib.mapAttrsToList renderKey set)}\n";

  unitSection =
    u:
    lib.filterAttrs (_: v: v != [ ] && v != "" && v != null) {
      Description = u.description;
      Documentation = u.documentation;
      After = u.after;
      Before = u.before;
      Wants = u.wants;
      Requires = u.requires;
      Requisite = u.requisite;
      BindsTo = u.bindsTo;
      PartOf = u.partOf;
      Conflicts = u.conflicts;
      OnFailure = u.onFailure;
      StartLimitIntervalSec = u.startLimitIntervalSec;
      StartLimitBurst = u.startLimitBurst;
      X-Restart-Triggers = map toString u.restartTriggers;
    }
    // u.unitConfig;

  basePath = map (package: "${package}/bin") [ pkgs.coreutils pkgs.findutils pkgs.gnugrep pkgs.gnused pkgs.systemd ];
  pathOf = u: lib.unique (map (p: "${p}/bin") u.path ++ basePath);
  environmentOf =
    u: { PATH = builtins.concatStringsSep ":" (pathOf u); } // lib.filterAttrs (_: v: v != null) u.environment;
  environmentLines = u: lib.mapAttrsToList (k: v: builtins.toJSON "${k}=${toString v}") (environmentOf u);
  script = name: part: body: pkgs.writeShellScript "unit-script-${name}-${part}" "set -e\n${body}";
  ownService = u: u.overrideStrategy != "asDropin";

  serviceSection =
    name: u:
    optionalAttrs (ownService u) { Environment = environmentLines u; }
    // optionalAttrs (!u.restartIfChanged) { X-RestartIfChanged = false; }
    // optionalAttrs u.reloadIfChanged { X-ReloadIfChanged = true; }
    // optionalAttrs (!u.stopIfChanged) { X-StopIfChanged = false; }
    // optionalAttrs (u.script != "") { ExecStart = script name "start" u.script; }
    // optionalAttrs (u.preStart != "") { ExecStartPre = script name "pre-start" u.preStart; }
    // optionalAttrs (u.postStart != "") { ExecStartPost = script name "post-start" u.postStart; }
    // u.serviceConfig;

  installSection = u: lib.filterAttrs (_: names: names != [ ]) { WantedBy = u.wantedBy; RequiredBy = u.requiredBy; };
  unitText = u: body: renderSection "Unit" (unitSection u) + body + renderSection "Install" (installSection u);
  serviceUnit = name: u: u // { text = unitText u (renderSection "Service" (serviceSection name u)); };
  timerUnit = _: u: u // { text = unitText u (renderSection "Timer" u.timerConfig); };
  socketSection = u: { ListenStream = u.listenStreams; } // u.socketConfig;
  socketUnit = _: u: u // { text = unitText u (renderSection "Socket" (socketSection u)); };
  suffixed = suffix: render: lib.mapAttrs' (name: u: lib.nameValuePair "${name}.${suffix}" (render name u));

  units =
    suffixed "service" serviceUnit config.systemd.services
    // suffixed "timer" timerUnit config.systemd.timers
    // suffixed "socket" socketUnit config.systemd.sockets;

  folder = "systemd/system";
  # Units of Debian's own get a drop-in, ours a file; a disabled one is masked.
  fileOf =
    name: u:
    if !u.enable then
      { "${folder}/${name}".source = "/dev/null"; }
    else if u.overrideStrategy == "asDropin" then
      { "${folder}/${name}.d/overrides.conf".text = u.text; }
    else
      { "${folder}/${name}".text = u.text; };
  unitPath = name: u: if u.overrideStrategy == "asDropin" then "/lib/${folder}/${name}" else "/etc/${folder}/${name}";
  linksOf =
    name: u:
    let
      link = kind: target: lib.nameValuePair "${folder}/${target}.${kind}/${name}" { source = unitPath name u; };
    in
    optionalAttrs u.enable (builtins.listToAttrs (map (link "wants") u.wantedBy ++ map (link "requires") u.requiredBy));
in
{
  options.systemd = {
    services = mkOption { type = types.attrsOf (types.submodule service); default = { }; };
    timers = mkOption { type = types.attrsOf (types.submodule timer); default = { }; };
    sockets = mkOption { type = types.attrsOf (types.submodule socket); default = { }; };
    tmpfiles.rules = names;
    units = mkOption {
      type = types.attrsOf types.raw;
      default = units;
      description = "All units by their full name, with their text.";
    };
    lib = mkOption {
      type = types.raw;
      default = { inherit renderSection; };
      description = "How a section of a unit file is written; shared with networkd's files.";
    };
  };

  config.environment.etc = lib.mkMerge (
    lib.mapAttrsToList fileOf units
    ++ lib.mapAttrsToList linksOf units
    ++ optional (config.systemd.tmpfiles.rules != [ ]) {
      "tmpfiles.d/00-nixos.conf".text = lib.concatLines config.systemd.tmpfiles.rules;
    }
  );
}
