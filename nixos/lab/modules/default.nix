# Stand-ins for the NixOS options that slipway's modules set, one subject a file. Those in unrealised.nix are accepted
# and go nowhere: the lab's machines have no boot loader, disks or firmware of their own.
{
  imports = [
    ./activation.nix
    ./disko.nix
    ./etc.nix
    ./firewall.nix
    ./journald.nix
    ./kernel.nix
    ./network.nix
    ./nix.nix
    ./slipway.nix
    ./ssh.nix
    ./sudo.nix
    ./systemd.nix
    ./time.nix
    ./toplevel.nix
    ./unrealised.nix
    ./users.nix
  ];
}
