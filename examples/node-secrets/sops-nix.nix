# modules/secrets.nix: secrets of the machines by sops-nix, decrypted with each machine's SSH host key.
{ inputs, ... }:
{
  imports = [ inputs.sops-nix.nixosModules.sops ];

  sops = {
    age.sshKeyPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
    # The RSA host key would make it look for a GnuPG.
    gnupg.sshKeyPaths = [ ];
  };
}
