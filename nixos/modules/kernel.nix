# Kernel modules and settings for k0s and the pod network. Containers cannot load modules: there is no /lib/modules.
{ config, lib, ... }:
let
  inherit (lib) mkDefault mkIf mkMerge optionals;
  cfg = config.slipway;
  cilium = cfg.cluster.provider == "cilium";
in
{
  config = mkMerge [
    {
      boot.kernelModules = [
        "overlay"
        "br_netfilter"
        "nf_conntrack"
        "iptable_nat"
        "iptable_mangle"
        "iptable_raw"
        "iptable_filter"
      ]
      ++ optionals cfg.cluster.dualStack [
        "ip6table_nat"
        "ip6table_mangle"
        "ip6table_raw"
        "ip6table_filter"
      ]
      # Tunnels, L7 proxy, policy by sets, and the BPF programs on interfaces (Cilium's system requirements).
      ++ optionals cilium [
        "vxlan"
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
      ];

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
    (mkIf cfg.cluster.dualStack {
      boot.kernel.sysctl = {
        "net.ipv6.conf.all.forwarding" = 1;
        "net.bridge.bridge-nf-call-ip6tables" = 1;
      };
    })
    (mkIf cilium {
      # Answers leave by another interface than the question came in by; systemd's default of 2 would drop them.
      boot.kernel.sysctl = {
        "net.ipv4.conf.all.rp_filter" = 0;
        "net.ipv4.conf.default.rp_filter" = 0;
        "net.ipv4.conf.lxc*.rp_filter" = 0;
      };
    })
  ];
}
