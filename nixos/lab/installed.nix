# The system that a machine of the lab starts with, as a freshly installed NixOS has: it is on the network and lets its
# deployer in, nothing more.
{
  name,
  address,
  authorizedKey,
  prefixLength ? "24",
  gateway ? "",
  interface ? "host0",
  system ? builtins.currentSystem,
}:
let
  machine = {
    networking.hostName = name;
    nixpkgs.hostPlatform = system;
    systemd.network = {
      enable = true;
      networks."10-installed" = {
        matchConfig.Name = interface;
        address = [ "${address}/${prefixLength}" ];
        gateway = if gateway == "" then [ ] else [ gateway ];
      };
    };
    services.openssh = {
      enable = true;
      settings.PasswordAuthentication = false;
    };
    users.users.root.openssh.authorizedKeys.keys = [ authorizedKey ];
  };
in
((import ./.).nixosSystem { modules = [ machine ]; }).config.system.build.toplevel
