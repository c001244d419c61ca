{
  description = "One host inventory to a running, self-managing Kubernetes cluster on bare-metal NixOS";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    disko = {
      url = "github:nix-community/disko";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      disko,
    }:
    import ./nixos/outputs.nix { inherit self nixpkgs disko; };
}
