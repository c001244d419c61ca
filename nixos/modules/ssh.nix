# The way in: keys only.
{ config, lib, ... }:
let
  inherit (lib) mkDefault mkIf mkOption types;
  cfg = config.slipway.ssh;
  asRoot = cfg.user == "root";
in
{
  options.slipway.ssh = {
    enable = lib.mkEnableOption "slipway's sshd; without it the machine's own must let `user` in" // {
      default = true;
    };
    user = mkOption {
      type = types.nonEmptyStr;
      default = "root";
      description = "User that slipway logs in as; another than root gets sudo, without a password unless sudoPassword.";
    };
    sudoPassword = mkOption {
      type = types.bool;
      default = false;
      description = "Whether sudo asks `user` for its password, which your own configuration has to set.";
    };
    port = mkOption {
      type = types.port;
      default = 22;
      description = "Port of sshd.";
    };
    authorizedKeys = mkOption {
      type = types.listOf types.nonEmptyStr;
      default = [ ];
      description = "Public keys that may log in as that user.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.authorizedKeys != [ ] || config.users.users.${cfg.user}.openssh.authorizedKeys.keyFiles != [ ];
        message = "slipway: nobody could log in as ${cfg.user}: set ssh.authorizedKeys in the inventory";
      }
    ];

    services.openssh = {
      enable = true;
      ports = [ cfg.port ];
      # slipway.firewall opens it, to the sources that may.
      openFirewall = false;
      settings = {
        PasswordAuthentication = mkDefault false;
        KbdInteractiveAuthentication = mkDefault false;
        PermitRootLogin = mkDefault (if asRoot then "prohibit-password" else "no");
        X11Forwarding = mkDefault false;
        UseDns = mkDefault false;
      };
    };

    users.users.${cfg.user} = {
      openssh.authorizedKeys.keys = cfg.authorizedKeys;
      isNormalUser = mkIf (!asRoot) true;
      extraGroups = mkIf (!asRoot) [ "wheel" ];
    };
    security.sudo.extraRules = mkIf (!asRoot && !cfg.sudoPassword) [
      {
        users = [ cfg.user ];
        commands = [
          {
            command = "ALL";
            options = [ "NOPASSWD" ];
          }
        ];
      }
    ];
    # Closures come unsigned from the deployer's own store. A list takes the place of NixOS's own, which is root.
    nix.settings.trusted-users = mkIf (!asRoot) [ "root" cfg.user ];
  };
}
