# Pull mode: the machine fetches its own configuration, for fleets that no one deployer should push to.
{ config, lib, options, ... }:
let
  inherit (lib) mkDefault mkIf mkMerge mkOption optionalAttrs types;
  cfg = config.slipway.pull;
  flake = "${cfg.url}${if lib.hasInfix "?" cfg.url then "&" else "?"}ref=${cfg.branch}";
in
{
  options.slipway.pull = {
    engine = mkOption {
      type = types.nullOr (types.enum [ "autoUpgrade" "comin" ]);
      default = null;
      description = "What pulls: NixOS's own system.autoUpgrade, or comin (whose module the flake has to add).";
    };
    url = mkOption {
      # NixOS's upgrade puts the flake into a line of a shell as it is.
      type = types.strMatching "[A-Za-z0-9._~:/?@+,=%-]*";
      default = "";
      example = "git+https://git.example.org/homelab.git";
      description = "The flake (autoUpgrade), or the Git repository (comin).";
    };
    branch = mkOption {
      type = types.strMatching "[A-Za-z0-9_][A-Za-z0-9_./-]*";
      default = "main";
      description = "Branch to follow.";
    };
    dates = mkOption {
      type = types.nonEmptyStr;
      default = "04:40";
      description = "When autoUpgrade looks (systemd calendar).";
    };
  };

  config = mkMerge [
    {
      assertions = [
        {
          assertion = cfg.engine != "comin" || options.services ? comin;
          message = "slipway: pull.engine is comin, but comin's module is not there: import it in modules/";
        }
        {
          assertion = cfg.engine == null || cfg.url != "";
          message = "slipway: pull.url says where the configuration is pulled from";
        }
      ];
    }
    (mkIf (cfg.engine == "autoUpgrade") {
      system.autoUpgrade = {
        enable = true;
        inherit flake;
        inherit (cfg) dates;
        flags = [ "--refresh" ];
        # Reboots are for slipway, or for a person, who ask for quorum first.
        allowReboot = mkDefault false;
        randomizedDelaySec = mkDefault "30min";
      };
    })
    (optionalAttrs (options.services ? comin) {
      services.comin = mkIf (cfg.engine == "comin") {
        enable = true;
        remotes = [
          {
            name = "origin";
            inherit (cfg) url;
            branches.main.name = cfg.branch;
          }
        ];
      };
    })
  ];
}
