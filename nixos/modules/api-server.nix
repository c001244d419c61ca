# Files that the API server reads beside k0s.yaml, which names them.
{ config, lib, ... }:
let
  inherit (lib) mkIf mkOption types;
  cfg = config.slipway.apiServer;
  etc = name: config.environment.etc.${name}.source;

  # Events and leases are most of all requests and tell nothing about anybody; whose body may hold a secret is named alone.
  policy = builtins.toJSON {
    apiVersion = "audit.k8s.io/v1";
    kind = "Policy";
    omitStages = [ "RequestReceived" ];
    rules = [
      {
        level = "None";
        resources = [
          { group = ""; resources = [ "events" ]; }
          { group = "events.k8s.io"; resources = [ "events" ]; }
          { group = "coordination.k8s.io"; resources = [ "leases" ]; }
        ];
      }
      { level = "None"; nonResourceURLs = [ "/healthz*" "/livez*" "/readyz*" "/version" "/openapi*" ]; }
      {
        level = "Metadata";
        resources = [
          { group = ""; resources = [ "secrets" "configmaps" "serviceaccounts/token" ]; }
          { group = "authentication.k8s.io"; resources = [ "tokenreviews" ]; }
        ];
      }
      { level = cfg.auditLevel; verbs = [ "create" "update" "patch" "delete" "deletecollection" ]; }
      { level = "Metadata"; }
    ];
  };
in
{
  options.slipway.apiServer = {
    auditLevel = mkOption {
      type = types.nullOr (types.enum [ "Metadata" "Request" "RequestResponse" ]);
      default = null;
      description = ''
        How much of what changes something the API server writes down; none leaves no record. The policy lies in
        /etc/k0s/audit-policy.yaml, the record in /var/log/kube-apiserver.
      '';
    };
    oidcCa = mkOption {
      type = types.nullOr types.lines;
      default = null;
      description = "Certificates (PEM) that sign the identity provider's.";
    };
  };

  config = mkIf config.slipway.isController (lib.mkMerge [
    (mkIf (cfg.auditLevel != null) {
      environment.etc."k0s/audit-policy.yaml".text = policy;
      slipway.k0s.startedWith = [ (etc "k0s/audit-policy.yaml") ];
      # The user that k0s runs it as, and nobody else: a record names people.
      systemd.tmpfiles.rules = [ "d /var/log/kube-apiserver 0700 kube-apiserver root -" ];
    })
    (mkIf (cfg.oidcCa != null) {
      environment.etc."k0s/oidc-ca.pem".text = cfg.oidcCa;
      slipway.k0s.startedWith = [ (etc "k0s/oidc-ca.pem") ];
    })
  ]);
}
