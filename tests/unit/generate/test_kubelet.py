"""What kubelet keeps from pods."""

from slipway.generate import kubelet


def test_a_signal_that_is_named_leaves_the_others_as_kubelet_has_them(make):
    inventory = make({"hosts": {"w1": {"k0s": {"evictionHard": {"memory.available": "500Mi"}}}}})
    assert kubelet.eviction_hard(inventory.host("w1")) == {
        "memory.available": "500Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%",
        "imagefs.available": "15%", "imagefs.inodesFree": "5%",
    }  # fmt: skip
    assert kubelet.eviction_hard(inventory.host("cp1")) == {}


def test_reserves_are_flags_and_their_parts(make):
    k0s = {"systemReserved": {"cpu": "500m", "memory": "1Gi"}, "kubeReserved": {"pid": "1000"}}
    host = make({"hosts": {"w1": {"k0s": k0s}}}).host("w1")
    assert kubelet.reserves(host) == {
        "--system-reserved": {"cpu=500m", "memory=1Gi"},
        "--kube-reserved": {"pid=1000"},
    }
