# A worker's k0s never runs ahead of its control plane. Kubernetes allows a kubelet to be older than the API server and
# never newer, and a k0s of the next minor does not even start: the profile that it looks for has the minor in its name
# (k0s pkg/component/worker/config/loader.go). `slipway deploy` keeps the order by itself; this is for machines that
# pull, for a plain nixos-rebuild, and for a boot into the new system.
{ config, lib, pkgs, ... }:
let
  inherit (lib) concatMapStringsSep mkIf mkOption types;
  cfg = config.slipway.k0s;
  inherit (config.slipway.cluster) controllers ports;
  kubeconfig = "/var/lib/k0s/kubelet.conf";
  activation = "/run/slipway/lock";
  server = address: "https://${if lib.hasInfix ":" address then "[${address}]" else address}:${toString ports.api}";

  # Ends with 1 while a controller that answers is behind this k0s. Nobody has to answer: after a power cut the workers
  # start first, and k0s waits for the API by itself. The API wants to know who asks; kubelet's certificate says it.
  ahead = pkgs.writeShellScript "slipway-k0s-ahead" ''
    PATH=${lib.makeBinPath [ cfg.package pkgs.coreutils pkgs.curl pkgs.gnused pkgs.jq ]}
    field() { sed -n "s/^ *$1: //p" ${kubeconfig} | head -n 1; }
    version() {
      field certificate-authority-data | base64 -d | curl --silent --fail --noproxy '*' --connect-timeout 3 --max-time 5 \
        --cacert /dev/stdin --cert "$(field client-certificate)" --key "$(field client-key)" "$1/version"
    }
    number() { case $1 in "" | *[!0-9]*) return 1 ;; esac; }
    own=$(k0s version | sed -n '1s/^v\{0,1\}1\.\([0-9]*\)\..*/\1/p')
    # One that somebody built by hand states none; a machine that has not joined has nothing to ask with.
    number "$own" && [ -s ${kubeconfig} ] || exit 0
    for server in ${concatMapStringsSep " " (address: lib.escapeShellArg (server address)) controllers}; do
      minor=$(version "$server" | jq -r '.minor | sub("[^0-9].*"; "")') && number "$minor" || continue
      if [ "$minor" -lt "$own" ]; then
        echo "<4>slipway: $server serves Kubernetes 1.$minor, k0s here is 1.$own: it waits for the control plane" >&2
        exit 1
      fi
    done
  '';

  # What runs is compared with what the unit would start, as slipway does it. A unit that somebody stopped stays so; one
  # that was ahead when it was to start is started.
  follow = pkgs.writeShellScript "slipway-k0s-follow" ''
    PATH=${lib.makeBinPath [ pkgs.coreutils pkgs.gnused pkgs.systemd pkgs.util-linux ]}
    of() { systemctl show --property="$1" --value k0s.service; }
    started_with() { tr ' \0' '\n\n' | sed -n 's/^SLIPWAY_STARTED_WITH=//p'; }
    # An activation that nobody has confirmed yet may be taken back.
    if [ -e ${activation} ] && ! flock -n ${activation} true; then exit 0; fi
    pid=$(of MainPID)
    if [ "$pid" = 0 ]; then
      [ "$(of Result)" = exec-condition ] || exit 0
    elif [ "$(started_with <"/proc/$pid/environ")" = "$(of Environment | started_with)" ]; then
      exit 0
    fi
    if ${ahead}; then
      echo "<5>slipway: restarts k0s: this system has another one, or another configuration, than runs" >&2
      exec systemctl restart k0s.service
    fi
  '';
in
{
  options.slipway.k0s.followControlPlane = mkOption {
    type = types.bool;
    default = true;
    description = ''
      Whether a worker's k0s waits for its control plane: an activation does not restart it, and it does not start,
      while a controller serves an older minor version of Kubernetes. `slipway deploy` restarts it after the
      controllers, or else `slipway-k0s-follow.service`, which looks once a minute. Without, each activation of a worker
      restarts a changed k0s at once.
    '';
  };

  config = mkIf (!config.slipway.isController && cfg.followControlPlane) {
    systemd.services = {
      k0s = {
        restartIfChanged = false;
        # What it refuses is skipped and has not failed, and Restart= leaves it so.
        serviceConfig.ExecCondition = ahead;
      };
      slipway-k0s-follow = {
        description = "Restarts k0s on what the system has, once the control plane is as new";
        serviceConfig = {
          Type = "oneshot";
          ExecStart = follow;
          # Not a line each minute that it was started.
          LogLevelMax = "notice";
        };
      };
    };
    systemd.timers.slipway-k0s-follow = {
      description = "Looks whether k0s may follow its control plane";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = "minutely";
        RandomizedDelaySec = 30;
      };
    };
  };
}
