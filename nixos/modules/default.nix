# Every module of slipway, one concern a file.
{
  imports = [
    ./base.nix
    ./cluster.nix
    ./firewall.nix
    ./guard.nix
    ./k0s.nix
    ./kernel.nix
    ./network.nix
    ./ssh.nix
    ./time.nix
  ];
}
