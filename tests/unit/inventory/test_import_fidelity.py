"""What an importer does not carry over it names: nothing of a source is passed over in silence."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.errors import InvalidInput
from slipway.inventory.importers import names
from slipway.inventory.importers.ansible import import_ansible
from slipway.inventory.importers.draft import MOST_VALUES, STDIN, Draft, Imported
from slipway.inventory.importers.k0sctl import import_k0sctl
from slipway.inventory.importers.section import Section

RICH_K0SCTL: dict[str, Any] = {
    "apiVersion": "k0sctl.k0sproject.io/v1beta1",
    "kind": "Cluster",
    "metadata": {"name": "demo", "user": "admin"},
    "spec": {
        "hosts": [
            {
                "role": "controller+worker",
                "noTaints": True,
                "hostname": "cp1",
                "privateAddress": "10.0.0.11",
                "privateInterface": "eno2",
                "k0sDownloadURL": "https://mirror.example.org/k0s",
                "uploadBinary": True,
                "environment": {"HTTP_PROXY": "http://proxy.example.org"},
                "files": [{"src": "a", "dst": "/b"}],
                "hooks": {"apply": {"before": ["date"]}},
                "dataDir": "/data",
                "ssh": {
                    "address": "192.0.2.11", "user": "admin", "port": 2222, "keyPath": "~/.ssh/demo",
                    "hostKey": "ssh-ed25519 AAAA", "bastion": {"address": "192.0.2.1"},
                },
                "installFlags": ["--debug"],
            },
            {"role": "worker", "reset": True, "openSSH": {"address": "w1", "options": {"A": "b"}}},
        ],
        "options": {"wait": {"enabled": False}},
        "k0s": {
            "version": "v1.35.7+k0s.0",
            "dynamicConfig": True,
            "config": {
                "spec": {
                    "api": {
                        "address": "100.64.0.24", "externalAddress": "api.example.org", "port": 7443,
                        "k0sApiPort": 9444,
                        "sans": ["more.example.org"], "extraArgs": {"v": "2"}, "ca": {"expiresAfter": "87600h"},
                    },
                    "network": {
                        "provider": "calico", "podCIDR": "10.50.0.0/16", "serviceCIDR": "10.51.0.0/16",
                        "clusterDomain": "home.arpa", "calico": {"mode": "vxlan"},
                        "kubeProxy": {"mode": "ipvs", "disabled": True, "metricsBindAddress": "0.0.0.0"},
                        "nodeLocalLoadBalancing": {"enabled": True, "type": "EnvoyProxy", "envoyProxy": {"a": 1}},
                        "controlPlaneLoadBalancing": {
                            "enabled": True,
                            "keepalived": {
                                "vrrpInstances": [
                                    {"virtualIPs": ["10.0.0.5/24"], "authPass": "x", "interface": "eno2"}
                                ],
                                "virtualServers": [{"ipAddress": "10.0.0.5"}],
                            },
                        },
                        "dualStack": {"enabled": True, "IPv6podCIDR": "fd00::/108", "IPv6serviceCIDR": "fd01::/112"},
                    },
                    "konnectivity": {"agentPort": 8232, "adminPort": 8233, "externalAddress": "k.example.org"},
                    "storage": {"type": "kine", "etcd": {"peerAddress": "10.9.0.11", "extraArgs": {"q": "8"}}},
                    "telemetry": {"enabled": True},
                    "workerProfiles": [{"name": "big", "values": {"maxPods": 200}}],
                    "featureGates": [{"name": "Some", "enabled": False, "components": ["kubelet"]}],
                    "extensions": {
                        "storage": {"type": "openebs_local_storage"},
                        "helm": {"repositories": [{"name": "x"}], "charts": [{"name": "y"}]},
                    },
                    "installConfig": {"users": {"etcdUser": "me"}},
                    "images": {"default_pull_policy": "Never"},
                    "scheduler": {"extraArgs": {"v": "2"}},
                }
            },
        },
        "wrong": "here",
    },
}  # fmt: skip
SAYS_NOTHING = {("apiVersion",), ("kind",), ("metadata", "user")}
"""Keys that have no meaning for a cluster; the first two make the file one of k0sctl."""


def keys_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key)
            yield from keys_of(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from keys_of(item, (*path, index))


def without(data: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    changed = copy.deepcopy(data)
    inside: Any = changed
    for part in path[:-1]:
        inside = inside[part]
    del inside[path[-1]]
    return changed


def from_k0sctl(tmp_path: Path, data: Any, **how: Any) -> Imported:
    file = tmp_path / "k0sctl.yaml"
    file.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return import_k0sctl(file, **how)


def told(imported: Imported) -> str:
    return "\n".join(imported.notes)


@pytest.mark.parametrize(
    "path",
    [path for path in keys_of(RICH_K0SCTL) if path not in SAYS_NOTHING],
    ids=lambda path: ".".join(map(str, path)),
)
def test_a_key_less_is_another_inventory_or_another_note(tmp_path: Path, path: tuple[Any, ...]):
    """A key that can go without a trace was carried nowhere and told nobody."""
    whole, notes = from_k0sctl(tmp_path, RICH_K0SCTL).text, told(from_k0sctl(tmp_path, RICH_K0SCTL))
    try:
        less = from_k0sctl(tmp_path, without(RICH_K0SCTL, path)).text
    except InvalidInput:
        return
    if less == whole:
        # What is inside of something that is told as a whole is told with it.
        assert any(f"{part} " in notes or f"{part}:" in notes for part in path[1:-1]), path


def test_control_a_section_tells_what_nobody_took():
    draft = Draft()
    section = Section(draft, {"a": 1, "b": {"c": 2}, "d": None}, "spec")
    section.take("a")
    section.section("b")
    section.tell_left({})
    assert draft.notes == ("spec.b: c is not carried over",)


def test_a_second_document_is_merged_as_k0sctl_does(tmp_path: Path):
    text = yaml.safe_dump(RICH_K0SCTL) + "---\napiVersion: k0s.k0sproject.io/v1beta1\nkind: ClusterConfig\n"
    text += "spec: {network: {podCIDR: 10.60.0.0/16}, api: {sans: [second.example.org]}}\n"
    cluster = yaml.safe_load(from_k0sctl(tmp_path, text).text)["cluster"]
    assert cluster["network"]["podCIDR"] == "10.60.0.0/16"
    assert cluster["network"]["serviceCIDR"] == "10.51.0.0/16"
    assert cluster["k0s"]["sans"] == ["second.example.org"]


@pytest.mark.parametrize(
    "flags",
    [
        ['--kubelet-extra-args "--max-pods=200 --node-labels=a.example.org/b=c"'],
        ["--kubelet-extra-args='--max-pods=200 --node-labels=a.example.org/b=c'"],
        '--kubelet-extra-args="--max-pods=200 --node-labels=a.example.org/b=c"',
    ],
)
def test_arguments_for_kubelet_in_one_quoted_word(tmp_path: Path, flags: Any):
    data = copy.deepcopy(RICH_K0SCTL)
    data["spec"]["hosts"][0]["installFlags"] = flags
    host = yaml.safe_load(from_k0sctl(tmp_path, data).text)["hosts"]["cp1"]
    assert host["k0s"]["kubeletExtraArgs"] == {"max-pods": "200"}
    assert host["labels"] == {"a.example.org/b": "c"}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("${ADDRESS}", "10.0.0.11"),
        ("$ADDRESS", "10.0.0.11"),
        ("${MISSING:-10.0.0.12}", "10.0.0.12"),
        ("${MISSING-10.0.0.12}", "10.0.0.12"),
    ],
)
def test_variables_are_filled_in_from_the_environment_and_named(tmp_path: Path, word: str, value: str):
    text = yaml.safe_dump(RICH_K0SCTL).replace("10.0.0.11", word)
    found = from_k0sctl(tmp_path, text, environment={"ADDRESS": "10.0.0.11"})
    assert yaml.safe_load(found.text)["hosts"]["cp1"]["address"] == value
    assert ("ADDRESS" in told(found)) is ("MISSING" not in word)


def test_a_variable_that_nobody_set_is_named(tmp_path: Path):
    found = from_k0sctl(tmp_path, yaml.safe_dump(RICH_K0SCTL).replace("eno2", "${LINK}"), environment={})
    assert "$LINK: not in the environment" in told(found)


@pytest.mark.parametrize(
    ("version", "taken"),
    [("v1.35.7+k0s.0", "1.35.7+k0s.0"), ("1.12.1+k0s.0", "1.36.3+k0s.2"), ("latest", "1.36.3+k0s.2")],
)
def test_an_unknown_release_becomes_a_known_one_with_a_note(tmp_path: Path, version: str, taken: str):
    data = copy.deepcopy(RICH_K0SCTL)
    data["spec"]["k0s"]["version"] = version
    found = from_k0sctl(tmp_path, data)
    assert yaml.safe_load(found.text)["cluster"]["k0s"]["version"] == taken
    assert (f"{taken} is taken" in told(found)) is (version.removeprefix("v") != taken)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("apiVersion: cluster.x-k8s.io/v1beta1\nkind: Cluster\nspec: {}\n", "but Cluster of cluster.x-k8s.io/v1beta1"),
        ("all: {hosts: {}}\n", "with a spec"),
        ("apiVersion: k0sctl.k0sproject.io/v1beta1\nkind: Cluster\nspec: {hosts: {a: {}}}\n", "spec.hosts: no host"),
        ("apiVersion: k0sctl.k0sproject.io/v1beta1\nkind: Cluster\nspec: {hosts: []}\n", "spec.hosts: no host"),
        ("{{ range .hosts }}\n- {{ . }}\n{{ end }}\n", "k0sctl.yaml:"),
    ],
)
def test_what_is_no_cluster_of_k0sctl_is_one_clear_sentence(tmp_path: Path, text: str, message: str):
    with pytest.raises(InvalidInput) as refused:
        from_k0sctl(tmp_path, text)
    assert message in str(refused.value)
    assert "? of ?" not in str(refused.value)


def test_what_many_hosts_have_in_common_is_told_once(tmp_path: Path):
    data = copy.deepcopy(RICH_K0SCTL)
    data["spec"]["hosts"] = [
        {"role": "worker", "hostname": f"w{n}", "os": "ubuntu", "ssh": {"address": f"10.0.1.{n}"}}
        for n in range(1, 189)
    ]
    notes = from_k0sctl(tmp_path, data).notes
    (about,) = [note for note in notes if "NixOS brings k0s" in note]
    assert about.startswith("spec.hosts[0], spec.hosts[1], spec.hosts[2] and 185 more: ")
    assert len(notes) < 40


def test_aliases_that_multiply_are_refused_early(tmp_path: Path):
    """Nine levels of nine: 387 million values of a few lines."""
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9)]
    text = "\n".join(["l0: &l0 [a, a, a, a, a, a, a, a, a]", *levels]) + "\n" + yaml.safe_dump(RICH_K0SCTL)
    with pytest.raises(InvalidInput, match=f"aliases make more than {MOST_VALUES} values"):
        from_k0sctl(tmp_path, text)
    tree(tmp_path, {"h.yml": text.partition("apiVersion")[0]})
    with pytest.raises(InvalidInput, match=f"aliases make more than {MOST_VALUES} values"):
        import_ansible(tmp_path / "h.yml")


def test_what_the_inventory_has_a_key_for_is_carried_over(tmp_path: Path):
    data = copy.deepcopy(RICH_K0SCTL)
    spec = data["spec"]["k0s"]["config"]["spec"]
    spec["api"]["extraArgs"] = {
        "oidc-issuer-url": "https://id.example.org", "oidc-client-id": "k8s", "oidc-groups-claim": "groups",
        "oidc-signing-algs": "RS256", "event-ttl": "24h", "etcd-servers": "https://10.0.0.9:2379",
    }  # fmt: skip
    spec["controllerManager"] = {"extraArgs": {"node-cidr-mask-size-ipv4": "25", "v": "3"}}
    spec["network"]["nodeLocalLoadBalancing"]["type"] = "Traefik"
    instance = spec["network"]["controlPlaneLoadBalancing"]["keepalived"]["vrrpInstances"][0]
    instance.update(unicastSourceIP="10.0.0.11", unicastPeers=["10.0.0.12"])
    found = from_k0sctl(tmp_path, data)
    cluster = yaml.safe_load(found.text)["cluster"]
    assert cluster["k0s"]["apiServer"] == {
        "oidc": {"issuerURL": "https://id.example.org", "clientID": "k8s", "groupsClaim": "groups"},
        "extraArgs": {"event-ttl": "24h"},
    }
    assert cluster["network"]["nodeCIDRMaskSize"] == 25
    assert cluster["network"]["nodeLocalLoadBalancer"] == "Traefik"
    assert cluster["network"]["vip"]["unicast"] is True
    for left in ("oidc-signing-algs", "etcd-servers"):
        assert f"spec.k0s.config.spec.api.extraArgs: {left}" in told(found)
    assert "spec.k0s.config.spec.controllerManager.extraArgs: v is not carried over" in told(found)


def test_a_proxy_in_the_environment_of_k0s_is_the_inventory_s(tmp_path: Path):
    data = copy.deepcopy(RICH_K0SCTL)
    data["spec"]["hosts"][0]["environment"] = {
        "HTTP_PROXY": "http://proxy.example.org:3128", "https_proxy": "http://proxy.example.org:3129",
        "NO_PROXY": "10.0.0.0/8, .example.org,localhost", "OTHER": "x",
    }  # fmt: skip
    found = from_k0sctl(tmp_path, data)
    assert yaml.safe_load(found.text)["hosts"]["cp1"]["proxy"] == {
        "http": "http://proxy.example.org:3128",
        "https": "http://proxy.example.org:3129",
        "noProxy": ["10.0.0.0/8", ".example.org"],
    }
    assert "spec.hosts[0].environment: OTHER: write it as NixOS configuration" in told(found)


def test_a_password_of_a_proxy_goes_nowhere(tmp_path: Path):
    data = copy.deepcopy(RICH_K0SCTL)
    data["spec"]["hosts"][0]["environment"] = {"HTTP_PROXY": "http://me:hunter2@proxy.example.org:3128"}
    found = from_k0sctl(tmp_path, data)
    assert "hunter2" not in found.text + told(found)
    assert "proxy" not in yaml.safe_load(found.text)["hosts"]["cp1"]
    assert "its address has a password" in told(found)


# --- Ansible ---------------------------------------------------------------------------------------------------------


def tree(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def hosts_of(imported: Imported) -> dict[str, Any]:
    data = yaml.safe_load(imported.text)
    shared = (data["defaults"] or {}).get("ssh", {})
    found: dict[str, Any] = {}
    for name, host in data["hosts"].items():
        found[name] = {**host, "ssh": {**shared, **host.get("ssh", {})}}
    return found


NESTED = """\
all:
  children:
    site_a: {hosts: {n1: {ansible_host: 10.0.0.21}}, vars: {ansible_user: site}}
    infra:
      children:
        k8s:
          vars: {ansible_user: k8s}
          children: {workers: {hosts: {n1: }}, controllers: {hosts: {c1: {ansible_host: 10.0.0.11}}}}
"""


@pytest.mark.parametrize(
    ("more", "user"),
    [
        ({}, "k8s"),  # the deeper group wins
        ({"group_vars/all.yml": "ansible_user: file\n"}, "file"),  # any file wins over any group of the inventory
        ({"group_vars/all.yml": "ansible_user: a\n", "group_vars/site_a.yml": "ansible_user: b\n"}, "b"),
        ({"group_vars/workers.yml": "ansible_user: w\n", "group_vars/site_a.yml": "ansible_user: b\n"}, "w"),
        ({"host_vars/n1.yml": "ansible_user: host\n", "group_vars/workers.yml": "ansible_user: w\n"}, "host"),
        ({"group_vars/k8s/deep/users.yml": "ansible_user: below\n"}, "below"),
        ({"group_vars/k8s/notes.txt": "ansible_user: text\n"}, "k8s"),
    ],
)
def test_precedence_is_that_of_ansible_inventory(tmp_path: Path, more: dict[str, str], user: str):
    """The values are what `ansible-inventory --list` of ansible-core 2.19 gave for these very files."""
    root = tree(tmp_path, {"hosts.yml": NESTED, **more})
    assert hosts_of(import_ansible(root))["n1"]["ssh"]["user"] == user


@pytest.mark.parametrize("name", ["hosts", "hosts.ini", "hosts.yml", "hosts.cfg", "hosts.inventory"])
def test_ini_under_any_ending(tmp_path: Path, name: str):
    root = tree(tmp_path, {name: "[controllers]\nc1 ansible_host=10.0.0.11\n"})
    assert hosts_of(import_ansible(root / name))["c1"]["address"] == "10.0.0.11"


def test_a_folder_holds_more_than_inventories(tmp_path: Path):
    root = tree(
        tmp_path,
        {
            "ansible.cfg": "[defaults]\ninventory = hosts.ini\n",
            "hosts.ini": "[controllers]\nc1 ansible_host=10.0.0.11\n",
            "more/workers": "[workers]\nw1 ansible_host=10.0.0.21\n",
            "site.yml": "- hosts: all\n  tasks: []\n",
            "README.md": "# text\n",
            ".git/config": "[core]\nbare = false\n",
        },
    )
    found = import_ansible(root)
    assert set(hosts_of(found)) == {"c1", "w1"}
    assert "site.yml: no inventory" in told(found)
    assert "ansible.cfg" not in told(found)


def test_ports_beside_ranges_and_addresses(tmp_path: Path):
    root = tree(tmp_path, {"h.ini": "[controllers]\nc[01:02].example.org:2222\n[workers]\n[2001:db8::5]:2200\n"})
    found = hosts_of(import_ansible(root / "h.ini"))
    assert {name: (host["address"], host["ssh"]["port"]) for name, host in found.items()} == {
        "c01": ("c01.example.org", 2222),
        "c02": ("c02.example.org", 2222),
        "worker-1": ("2001:db8::5", 2200),
    }


VAULTED = """\
all:
  vars:
    ansible_user: !vault |
      $ANSIBLE_VAULT;1.1;AES256
      31323334
    cluster_name: "{{ env }}-k8s"
    env: prod
    kube_pods_subnet: "{{ net }}.0/16"
  children: {controllers: {hosts: {c1: {ansible_host: 10.0.0.11}}}}
"""


def test_what_is_encrypted_is_never_written_and_templates_are_filled_or_named(tmp_path: Path):
    found = import_ansible(tree(tmp_path, {"h.yml": VAULTED}) / "h.yml")
    assert "ANSIBLE_VAULT" not in found.text
    assert "31323334" not in found.text
    assert "c1: ansible_user is encrypted by ansible-vault" in told(found)
    assert yaml.safe_load(found.text)["cluster"]["name"] == "prod-k8s"
    assert "kube_pods_subnet: {{ net }}.0/16 is a template" in told(found)


def test_templates_that_name_each_other_come_to_an_end(tmp_path: Path):
    text = 'all: {vars: {cluster_name: "{{ a }}", a: "{{ b }}{{ b }}", b: "{{ a }}{{ a }}"}, '
    text += "children: {controllers: {hosts: {c1: {ansible_host: 10.0.0.1}}}}}\n"
    assert "template" in told(import_ansible(tree(tmp_path, {"h.yml": text}) / "h.yml"))


def test_kubesprays_cluster_name_is_the_domain(tmp_path: Path):
    text = "[kube_control_plane]\nm1 ansible_host=10.0.0.11\n[all:vars]\ncluster_name=k8s.example.org\n"
    cluster = yaml.safe_load(import_ansible(tree(tmp_path, {"h.ini": text}) / "h.ini").text)["cluster"]
    assert cluster["domain"] == "k8s.example.org"


K3S = """\
[server]
pi ansible_host=192.168.1.50
[k3s_cluster:children]
server
[k3s_cluster:vars]
cluster_cidr=10.52.0.0/16
apiserver_endpoint=192.168.1.10
flannel_iface=eth0
"""


def test_servers_of_k3s_run_pods_and_its_variables_mean_something(tmp_path: Path):
    found = import_ansible(tree(tmp_path, {"h.ini": K3S}) / "h.ini")
    data = yaml.safe_load(found.text)
    assert data["hosts"]["pi"]["role"] == "controller+worker"
    assert data["hosts"]["pi"]["network"] == {"interface": "eth0"}
    assert data["cluster"]["network"]["podCIDR"] == "10.52.0.0/16"
    assert "apiserver_endpoint (192.168.1.10): the address of the API" in told(found)
    assert "mean nothing" not in told(found)


LISTED = {
    "_meta": {"hostvars": {"c1": {"ansible_host": "10.0.0.11"}, "w1": {"ansible_host": "10.0.0.21"}, "x": {}}},
    "all": {"children": ["ungrouped", "k8s", "others"]},
    "k8s": {"children": ["controllers", "workers"]},
    "controllers": {"hosts": ["c1"]},
    "workers": {"hosts": ["w1"]},
    "others": {"hosts": ["x"]},
}


def test_the_output_of_ansible_inventory_from_standard_input(monkeypatch: pytest.MonkeyPatch):
    given = io.TextIOWrapper(io.BytesIO(json.dumps(LISTED).encode()))
    monkeypatch.setattr("sys.stdin", given)
    found = hosts_of(import_ansible(STDIN, group="k8s"))
    assert {name: (host["address"], host["role"]) for name, host in found.items()} == {
        "c1": ("10.0.0.11", "controller"),
        "w1": ("10.0.0.21", "worker"),
    }


def test_an_unknown_group_names_those_that_there_are(tmp_path: Path):
    root = tree(tmp_path, {"h.ini": K3S})
    with pytest.raises(InvalidInput, match="no group k8s") as refused:
        import_ansible(root / "h.ini", group="k8s")
    assert "k3s_cluster" in str(refused.value.hint)


def test_other_connections_and_a_playbooks_variables_are_told(tmp_path: Path):
    files = {"inventory/h.ini": "[workers]\nw ansible_host=10.0.0.9 ansible_connection=winrm\n"}
    root = tree(tmp_path, {**files, "group_vars/all.yml": "ansible_user: me\n"})
    notes = told(import_ansible(root / "inventory"))
    assert "w: connection winrm: slipway speaks SSH alone" in notes
    assert "../group_vars, as it stands beside a playbook, is not read" in notes


# --- names -----------------------------------------------------------------------------------------------------------


def test_names_are_resolved_when_asked_for(tmp_path: Path):
    root = tree(tmp_path, {"h.ini": "[workers]\nw1.example.org\nw2.example.org\n"})
    found = import_ansible(root / "h.ini", lookup={"w1.example.org": "192.0.2.1"}.get)
    assert hosts_of(found)["w1"]["address"] == "192.0.2.1"
    assert "w2 (w2.example.org): no IP address is known for the name" in told(found)


def test_a_name_of_this_machine_and_one_of_none():
    assert names.lookup("localhost") in ("127.0.0.1", "::1")
    assert names.lookup("nobody.invalid") is None


# --- ways through other hosts, flags of k0s --------------------------------------------------------------------------


def host_of(imported: Imported, name: str) -> dict[str, Any]:
    document = yaml.safe_load(imported.text)
    host: dict[str, Any] = {**document["hosts"][name]}
    return {**host, "ssh": {**((document["defaults"] or {}).get("ssh") or {}), **host.get("ssh", {})}}


def with_host(**host: Any) -> dict[str, Any]:
    ssh = {"address": "10.0.0.11", **host.pop("ssh", {})}
    head = {"apiVersion": "k0sctl.k0sproject.io/v1beta1", "kind": "Cluster"}
    return {**head, "spec": {"hosts": [{"role": "controller+worker", "hostname": "a", "ssh": ssh, **host}]}}


def test_bastions_of_k0sctl_are_jump_hosts(tmp_path: Path):
    """As root by default, and with a bastion's own bastion before it."""
    outer = {"address": "2001:db8::9", "port": 2222, "keyPath": "~/.ssh/outer"}
    found = from_k0sctl(tmp_path, with_host(ssh={"bastion": {"address": "inner", "user": "ops", "bastion": outer}}))
    assert host_of(found, "a")["ssh"]["jump"] == ["root@[2001:db8::9]:2222", "ops@inner"]
    assert "spec.hosts[0].ssh.bastion.bastion: keyPath is not carried over" in told(found)


@pytest.mark.parametrize(
    ("arguments", "jump", "note"),
    [
        ("-o StrictHostKeyChecking=no -o ProxyJump=ops@b:2222,c", ["ops@b:2222", "c"], "the jump host alone"),
        ("-J b", ["b"], "the jump host alone"),
        ("-o 'ProxyJump b'", ["b"], "the jump host alone"),
        ('-o ProxyCommand="ssh -W %h:%p ops@b"', None, "say the way through other hosts as `ssh.jump`"),
        ("-o ProxyJump=none", None, "say the way"),
        ("-o ForwardAgent=yes", None, "slipway does not know: ansible_ssh_common_args"),
    ],
)
def test_jump_hosts_of_ansible_are_carried_over(tmp_path: Path, arguments: str, jump: list[str] | None, note: str):
    host = {"ansible_host": "10.0.0.11", "ansible_ssh_common_args": arguments}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"a": host}}}))
    found = import_ansible(tmp_path / "hosts.yml")
    assert host_of(found, "a")["ssh"].get("jump") == jump
    assert note in told(found)


def test_flags_of_k0s_are_carried_over_where_check_takes_them(tmp_path: Path):
    flags = ["--debug", "--logging etcd=warning", "--data-dir=/data", "--force", "--labels=x=y"]
    found = from_k0sctl(tmp_path, with_host(installFlags=flags))
    assert host_of(found, "a")["k0s"]["extraFlags"] == ["--debug", "--logging=etcd=warning"]
    assert host_of(found, "a")["labels"] == {"x": "y"}
    assert "install flag --data-dir is not carried over: --data-dir cannot be set: deploy, verify and backups" in told(
        found
    )
    assert "install flag --force is not carried over: it belongs to `k0s install` alone" in told(found)


def test_a_flag_before_one_with_a_blank_does_not_swallow_it(tmp_path: Path):
    found = from_k0sctl(tmp_path, with_host(installFlags='--debug --kubelet-extra-args="--max-pods=99 --v=4"'))
    assert host_of(found, "a")["k0s"] == {"extraFlags": ["--debug"], "kubeletExtraArgs": {"max-pods": "99", "v": "4"}}


KUBESPRAY = """\
all:
  vars:
    http_proxy: http://proxy.example.org:3128
    no_proxy: .example.org
    kube_network_node_prefix: 25
    loadbalancer_apiserver: {address: 10.0.0.9, port: 6443}
    kube_apiserver_port: 7443
    kube_oidc_auth: true
    kube_oidc_url: https://id.example.org
    kube_oidc_client_id: k8s
    kube_oidc_groups_claim: groups
    upstream_dns_servers: [10.0.0.1]
    kube_pods_subnet_ipv6: fd00::/64
    extra_server_args: --disable traefik --token hunter2
    my_own: x
  children:
    kube_control_plane: {hosts: {c1: {ansible_host: 10.0.0.11}}}
    kube_node: {hosts: {w1: {ansible_host: 10.0.0.21}}}
"""


def test_variables_for_which_the_inventory_has_a_key_are_carried_over(tmp_path: Path):
    found = import_ansible(tree(tmp_path, {"h.yml": KUBESPRAY}) / "h.yml")
    data = yaml.safe_load(found.text)
    assert data["defaults"]["proxy"] == {"http": "http://proxy.example.org:3128", "noProxy": [".example.org"]}
    assert data["cluster"]["network"]["nodeCIDRMaskSize"] == 25
    assert data["cluster"]["network"]["externalAddress"] == "10.0.0.9"
    assert data["cluster"]["k0s"]["ports"] == {"api": 7443}
    assert data["cluster"]["k0s"]["apiServer"] == {
        "oidc": {"issuerURL": "https://id.example.org", "clientID": "k8s", "groupsClaim": "groups"}
    }
    for name in ("upstream_dns_servers", "kube_pods_subnet_ipv6", "extra_server_args", "loadbalancer_apiserver"):
        assert name in told(found)
    assert "hunter2" not in found.text + told(found)
    (unknown,) = [note for note in found.notes if note.startswith("variables that slipway does not know")]
    assert unknown.endswith(": my_own")


def test_of_an_external_load_balancer_another_port_is_told(tmp_path: Path):
    text = KUBESPRAY.replace("kube_apiserver_port: 7443", "kube_apiserver_port: 6443")
    assert "loadbalancer_apiserver" not in told(import_ansible(tree(tmp_path, {"h.yml": text}) / "h.yml"))
