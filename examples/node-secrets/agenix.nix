# modules/secrets.nix: secrets of the machines by agenix, decrypted with each machine's SSH host key.
{ inputs, ... }:
{
  imports = [ inputs.agenix.nixosModules.default ];

  age.identityPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
}
