# Accounts, added to those that Debian has; none is ever removed.
{ config, lib, ... }:
let
  inherit (lib) mapAttrsToList mkOption types;
  user =
    { name, config, ... }:
    {
      options = {
        name = mkOption { type = types.str; default = name; };
        isNormalUser = mkOption { type = types.bool; default = false; };
        isSystemUser = mkOption { type = types.bool; default = false; };
        uid = mkOption { type = types.nullOr types.int; default = null; };
        description = mkOption { type = types.str; default = ""; };
        group = mkOption { type = types.str; default = if config.isNormalUser then "users" else ""; };
        extraGroups = mkOption { type = types.listOf types.str; default = [ ]; };
        home = mkOption { type = types.path; default = if config.isNormalUser then "/home/${name}" else "/var/empty"; };
        shell = mkOption { type = types.nullOr (types.either types.package types.path); default = null; };
        hashedPassword = mkOption { type = types.nullOr types.str; default = null; };
        openssh.authorizedKeys.keys = mkOption { type = types.listOf types.str; default = [ ]; };
        openssh.authorizedKeys.keyFiles = mkOption { type = types.listOf types.path; default = [ ]; };
      };
    };
  group = {
    options.gid = mkOption { type = types.nullOr types.int; default = null; };
    options.members = mkOption { type = types.listOf types.str; default = [ ]; };
  };

  added = lib.filterAttrs (_: u: u.isNormalUser || u.isSystemUser) config.users.users;
  addGroup = name: _: "getent group ${name} >/dev/null || groupadd --system ${name}\n";
  kindOf =
    u:
    if u.isNormalUser then
      [ "--create-home" "--shell" "/bin/bash" ]
    else
      [ "--system" "--shell" "/usr/sbin/nologin" ];
  useradd = u: [ "--home-dir" u.home "--gid" u.group "--comment" u.description ] ++ kindOf u ++ [ u.name ];
  addUser = _: u: ''
    id ${u.name} >/dev/null 2>&1 || useradd ${lib.escapeShellArgs (useradd u)}
    usermod --groups ${lib.escapeShellArg (builtins.concatStringsSep "," u.extraGroups)} ${u.name}
  '';
  keysOf =
    u:
    lib.concatLines u.openssh.authorizedKeys.keys
    + lib.concatMapStrings builtins.readFile u.openssh.authorizedKeys.keyFiles;
  withKeys = lib.filterAttrs (_: u: keysOf u != "") config.users.users;
in
{
  options.users = {
    users = mkOption { type = types.attrsOf (types.submodule user); default = { }; };
    groups = mkOption { type = types.attrsOf (types.submodule group); default = { }; };
    mutableUsers = mkOption { type = types.bool; default = true; };
  };

  config = {
    users.groups = lib.genAttrs [ "users" "wheel" ] (_: { });
    # Copies: sshd follows no link into a folder that others may write to.
    environment.etc = lib.mapAttrs' (
      name: u:
      lib.nameValuePair "ssh/authorized_keys.d/${name}" {
        text = keysOf u;
        mode = "0444";
      }
    ) withKeys;
    system.activationScripts.users =
      lib.concatStrings (mapAttrsToList addGroup config.users.groups ++ mapAttrsToList addUser added);
  };
}
