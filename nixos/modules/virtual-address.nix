# Who holds the virtual address is well: k0s's own keepalived asks for nothing but that the controller is there, and one
# whose etcd is cut off would keep the address. k0s takes this file where k0s.yaml names it, and fills in the rest.
{ config, lib, pkgs, ... }:
let
  inherit (config.slipway) cluster isController;

  # /readyz fails when etcd does not answer. k0s lets nobody ask it without a certificate; this is the one that the API
  # server itself has for kubelets. `localhost`: whichever loopback address the API server has.
  pki = "/var/lib/k0s/pki";
  check = pkgs.writeShellScript "slipway-api-is-ready" ''
    exec ${pkgs.curl}/bin/curl --silent --fail --output /dev/null --max-time 3 --noproxy '*' --cacert ${pki}/ca.crt \
      --cert ${pki}/apiserver-kubelet-client.crt --key ${pki}/apiserver-kubelet-client.key \
      https://localhost:${toString cluster.ports.api}/readyz
  '';
in
{
  config = lib.mkIf (isController && cluster.vip != null) {
    # By its own name, so that another check is taken without a restart of k0s.
    environment.etc."k0s/api-is-ready".source = check;

    # Of k0s's own file this differs in what is said of the check. It lowers the priority and does not end anything: with
    # all controllers alike the address stays where it is, rather than nowhere. The numbers outlast an API server that
    # starts anew, which k0s does in some seconds, and nobody takes the address back from one that has it (equal
    # priorities).
    environment.etc."k0s/keepalived.conf.tmpl".text = ''
      global_defs {
          script_user root
      }
      vrrp_script api_is_ready {
          script "/etc/k0s/api-is-ready"
          interval 3
          timeout 4
          fall 3
          rise 3
          weight -50
      }
      {{ range $i, $instance := .VRRPInstances }}
      vrrp_instance k0s-vip-{{ $i }} {
          state BACKUP
          interface {{ $instance.Interface }}
          virtual_router_id {{ $instance.VirtualRouterID }}
          priority 200
          advert_int {{ $instance.AdvertIntervalSeconds }}
          authentication {
              auth_type PASS
              auth_pass {{ $instance.AuthPass }}
          }
          virtual_ipaddress {
              {{ range $instance.VirtualIPs }}
              {{ . }}
              {{ end }}
          }
          {{ if $instance.UnicastPeers }}
          unicast_src_ip {{ $instance.UnicastSourceIP }}
          unicast_peer {
              {{ range $instance.UnicastPeers }}
              {{ . }}
              {{ end }}
          }
          {{ end }}
          track_script {
              api_is_ready
          }
      }
      {{ end }}
    '';
    slipway.k0s.startedWith = [ config.environment.etc."k0s/keepalived.conf.tmpl".source ];
  };
}
