# What lies outside is reached by a proxy: shells and Nix by NixOS's own options, k0s and its children by its unit.
{ config, lib, ... }:
let
  inherit (lib) concatStringsSep mkDefault mkIf mkOption types;
  cfg = config.slipway.proxy;
  https = if cfg.https != null then cfg.https else cfg.http;
  noProxy = concatStringsSep "," (lib.unique (cfg.direct ++ cfg.noProxy));
  file = "slipway/proxy";
in
{
  options.slipway.proxy = {
    http = mkOption {
      type = types.nullOr types.nonEmptyStr;
      default = null;
      example = "http://proxy.example.org:3128";
      description = "Proxy for http; without one nothing goes by a proxy.";
    };
    https = mkOption {
      type = types.nullOr types.nonEmptyStr;
      default = null;
      description = "Proxy for https; none means that of `http`.";
    };
    direct = mkOption {
      type = types.listOf types.nonEmptyStr;
      default = [ ];
      description = "What every machine of the cluster reaches without it: nodes, pods, Services, the cluster's names.";
    };
    noProxy = mkOption {
      type = types.listOf types.nonEmptyStr;
      default = [ ];
      example = [ ".example.org" ];
      description = "More that this machine reaches without it.";
    };
  };

  config = mkIf (cfg.http != null) {
    networking.proxy = {
      httpProxy = mkDefault cfg.http;
      httpsProxy = mkDefault https;
      noProxy = mkDefault noProxy;
    };

    # A file, so that slipway sees which proxy a running k0s was started with, and restarts it for another one.
    environment.etc.${file}.text = ''
      HTTP_PROXY=${cfg.http}
      HTTPS_PROXY=${https}
      NO_PROXY=${noProxy}
    '';
    slipway.k0s.startedWith = [ config.environment.etc.${file}.source ];
    systemd.services.k0s.serviceConfig.EnvironmentFile = config.environment.etc.${file}.source;
  };
}
