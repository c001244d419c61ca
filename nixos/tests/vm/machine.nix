# A machine of the VM tests: what an inventory of two would say about it. `number` is its place on the tests' network.
{ role, number, modules }:
{ pkgs, ... }:
let
  address = "192.168.1.${toString number}";
  controller = "192.168.1.1";
in
{
  imports = [ modules ];

  virtualisation = {
    memorySize = 3072;
    diskSize = 8192;
  };
  system.stateVersion = "26.05";

  slipway = {
    inherit role address;
    ssh.authorizedKeys = [ "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJBF5Ci2hsdUcOIYQVjmoPaRKAe5XBmJnYwZk7TeDx3f test" ];
    network = {
      interface = "eth1";
      prefixLength = 24;
    };
    k0s = {
      version = "1.36.3+k0s.2";
      configFile = pkgs.writeText "k0s.yaml" ''
        apiVersion: k0s.k0sproject.io/v1beta1
        kind: ClusterConfig
        metadata: {name: test}
        spec:
          api: {address: ${address}, sans: [${controller}]}
          storage: {type: etcd, etcd: {peerAddress: ${address}}}
          network: {provider: custom, kubeProxy: {disabled: true}}
          telemetry: {enabled: false}
      '';
    };
    cluster = {
      name = "test";
      controllers = [ controller "192.168.1.2" ];
      nodeNetworks = [ "192.168.1.0/24" ];
      podNetworks = [ "10.244.0.0/16" ];
      provider = "cilium";
    };
  };
}
