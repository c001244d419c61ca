# sshd as a unit with NixOS's name, in place of Debian's ssh.service.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.openssh;
  atom = types.nullOr (types.oneOf [ types.bool types.int types.str (types.listOf types.str) ]);
  render =
    value:
    if builtins.isBool value then
      (if value then "yes" else "no")
    else if builtins.isList value then
      builtins.concatStringsSep "," value
    else
      toString value;
  setting = name: value: lib.optionalString (value != null) "${name} ${render value}\n";

  # Else it would come back where sshd is turned off.
  debian.systemd.services.ssh.enable = false;
in
{
  options.services.openssh = {
    enable = mkOption { type = types.bool; default = false; };
    ports = mkOption { type = types.listOf types.port; default = [ 22 ]; };
    openFirewall = mkOption { type = types.bool; default = true; };
    settings = mkOption { type = types.attrsOf atom; default = { }; };
    extraConfig = mkOption { type = types.lines; default = ""; };
  };

  config = lib.mkMerge [ debian (lib.mkIf cfg.enable {
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall cfg.ports;
    environment.etc."ssh/sshd_config".text = ''
      ${lib.concatMapStrings (port: "Port ${toString port}\n") cfg.ports}
      HostKey /etc/ssh/ssh_host_ed25519_key
      AuthorizedKeysFile %h/.ssh/authorized_keys /etc/ssh/authorized_keys.d/%u
      Subsystem sftp /usr/lib/openssh/sftp-server
      SetEnv PATH=/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
      # Fifty connections at once are a deploy in the lab, no attack.
      MaxStartups 200
      MaxSessions 100
      ${lib.concatStrings (lib.mapAttrsToList setting cfg.settings)}
      ${cfg.extraConfig}
    '';
    systemd.services.sshd = {
      description = "SSH Daemon";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" "nftables.service" ];
      conflicts = [ "ssh.service" ];
      restartTriggers = [ config.environment.etc."ssh/sshd_config".source ];
      # Sessions outlive a restart; the one that asked for it, too.
      stopIfChanged = false;
      serviceConfig = {
        Type = "notify";
        RuntimeDirectory = "sshd";
        RuntimeDirectoryMode = "0755";
        RuntimeDirectoryPreserve = "yes";
        ExecStartPre = "/usr/sbin/sshd -t";
        ExecStart = "/usr/sbin/sshd -D";
        KillMode = "process";
        Restart = "always";
      };
    };
  }) ];
}
