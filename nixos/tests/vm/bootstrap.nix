# k0s founds a cluster where slipway allows it, and nowhere else; what it founded comes back after a reboot.
{ modules }:
let
  machine = role: number: import ./machine.nix { inherit role number modules; };
in
{
  name = "slipway-bootstrap";

  nodes = {
    cp1 = machine "controller" 1;
    cp2 = machine "controller" 2;
    w1 = machine "worker" 3;
  };

  testScript = ''
    start_all()
    for node in (cp1, cp2, w1):
        node.wait_for_unit("multi-user.target")
        node.fail("systemctl is-active k0s")
        node.succeed("test $(sysctl -n net.ipv4.ip_forward) = 1")

    with subtest("a controller that may not found a cluster does not"):
        cp2.succeed("systemctl start k0s")
        cp2.fail("systemctl is-active k0s")
        cp2.succeed("echo not-a-token > /etc/k0s/k0stoken && systemctl start k0s")
        cp2.sleep(20)
        cp2.fail("test -e /var/lib/k0s/etcd/member/snap/db")
        cp2.succeed("systemctl stop k0s && : > /etc/k0s/k0stoken")

    with subtest("one that may, does"):
        cp1.succeed("touch /var/lib/slipway/allow-bootstrap && systemctl start k0s")
        cp1.wait_until_succeeds("k0s kubectl get --raw=/readyz", timeout=300)
        cp1.succeed("rm /var/lib/slipway/allow-bootstrap")

    with subtest("and is a member ever after"):
        cp1.shutdown()
        cp1.start()
        cp1.wait_until_succeeds("k0s kubectl get --raw=/readyz", timeout=300)

    with subtest("a worker joins by its token"):
        token = cp1.succeed("k0s token create --role worker --expiry 10m").strip()
        w1.succeed(f"umask 077 && echo '{token}' > /etc/k0s/k0stoken && systemctl start k0s")
        cp1.wait_until_succeeds("k0s kubectl get node w1", timeout=300)

    with subtest("etcd is for controllers alone"):
        cp2.succeed("timeout 5 bash -c '</dev/tcp/192.168.1.1/2380'")
        w1.fail("timeout 5 bash -c '</dev/tcp/192.168.1.1/2380'")
  '';
}
