# Every module of slipway, one concern a file.
{
  imports = [
    ./api-server.nix
    ./base.nix
    ./boot.nix
    ./cluster.nix
    ./disks.nix
    ./firewall.nix
    ./follow.nix
    ./guard.nix
    ./hardware.nix
    ./images.nix
    ./journald.nix
    ./k0s.nix
    ./kernel.nix
    ./network.nix
    ./nix.nix
    ./proxy.nix
    ./pull.nix
    ./ssh.nix
    ./storage.nix
    ./time.nix
    ./users.nix
    ./virtual-address.nix
    ./watchdog.nix
  ];
}
