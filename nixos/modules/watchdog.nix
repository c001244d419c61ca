# The hardware watchdog resets a machine that hangs.
{ config, lib, options, ... }:
let
  inherit (lib) filterAttrs mkIf mkOption types;
  cfg = config.slipway.watchdog;
  some = filterAttrs (_: value: value != null);
  seconds = value: if value == null then null else "${toString value}s";
in
{
  options.slipway.watchdog = {
    enable = lib.mkEnableOption "the hardware watchdog";
    device = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/dev/watchdog1";
      description = "The watchdog's device; none leaves the choice to systemd.";
    };
    runtime = mkOption {
      type = types.ints.positive;
      default = 30;
      description = "Seconds of silence after which a running machine is reset.";
    };
    reboot = mkOption {
      type = types.ints.positive;
      default = 600;
      description = "Seconds after which a hanging reboot is cut short.";
    };
  };

  config = mkIf cfg.enable {
    systemd =
      # From 25.11 on, systemd.watchdog is another name for these.
      if options.systemd ? settings then
        {
          settings.Manager = some {
            WatchdogDevice = cfg.device;
            RuntimeWatchdogSec = seconds cfg.runtime;
            RebootWatchdogSec = seconds cfg.reboot;
          };
        }
      else
        {
          watchdog = some {
            inherit (cfg) device;
            runtimeTime = seconds cfg.runtime;
            rebootTime = seconds cfg.reboot;
          };
        };
  };
}
