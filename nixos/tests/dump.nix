# What matters of an evaluated machine, as plain data: NixOS and the lab's own evaluator must agree on it.
system:
let
  inherit (system) config;
  text = u: u.text;
  user = u: {
    inherit (u) isNormalUser isSystemUser extraGroups;
    inherit (u.openssh.authorizedKeys) keys;
  };
in
{
  failed = map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions);
  units = builtins.mapAttrs (_: text) { inherit (config.systemd.units) "k0s.service"; };
  links = builtins.mapAttrs (_: text) config.systemd.network.units;
  etc = builtins.mapAttrs (_: e: toString e.source) (
    builtins.intersectAttrs { "k0s/k0s.yaml" = null; hostname = null; } config.environment.etc
  );
  modules = config.boot.kernelModules;
  sysctl = config.boot.kernel.sysctl;
  firewall = {
    inherit (config.networking.firewall)
      allowedTCPPorts
      allowedUDPPorts
      checkReversePath
      extraInputRules
      extraReversePathFilterRules
      ;
  };
  tmpfiles = config.systemd.tmpfiles.rules;
  users = builtins.mapAttrs (_: user) config.users.users;
  sshd = config.services.openssh.settings;
  ssh = { inherit (config.services.openssh) ports; };
  time = { inherit (config.services.chrony) enable servers; zone = config.time.timeZone; };
  name = config.networking.hostName;
}
