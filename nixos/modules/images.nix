# Where containerd gets images from when not from their makers: mirrors, and a bundle that is there before any network.
{ config, lib, pkgs, ... }:
let
  inherit (lib) concatMapStrings mkIf mkMerge mkOption nameValuePair types;
  cfg = config.slipway.images;
  dropIn = "k0s/containerd.d/slipway-registries.toml";
  # Read at every pull (containerd's registry host configuration).
  # A mirror with a path (Harbor, Nexus) serves below that path: containerd would put its own /v2 behind it.
  hasPath = url: builtins.match "[^:/]+://[^/]+/.+" url != null;
  hostsFile = mirrors: concatMapStrings (url: ''
    [host.${builtins.toJSON url}]
      capabilities = ["pull", "resolve"]
    ${lib.optionalString (hasPath url) "  override_path = true\n"}${caOf (hostOf url)}'') mirrors;
  # The same with a place for the password, which registries.sh fills on the machine.
  loginFile = mirrors: concatMapStrings (url: hostsFile [ url ] + lib.optionalString (asks url) ''
      [host.${builtins.toJSON url}.header]
    @login ${hostOf url}@
  '') mirrors;
  asks = url: builtins.elem (hostOf url) cfg.credentials;
  # A mirror is known by its host and port, as a registry is.
  hostOf = url: builtins.head (builtins.match "[^:/]+://([^/]+).*" url);
  caFile = host: "k0s/registry-ca/${builtins.replaceStrings [ ":" ] [ "_" ] host}.pem";
  caOf = host: lib.optionalString (cfg.ca ? ${host}) "  ca = \"/etc/${caFile host}\"\n";
  # Registries with certificates of their own that no mirror stands before.
  plain = lib.filterAttrs (host: _: !(cfg.registries ? ${host})) cfg.ca;
  folderOf = registry: if registry == "*" then "_default" else registry;
  # From 1.36 on k0s runs containerd 2 and refuses to start on a drop-in of any version but 3; up to 1.35 it wants 2
  # (k0s docs/runtime.md).
  registriesIn =
    if lib.versionAtLeast config.slipway.k0s.version "1.36" then
      { version = 3; plugin = "io.containerd.cri.v1.images"; }
    else
      { version = 2; plugin = "io.containerd.grpc.v1.cri"; };
  platform = pkgs.stdenv.hostPlatform.system;
  bundleType = types.attrsOf (
    types.submodule {
      options = {
        url = mkOption {
          type = types.nonEmptyStr;
          description = "Where the bundle is fetched from when the system is built.";
        };
        hash = mkOption {
          type = types.nonEmptyStr;
          description = "Its hash, sha256-...";
        };
      };
    }
  );
  # A folder that k0s imports from. Bundles before this one, under other names, go at boot, where nothing reads them yet.
  imported = name: bundle: {
    systemd.tmpfiles.rules = [
      "d /var/lib/k0s/images 0755 root root -"
      "r! /var/lib/k0s/images/slipway-${name}*.tar - - - - -"
      "L+ /var/lib/k0s/images/slipway-${name}-${contentOf bundle}.tar - - - - ${
        pkgs.fetchurl { inherit (bundle) url hash; }
      }"
    ];
  };
  # k0s imports a bundle again when path or time of change differ (k0s pkg/component/worker/ocibundle.go), and in the
  # store no time ever does: another content needs another name.
  contentOf = b: builtins.substring 0 16 (builtins.hashString "sha256" b.hash);
  hostsEntry = registry: mirrors: nameValuePair "k0s/certs.d/${folderOf registry}/hosts.toml" { text = hostsFile mirrors; };
  plainFile = host: "server = \"https://${host}\"\n${lib.removePrefix "  " (caOf host)}";
  plainEntry = host: _: nameValuePair "k0s/certs.d/${host}/hosts.toml" { text = plainFile host; };
  # containerd takes the first folder that names a registry, or that has _default: so all are in the one with passwords.
  withLogins = pkgs.writeShellScript "slipway-registries" (builtins.readFile ./registries.sh);
  loginEntry = registry: mirrors: nameValuePair (folderOf registry) (loginFile mirrors);
  inStore = lib.mapAttrsToList (folder: text: [ folder "${pkgs.writeText "hosts.toml" text}" ]) cfg.composed;
  composed = lib.optional (cfg.credentials != [ ]) "/run/slipway/registries";
  caEntry = host: text: nameValuePair (caFile host) { inherit text; };
in
{
  options.slipway.images = {
    registries = mkOption {
      type = types.attrsOf (types.listOf types.nonEmptyStr);
      default = { };
      example = { "docker.io" = [ "https://mirror.example.org" ]; };
      description = "Registry to the mirrors that are asked before it; `*` is every registry that is not named.";
    };
    ca = mkOption {
      type = types.attrsOf types.lines;
      default = { };
      description = "Mirror or registry, as host or host:port, to the certificates (PEM) that sign its own.";
    };
    credentials = mkOption {
      type = types.listOf types.nonEmptyStr;
      default = [ ];
      example = [ "mirror.example.org" ];
      description = ''
        Mirrors that ask for a password, as host or host:port. It comes from /var/lib/slipway/registry-logins, which only root
        can read: a line for each, of its host and what it wants to hear as `Authorization`.
      '';
    };
    composed = mkOption {
      type = types.attrsOf types.lines;
      default = { };
      internal = true;
      description = "What containerd reads for each registry, with a line `@login HOST@` where the password goes.";
    };
    shared = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether containerd also reads the mirrors that a pod of the cluster (Spegel) writes to /var/lib/slipway/certs.d. Those
        of `registries` come before them: containerd takes the first folder that names a registry.
      '';
    };
    airgap = mkOption {
      type = bundleType;
      default = { };
      description = "Bundle of images by platform; k0s imports it on nodes that run pods.";
    };
    first = mkOption {
      type = bundleType;
      default = { };
      description = "Bundle of the images that the network and the first stage need, by platform; imported likewise.";
    };
  };

  config = mkIf config.slipway.runsWorkloads (mkMerge [
    (mkIf (cfg.registries != { } || cfg.ca != { } || cfg.shared) {
      # containerd reads this one when k0s starts it, and the folder that it names at every pull.
      slipway.k0s.startedWith = [ config.environment.etc.${dropIn}.source ];
      environment.etc = {
        ${dropIn}.text = ''
          version = ${toString registriesIn.version}
          [plugins."${registriesIn.plugin}".registry]
            config_path = "${
              lib.concatStringsSep ":" (composed ++ [ "/etc/k0s/certs.d" ] ++ lib.optional cfg.shared "/var/lib/slipway/certs.d")
            }"
        '';
      }
      // lib.mapAttrs' hostsEntry cfg.registries
      // lib.mapAttrs' plainEntry plain
      // lib.mapAttrs' caEntry cfg.ca;
    })
    (mkIf (cfg.credentials != [ ]) {
      slipway.images.composed = lib.mapAttrs' loginEntry cfg.registries // lib.mapAttrs (host: _: plainFile host) plain;
      systemd.services.slipway-registries = {
        description = "Passwords of registry mirrors, for containerd";
        wantedBy = [ "multi-user.target" ];
        before = [ "k0s.service" ];
        # A machine that no deploy has given them goes on without, as `slipway verify` will say.
        unitConfig.ConditionPathExists = "/var/lib/slipway/registry-logins";
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = lib.escapeShellArgs (
            [ "${withLogins}" "/var/lib/slipway/registry-logins" "/run/slipway/registries" ]
            ++ lib.concatLists inStore
          );
        };
      };
    })
    (mkIf (cfg.airgap ? ${platform} || cfg.first ? ${platform}) {
      # `k0s reset` removes the whole folder (k0s pkg/cleanup/directories.go), and what it needs to come back is in there.
      systemd.services.k0s.serviceConfig.ExecStartPre =
        "-${pkgs.systemd}/bin/systemd-tmpfiles --create --prefix=/var/lib/k0s/images";
    })
    (mkIf (cfg.airgap ? ${platform}) (imported "airgap" cfg.airgap.${platform}))
    (mkIf (cfg.first ? ${platform}) (imported "first" cfg.first.${platform}))
  ]);
}
