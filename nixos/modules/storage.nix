# What a machine needs to use storage that others serve: CSI drivers bring their pods, but neither kernel modules nor the
# daemons and programs of the machine itself.
{ config, lib, ... }:
let
  inherit (lib) mkDefault mkIf mkMerge mkOption types;
  cfg = config.slipway.storage;
  switch =
    description:
    mkOption {
      type = types.bool;
      default = false;
      inherit description;
    };
in
{
  options.slipway.storage = {
    iscsi = switch "iSCSI, as Longhorn, OpenEBS and democratic-csi use it: iscsid, under a name of the machine's own.";
    nfs = switch "NFS: the programs that mount it, and rpcbind.";
    rbd = switch "Ceph's block devices: the kernel's rbd.";
    multipath = switch "Several ways to one disk: multipathd.";
  };

  config = mkMerge [
    (mkIf cfg.iscsi {
      services.openiscsi = {
        enable = true;
        # Servers know machines by it: two with one name take each other's disks.
        name = mkDefault "iqn.2016-04.com.open-iscsi:${config.networking.hostName}";
      };
      boot.kernelModules = [ "iscsi_tcp" ];
    })
    (mkIf cfg.nfs { boot.supportedFilesystems = [ "nfs" ]; })
    (mkIf cfg.rbd { boot.kernelModules = [ "rbd" ]; })
    (mkIf cfg.multipath {
      services.multipath = {
        enable = true;
        pathGroups = mkDefault [ ];
        # Disks with one way stay what they are: the machine's own, and those of Longhorn.
        defaults = mkDefault "find_multipaths strict";
      };
    })
  ];
}
