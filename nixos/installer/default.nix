# NixOS's installation medium for `slipway install`: it knows the keys of those who may log in, and shows on its console
# what they need to reach it and to compare.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkDefault mkOption types;
  issue = "/run/issue.d/50-slipway.issue";
in
{
  options.slipway.installer.authorizedKeys = mkOption {
    type = types.listOf types.nonEmptyStr;
    default = [ ];
    description = "Public keys that may log in as root.";
  };

  config = {
    users.users.root.openssh.authorizedKeys.keys = config.slipway.installer.authorizedKeys;
    services.openssh.enable = true;
    # Where keys are known nobody needs a password, and everybody on the network could try one.
    services.openssh.settings.PasswordAuthentication = mkDefault (config.slipway.installer.authorizedKeys == [ ]);

    systemd.services.slipway-installer-issue = {
      description = "Show address and host key on the console";
      wantedBy = [ "multi-user.target" ];
      after = [ "sshd.service" ];
      # A socket-activated sshd makes its keys later.
      unitConfig.ConditionPathExists = "/etc/ssh/ssh_host_ed25519_key.pub";
      path = [ pkgs.openssh pkgs.util-linux ];
      serviceConfig.Type = "oneshot";
      script = ''
        mkdir -p ${dirOf issue}
        {
          echo 'slipway trust root@\4     (or root@\6), then slipway install NODE --at the same'
          echo "host key: $(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub)"
        } > ${issue}
        agetty --reload || true
      '';
    };

    # An installer has no state that a release could disagree with.
    system.stateVersion = mkDefault config.system.nixos.release;
  };
}
