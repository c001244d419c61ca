# A machine that uses every option of slipway's, so that every NixOS option that slipway may set is set.
{ lib, ... }:
{
  slipway = {
    ssh.user = "admin";
    boot.initrdModules = [ "nvme" ];
    disks.root = {
      device = "/dev/disk/by-id/a";
      swap = 1048576;
    };
    firewall = {
      allowedTCPPorts = [ 80 ];
      allowedUDPPorts = [ 53 ];
      podTCPPorts = [ 9100 ];
      podUDPPorts = [ 9125 ];
      rules = [ { ports = [ "9102-9110" ]; from = [ "nodes" ]; } ];
    };
    hardware.cpu = "intel";
    images.registries."docker.io" = [ "https://mirror.example.org" ];
    images.credentials = [ "mirror.example.org" ];
    images.ca."mirror.example.org" = "-----BEGIN CERTIFICATE-----";
    nix = {
      substituters = [ "https://cache.example.org" ];
      trustedPublicKeys = [ "cache.example.org-1:AAAA" ];
      buildMachines = [
        {
          hostName = "builder";
          systems = [ "x86_64-linux" ];
        }
      ];
    };
    network = {
      interface = lib.mkForce "vlan7";
      gateway = "10.0.0.1";
      nameservers = [ "10.0.0.1" ];
      searchDomains = [ "example.org" ];
      mtu = 9000;
      ipv6 = {
        address = "fd00::11";
        gateway = "fd00::1";
      };
      bonds.bond0 = {
        interfaces = [ "eno2" "eno3" ];
        primary = "eno2";
        minLinks = 1;
        transmitHashPolicy = "layer2";
      };
      addresses = [ "10.0.0.12/24" ];
      routes = [ { to = "10.7.0.0/16"; via = "10.0.0.9"; } ];
      slaac = true;
      bridges.br0.interfaces = [ "bond0" ];
      vlans.vlan7 = {
        id = 7;
        interface = "br0";
      };
      links.eno9 = {
        addresses = [ "10.9.0.1/24" ];
        routes = [
          {
            to = "10.8.0.0/16";
            via = "10.9.0.9";
          }
        ];
      };
    };
    proxy = {
      http = "http://proxy.example.org:3128";
      noProxy = [ ".example.org" ];
    };
    pull = {
      engine = "autoUpgrade";
      url = "git+https://git.example.org/cluster.git";
    };
    time.servers = [ "ntp.example.org" ];
    apiServer = {
      auditLevel = "Request";
      oidcCa = "-----BEGIN CERTIFICATE-----";
    };
    k0s = {
      systemReserved.memory = "1Gi";
      evictionHard."memory.available" = "500Mi";
    };
    storage = {
      iscsi = true;
      nfs = true;
      rbd = true;
      multipath = true;
    };
    users.jo = {
      authorizedKeys = [ "ssh-ed25519 AAAA" ];
      extraGroups = [ "wheel" ];
    };
    watchdog = {
      enable = true;
      device = "/dev/watchdog1";
    };
    cluster.dualStack = true;
  };
}
