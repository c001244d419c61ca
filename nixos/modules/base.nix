# What the machine is, and the tools that people and checks expect on it.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkDefault mkOption types;
  cfg = config.slipway;
in
{
  options.slipway = {
    role = mkOption {
      type = types.enum [ "controller" "controller+worker" "worker" "single" ];
      description = "What the machine does in the cluster, in k0s's words.";
    };
    address = mkOption {
      type = types.nonEmptyStr;
      example = "10.0.0.11";
      description = "The address by which slipway and the other nodes reach the machine.";
    };
    isController = mkOption {
      type = types.bool;
      readOnly = true;
      default = cfg.role != "worker";
      defaultText = lib.literalExpression ''config.slipway.role != "worker"'';
      description = "Whether the machine is part of the control plane.";
    };
    runsWorkloads = mkOption {
      type = types.bool;
      readOnly = true;
      default = cfg.role != "controller";
      defaultText = lib.literalExpression ''config.slipway.role != "controller"'';
      description = "Whether the machine has a kubelet.";
    };
    madeOf = mkOption {
      type = types.attrsOf types.nonEmptyStr;
      default = { };
      description = "Digests of the inventory's data that the system is made from; `slipway verify` compares them.";
    };
  };

  config = {
    environment.systemPackages = [
      pkgs.ethtool
      pkgs.iproute2
      pkgs.jq
    ];
    environment.etc."slipway/inventory".text = lib.concatStrings (
      lib.mapAttrsToList (name: digest: "${name} ${digest}\n") cfg.madeOf
    );
    # Nobody reads manuals on a cluster node, and building them takes time on every change.
    documentation.enable = mkDefault false;
  };
}
