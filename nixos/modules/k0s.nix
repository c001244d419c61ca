# k0s as a unit of our own. Upstream's `k0s install` writes into /etc/systemd, which NixOS owns.
{ config, lib, pkgs, ... }:
let
  inherit (lib) concatStringsSep escapeShellArgs mapAttrsToList mkIf mkOption optional optionals types;
  cfg = config.slipway.k0s;
  inherit (config.slipway) address isController role runsWorkloads;

  sentinel = "/var/lib/slipway/allow-bootstrap";
  token = "/etc/k0s/k0stoken";
  joins = role != "single";

  # The node's addresses by hand: with several of them, or a host name that resolves to loopback, kubelet guesses wrong.
  # With one of one family a node of a dual-stack cluster would have that one alone.
  second = config.slipway.network.ipv6.address;
  nodeIps = [ address ] ++ optional (config.slipway.cluster.dualStack && second != null) second;
  kubeletArgs = mapAttrsToList (flag: value: "--${flag}=${value}") (
    { node-ip = concatStringsSep "," nodeIps; }
    // joined "system-reserved" "=" cfg.systemReserved
    // joined "kube-reserved" "=" cfg.kubeReserved
    // joined "eviction-hard" "<" cfg.evictionHard
    // cfg.kubeletExtraArgs
  );
  joined =
    flag: sign: values:
    lib.optionalAttrs (values != { }) {
      ${flag} = concatStringsSep "," (mapAttrsToList (name: value: "${name}${sign}${value}") values);
    };

  several = flag: values: optional (values != [ ]) "${flag}=${concatStringsSep "," values}";
  arguments =
    [ (if isController then "controller" else "worker") ]
    ++ optional isController "--config=/etc/k0s/k0s.yaml"
    ++ optional (role == "single") "--single"
    ++ optionals (role == "controller+worker") [ "--enable-worker" "--no-taints" ]
    ++ optionals isController (several "--disable-components" cfg.disableComponents)
    # k0s takes it for an experiment (docs/single-stack-ipv6.md).
    ++ optional (isController && config.slipway.cluster.ipv6Only) "--feature-gates=IPv6SingleStack=true"
    ++ optionals runsWorkloads (
      [ "--kubelet-extra-args=${concatStringsSep " " kubeletArgs}" ]
      ++ several "--labels" (mapAttrsToList (key: value: "${key}=${value}") cfg.labels)
      ++ several "--taints" cfg.taints
      ++ optional (cfg.profile != null) "--profile=${cfg.profile}"
    )
    ++ cfg.extraFlags;

  # A controller without data and without a token founds a new cluster: two clusters, if another one already runs.
  # So it always gets the token file, which a member ignores, unless slipway has put the sentinel there for the one
  # first start.
  start = pkgs.writeShellScript "slipway-k0s" ''
    set -- ${escapeShellArgs arguments}
    ${lib.optionalString joins ''
      if ${if isController then "[ ! -e ${sentinel} ]" else "true"}; then
        set -- "$@" --token-file=${token}
      fi
    ''}
    exec ${cfg.package}/bin/k0s "$@"
  '';

  components = [
    "etcd"
    "kube-apiserver"
    "konnectivity-server"
    "kube-scheduler"
  ];

  # Started by the boot only as what it already is, or is allowed to become; a node that may do neither waits for
  # slipway instead of failing every ten seconds. `|`: one of them is enough.
  databases = [ "/var/lib/k0s/etcd/member/snap/db" "/var/lib/k0s/db/state.db" ];
  memberOf = if isController then databases else [ "/var/lib/k0s/kubelet.conf" ];
in
{
  options.slipway.k0s = {
    version = mkOption {
      type = types.nonEmptyStr;
      example = "1.36.3+k0s.2";
      description = "Release of k0s.";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../pkgs/k0s { inherit (cfg) version hashes; };
      defaultText = lib.literalExpression "the release `version` as its makers publish it";
      description = "The k0s package.";
    };
    hashes = mkOption {
      type = types.attrsOf types.nonEmptyStr;
      default = { };
      description = "Hashes of the release's binaries by platform, for a release that slipway does not know yet.";
    };
    configFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "k0s.yaml of a controller.";
    };
    labels = mkOption {
      type = types.attrsOf types.str;
      default = { };
      description = "Labels of the Kubernetes node. k0s sets them when the node registers for the first time.";
    };
    taints = mkOption {
      type = types.listOf types.nonEmptyStr;
      default = [ ];
      example = [ "dedicated=storage:NoSchedule" ];
      description = "Taints of the Kubernetes node. k0s sets them when the node registers for the first time.";
    };
    profile = mkOption {
      type = types.nullOr types.nonEmptyStr;
      default = null;
      description = "Worker profile of the cluster's configuration.";
    };
    kubeletExtraArgs = mkOption {
      type = types.attrsOf types.str;
      default = { };
      description = "More flags for kubelet, name to value.";
    };
    systemReserved = mkOption {
      type = types.attrsOf types.nonEmptyStr;
      default = { };
      example = { memory = "1Gi"; };
      description = "What pods leave to the system, resource to quantity.";
    };
    kubeReserved = mkOption {
      type = types.attrsOf types.nonEmptyStr;
      default = { };
      description = "What pods leave to k0s, kubelet and containerd.";
    };
    evictionHard = mkOption {
      type = types.attrsOf types.nonEmptyStr;
      default = { };
      example = { "memory.available" = "500Mi"; };
      description = "How little may be left before kubelet evicts pods, signal to threshold; unnamed ones count as zero.";
    };
    startedWith = mkOption {
      type = types.listOf types.path;
      default = [ ];
      description = "Files that k0s reads when it starts: where one of them changes, it has to be restarted.";
    };
    extraFlags = mkOption {
      type = types.listOf types.nonEmptyStr;
      default = [ ];
      example = [ "-d" ];
      description = "More flags for k0s itself, each a word of its own. Those that slipway sets must not be among them.";
    };
    disableComponents = mkOption {
      type = types.listOf types.nonEmptyStr;
      default = [ ];
      description = "Components that a controller shall not run.";
    };
  };

  config = {
    assertions = [
      {
        assertion = !isController || cfg.configFile != null;
        message = "slipway: a ${role} needs slipway.k0s.configFile";
      }
    ];

    environment.systemPackages = [ cfg.package ];
    slipway.k0s.startedWith = optional isController config.environment.etc."k0s/k0s.yaml".source;
    environment.etc."k0s/k0s.yaml" = mkIf isController { source = cfg.configFile; };

    systemd.tmpfiles.rules = [
      "d /var/lib/slipway 0700 root root -"
      "d /etc/k0s 0755 root root -"
    ]
    ++ optional joins "f ${token} 0600 root root -";

    # k0s looks these names up for its components, and runs them as root where it finds none.
    users = mkIf isController {
      groups.k0s = { };
      users = lib.genAttrs components (_: {
        isSystemUser = true;
        group = "k0s";
        home = "/var/lib/k0s";
      });
    };

    systemd.services.k0s = {
      description = "k0s ${role}";
      documentation = [ "https://docs.k0sproject.io" ];
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" "nftables.service" ];
      path = [ pkgs.kmod pkgs.util-linux ];

      # What this unit starts: the running process has it in its environment, and slipway sees from the difference who
      # still runs on an earlier configuration.
      environment.SLIPWAY_STARTED_WITH = concatStringsSep ":" ([ "${start}" ] ++ map (file: "${file}") cfg.startedWith);
      # Never all controllers at once: slipway restarts them one by one, the next when this one answers again.
      restartIfChanged = lib.mkDefault (!isController);
      # A restart, not a stop and a start much later: pods go on meanwhile (KillMode).
      stopIfChanged = false;

      unitConfig = {
        ConditionPathExists = map (path: "|${path}") (memberOf ++ optional isController sentinel);
        ConditionFileNotEmpty = mkIf joins "|${token}";
      };
      startLimitIntervalSec = 60;
      startLimitBurst = 10;
      serviceConfig = {
        ExecStart = start;
        Restart = "always";
        RestartSec = 10;
        KillMode = "process";
        Delegate = "yes";
        LimitNOFILE = 999999;
        LimitCORE = "infinity";
        TasksMax = "infinity";
        TimeoutStartSec = 0;
      };
    };
  };
}
