# Functions for a user's flake.
{ self, nixpkgs, disko, forAll }:
let
  withDisko =
    nixosSystem: args:
    nixosSystem (args // { modules = [ disko.nixosModules.disko ] ++ args.modules; });

  tools = pkgs: [
    pkgs.age
    pkgs.git
    pkgs.kubectl
    pkgs.kubernetes-helm
    pkgs.openssh
    pkgs.sops
  ];
in
{
  inherit tools withDisko;

  # Our own evaluator, for machines of the lab: lib.lab.nixosSystem in place of nixpkgs.lib.nixosSystem.
  lab = import ../lab;

  # The outputs of a user's flake. `root` is the folder of inventory.yaml, with what `slipway generate` wrote into it;
  # `nixosSystem` evaluates a machine, by default that of the pinned nixpkgs with disko; `specialArgs` reach every
  # module.
  mkCluster =
    {
      root,
      nixosSystem ? withDisko nixpkgs.lib.nixosSystem,
      specialArgs ? { },
    }:
    let
      nixosConfigurations = import ./configurations.nix { inherit root nixosSystem specialArgs; };
    in
    { inherit nixosConfigurations; }
    // import ./commands.nix { inherit self nixpkgs root forAll tools; machines = nixosConfigurations; };
}
