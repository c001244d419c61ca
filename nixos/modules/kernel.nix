# Kernel modules and settings for k0s and the pod network. Containers cannot load modules: there is no /lib/modules.
{ config, lib, pkgs, ... }:
let
  inherit (lib) concatStringsSep mkDefault mkIf mkMerge optional optionals;
  cfg = config.slipway;
  inherit (cfg.cluster) provider;
  cilium = provider == "cilium";
  hasIpv6 = cfg.cluster.dualStack || cfg.cluster.ipv6Only;
  podNetwork = import ../lib/pod-network.nix cfg.cluster;

  # iptables of old: kernels from 6.17 on have it only with NETFILTER_XTABLES_LEGACY. k0s and Cilium do without where
  # it is missing, whereas images that bring an iptables of old need it where it is there.
  legacy = [
    "iptable_nat"
    "iptable_mangle"
    "iptable_raw"
    "iptable_filter"
  ]
  ++ optionals hasIpv6 [
    "ip6table_nat"
    "ip6table_mangle"
    "ip6table_raw"
    "ip6table_filter"
  ];
in
{
  config = mkMerge [
    {
      # Each of them is demanded: systemd-modules-load fails where one is missing, and so does verification.
      boot.kernelModules = [
        "overlay"
        "br_netfilter"
        "nf_conntrack"
      ]
      # L7 proxy, policy by sets, and the BPF programs on interfaces (Cilium's system requirements); tunnels.
      ++ optionals cilium (
        [
          "xt_socket"
          "xt_TPROXY"
          "xt_CT"
          "xt_mark"
          "ip_set"
          "ip_set_hash_ip"
          "xt_set"
          "sch_fq"
          "sch_ingress"
          "cls_bpf"
        ]
        ++ optional (cfg.cluster.cilium.routing != "native") cfg.cluster.cilium.routing
        ++ optional (cfg.cluster.cilium.encryption == "wireguard") "wireguard"
      );

      systemd.services.slipway-iptables = {
        description = "Kernel modules of old iptables, where this kernel has them";
        after = [ "systemd-modules-load.service" ];
        before = [ "k0s.service" ];
        wantedBy = [ "multi-user.target" ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          # modprobe goes on to the next one; `-`: what is missing is no failure.
          ExecStart = "-${pkgs.kmod}/bin/modprobe --all --quiet ${concatStringsSep " " legacy}";
        };
      };

      boot.kernel.sysctl = {
        # Two names of one switch; NixOS itself turns it off under the second.
        "net.ipv4.ip_forward" = 1;
        "net.ipv4.conf.all.forwarding" = true;
        "net.bridge.bridge-nf-call-iptables" = 1;
        # kubelet, containerd and log shippers watch a file each; the kernel's defaults are for one desktop.
        "fs.inotify.max_user_instances" = mkDefault 8192;
        "fs.inotify.max_user_watches" = mkDefault 524288;
      };
    }
    (mkIf hasIpv6 {
      boot.kernel.sysctl = {
        "net.ipv6.conf.all.forwarding" = 1;
        "net.bridge.bridge-nf-call-ip6tables" = 1;
      };
    })
    # The kernel takes the larger one of `all` and of the link, and systemd's 50-default.conf has 2 (loose) for links.
    # Cilium: answers leave by another interface than the question came in by; these are the settings of its own
    # sysctlfix, which the chart leaves to us. Calico: Felix refuses a loose `all`, and makes the pods' own links strict,
    # so that no pod feigns another's address.
    {
      boot.kernel.sysctl = lib.mapAttrs' (link: value: {
        name = "net.ipv4.conf.${link}.rp_filter";
        inherit value;
      }) podNetwork.rpFilter;
    }
  ];
}
