# Disks, formatted by disko when the machine is installed. Without any here, the machine's own settings mount them.
{ config, lib, options, ... }:
let
  inherit (lib) mkOption optionalAttrs types;
  cfg = config.slipway.disks;
  mebibyte = 1048576;

  disk.options = {
    device = mkOption {
      type = types.strMatching "/dev/.*";
      example = "/dev/disk/by-id/nvme-Samsung_SSD_980_S64ANS0R";
      description = "The whole disk, by a name that does not change.";
    };
    mountPoint = mkOption {
      type = types.strMatching "/.*";
      default = "/";
      description = "Where it is mounted; the one at / also gets the boot partition.";
    };
    filesystem = mkOption {
      type = types.enum [ "ext4" "xfs" "btrfs" ];
      default = "ext4";
      description = "Its file system.";
    };
    swap = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      description = "Size of a swap partition in bytes.";
    };
  };

  bootPartition =
    if config.slipway.boot.mode == "uefi" then
      {
        size = "1G";
        type = "EF00";
        priority = 1;
        content = {
          type = "filesystem";
          format = "vfat";
          mountpoint = "/boot";
          mountOptions = [ "umask=0077" ];
        };
      }
    else
      {
        size = "1M";
        type = "EF02";
        priority = 1;
      };

  partitions =
    d:
    optionalAttrs (d.mountPoint == "/") { boot = bootPartition; }
    // optionalAttrs (d.swap != null) {
      swap = {
        size = "${toString (d.swap / mebibyte)}M";
        content.type = "swap";
      };
    }
    // {
      data = {
        size = "100%";
        content = {
          type = "filesystem";
          format = d.filesystem;
          mountpoint = d.mountPoint;
          mountOptions = [ "noatime" ];
        };
      };
    };
in
{
  options.slipway.disks = mkOption {
    type = types.attrsOf (types.submodule disk);
    default = { };
    description = "The machine's disks, by a name of their own.";
  };

  config = lib.mkMerge [
    {
      assertions = [
        {
          assertion = cfg == { } || options ? disko;
          message = "slipway: disks are described, but disko is not there: use slipway.lib.withDisko nixosSystem";
        }
      ];
    }
    (optionalAttrs (options ? disko) {
      disko.devices.disk = builtins.mapAttrs (_: d: {
        type = "disk";
        inherit (d) device;
        content = {
          type = "gpt";
          partitions = partitions d;
        };
      }) cfg;
    })
  ];
}
