"""The model of `inventory.yaml`: what a user may write, and what the rest of slipway reads.

One class a section. Keys are camelCase in the file and snake_case here. The text under an attribute is its
documentation: the reference and the JSON Schema are made from it (schema.py). What one value may look like stands in
values.py; what must hold between values stands in checks.py.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from slipway.inventory import values as v

API_VERSION = "slipway/v1"
_ACRONYMS = {"cidr": "CIDR", "cidrs": "CIDRs", "id": "ID", "tcp": "TCP", "udp": "UDP", "url": "URL"}


def key_of(attribute: str) -> str:
    """The key in the file for an attribute here: `pod_cidr` is written podCIDR, as Kubernetes writes it."""
    first, *rest = attribute.split("_")
    return first + "".join(_ACRONYMS.get(word) or word.capitalize() for word in rest)


def _from_root(path: Path, info: ValidationInfo) -> Path:
    """The path as seen from the inventory's folder, which the loader passes as context."""
    folder: Path = (info.context or {}).get("root", Path())
    return folder / path.expanduser()


INHERITED = "inherited"
"""Key of the context under which the loader passes a dictionary for what was validated already."""


def _once(mapping: object, validate: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
    """Hosts that inherit all of a mapping have the very same one (merge.py): it is validated once, and they share what
    comes of it."""
    known = (info.context or {}).get(INHERITED)
    if known is None or not isinstance(mapping, dict):
        return validate(mapping)
    key = info.field_name, id(mapping)
    if key not in known:
        known[key] = validate(mapping), mapping
    return known[key][0]


_Once = WrapValidator(_once)


class Section(BaseModel):
    """A mapping of the inventory: only known keys, never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=key_of)

    def __deepcopy__(self, _memo: dict[int, Any] | None = None) -> Self:
        """Itself: pydantic copies a default for each host that says nothing of it, and nobody changes one."""
        return self


class Role(StrEnum):
    """What a host does in the cluster, in k0s's words."""

    CONTROLLER = "controller"
    CONTROLLER_WORKER = "controller+worker"
    WORKER = "worker"
    SINGLE = "single"

    @property
    def is_controller(self) -> bool:
        return self is not Role.WORKER

    @property
    def runs_workloads(self) -> bool:
        return self is not Role.CONTROLLER


class System(StrEnum):
    """The machine's platform, in Nix's words."""

    X86_64 = "x86_64-linux"
    AARCH64 = "aarch64-linux"
    ARMV7L = "armv7l-linux"


class Provider(StrEnum):
    """The pod network. k0s fixes it at the first start of the cluster."""

    CILIUM = "cilium"
    KUBEROUTER = "kuberouter"
    CALICO = "calico"


# --- cluster ---------------------------------------------------------------------------------------------------------


class Ports(Section):
    """Ports of the control plane, the same on every controller."""

    api: v.Port = 6443
    """kube-apiserver (`spec.api.port`)."""
    k0s_api: v.Port = 9443
    """k0s's own API, where controllers join (`spec.api.k0sApiPort`)."""
    konnectivity_agent: v.Port = 8132
    """Where workers' konnectivity agents connect (`spec.konnectivity.agentPort`)."""
    konnectivity_admin: v.Port = 8133
    """Local to each controller (`spec.konnectivity.adminPort`)."""


class Oidc(Section):
    """People log in to the API by an identity provider (OpenID Connect)."""

    issuer_url: v.HttpsUrl
    """The provider's address as its tokens have it (`iss`)."""
    client_id: v.Text
    """The client that tokens must be for (`aud`)."""
    username_claim: v.Text = "sub"
    """Claim that names the person."""
    username_prefix: v.Text | None = None
    """What stands before the name in Kubernetes; default: the issuer and `#`, unless the claim is `email`."""
    groups_claim: v.Text | None = None
    """Claim that names the person's groups."""
    groups_prefix: v.Text | None = None
    """What stands before each group, so that no group of the provider is one of Kubernetes's own."""
    required_claims: dict[v.Tag, v.Text] = Field(default_factory=dict)
    """Claims that a token must have, name to value."""
    ca: v.Certificates | None = None
    """Certificates (PEM) that sign the provider's; default: those that the machine trusts."""


class Audit(Section):
    """A record of who asked the API server for what, on each controller in /var/log/kube-apiserver. Of Secrets and
    ConfigMaps it never holds more than the name; a policy of your own is `environment.etc` of a module."""

    level: Literal["Metadata", "Request", "RequestResponse"] = "Metadata"
    """Of requests that change something: who, when and what; the request's body too; or also the answer's."""
    max_age: Annotated[int, Field(ge=1, le=3650), v.DIGITS] = 30
    """Days that a file is kept."""
    max_backups: Annotated[int, Field(ge=1, le=1000), v.DIGITS] = 10
    """Files that are kept beside the one that is written."""
    max_size: Annotated[int, Field(ge=1, le=10_000), v.DIGITS] = 100
    """MiB of a file."""


class ApiServer(Section):
    """kube-apiserver, on every controller the same (`spec.api.extraArgs`)."""

    oidc: Oidc | None = None
    audit: Audit | None = None
    extra_args: dict[v.DnsLabel, v.Text] = Field(default_factory=dict)
    """More flags, name to value, such as `event-ttl: 24h`."""


class K0s(Section):
    """The k0s of the cluster."""

    version: v.K0sVersion
    """Release to run, such as 1.36.3+k0s.2; one of the packaged ones, or any with `hashes`."""
    hashes: dict[System, v.NixHash] = Field(default_factory=dict)
    """Hashes of the release's binaries (sha256-...=), for a release that slipway does not know yet."""
    ports: Ports = Ports()
    sans: tuple[v.IpOrName, ...] = ()
    """More names and addresses for the API server's certificate."""
    disable_components: tuple[v.DnsLabel, ...] = ()
    """Components that k0s shall not run (`--disable-components`)."""
    feature_gates: dict[v.Tag, v.Truth] = Field(default_factory=dict)
    """Kubernetes feature gates, name to true or false."""
    api_server: ApiServer = ApiServer()
    worker_profiles: dict[v.DnsLabel, v.FreeForm] = Field(default_factory=dict)
    """Profiles of kubelet settings (`spec.workerProfiles`), name to KubeletConfiguration values."""
    encrypt_secrets: v.Truth = True
    """Whether the API server encrypts Secrets before it stores them, with the key in secrets/encryption.sops.yaml."""
    telemetry: v.Truth = False
    """Whether k0s reports usage to its makers."""


class DualStack(Section):
    """IPv6 beside IPv4."""

    pod_cidr: v.Cidr
    """IPv6 range of pods (`spec.network.dualStack.IPv6podCIDR`)."""
    service_cidr: v.Cidr
    """IPv6 range of services, /108 or smaller (`spec.network.dualStack.IPv6serviceCIDR`)."""
    node_cidr_mask_size: Annotated[int, Field(ge=64, le=124), v.DIGITS] | None = None
    """Prefix length of the IPv6 range that a node takes of `podCIDR`; default: 117. Fixed at the first start."""


class Vip(Section):
    """A virtual address of the control plane, kept by keepalived on the controllers (k0s's CPLB)."""

    address: v.InterfaceAddress
    """The address with its prefix length, such as 10.0.0.10/24."""
    interface: v.LinkName | None = None
    """Link that carries it, with an address in its network on every controller; default: the link of the host's own
    address."""
    virtual_router_id: Annotated[int, Field(ge=1, le=255), v.DIGITS] = 51
    """VRRP router number, unique in the layer-2 network."""
    auth_pass: v.AuthPass | None = None
    """VRRP password, at most 8 characters; it travels in clear text and keeps nobody out."""
    unicast: v.Truth = False
    """Whether controllers tell each other of it one by one, for networks that carry no multicast."""

    @property
    def ip(self) -> str:
        """The address without its prefix length."""
        return self.address.partition("/")[0]


class Cilium(Section):
    """How Cilium carries traffic; read by its Helm values and by the firewall."""

    routing: Literal["vxlan", "geneve", "native"] = "vxlan"
    """Tunnels between nodes, or none: native needs nodes in one layer-2 network."""
    encryption: Literal["none", "wireguard"] = "none"
    """Encryption of pod traffic between nodes."""
    hubble: v.Truth = True
    """Whether flows can be observed."""


class ClusterNetwork(Section):
    """The networks of the cluster. Ranges are fixed at its first start."""

    provider: Provider = Provider.CILIUM
    """The pod network; fixed at the first start of the cluster."""
    pod_cidr: v.Cidr = "10.244.0.0/16"
    """Range of pods, of which every node takes a part. IPv6 like `serviceCIDR` and the hosts' addresses makes a cluster
    that has no IPv4 at all."""
    node_cidr_mask_size: Annotated[int, Field(ge=16, le=124), v.DIGITS] | None = None
    """Prefix length of a node's part of `podCIDR`; default: 24, room for 254 pods, and 117 of IPv6. Fixed at the first
    start."""
    service_cidr: v.Cidr = "10.96.0.0/12"
    """Range of services, IPv6 where `podCIDR` is (a /108 from k0s 1.35 on); the tenth address is the cluster's DNS."""
    dual_stack: DualStack | None = None
    vip: Vip | None = None
    external_address: v.IpOrName | None = None
    """Address of a load balancer of yours before the controllers; excludes nodeLocalLoadBalancing."""
    node_local_load_balancing: v.Truth | None = None
    """A proxy on every worker that reaches all controllers (k0s's NLLB). Default: true with several controllers."""
    node_local_load_balancer: Literal["EnvoyProxy", "Traefik"] = "EnvoyProxy"
    """Which program that is; Traefik (k0s 1.36 and later) also runs on ARMv7."""
    cilium: Cilium = Cilium()

    @property
    def ipv6_only(self) -> bool:
        """Whether pods and services have IPv6 alone; nodes then have such addresses too."""
        return ":" in self.service_cidr

    @property
    def has_ipv6(self) -> bool:
        return self.ipv6_only or self.dual_stack is not None

    @property
    def lasting_address(self) -> str | None:
        """Where the API is reached whichever controllers are up: the external address, else the virtual one."""
        return self.external_address or (self.vip.ip if self.vip else None)

    def balances_locally(self, controllers: int) -> bool:
        """Whether workers run k0s's proxy to all controllers: as said, else where there are several of them."""
        if self.node_local_load_balancing is not None:
            return self.node_local_load_balancing
        return controllers > 1 and self.external_address is None


class Nixos(Section):
    """Which NixOS the machines run."""

    channel: v.NixosRelease = "26.05"
    """Release of nixpkgs that the flake follows."""
    state_version: v.NixosRelease = "26.05"
    """NixOS release at which the machines were installed (`system.stateVersion`); do not raise it later."""


_POOL = ("0.nixos.pool.ntp.org", "1.nixos.pool.ntp.org", "2.nixos.pool.ntp.org")


class Time(Section):
    """Time zone and NTP servers; etcd and certificates need clocks that agree."""

    zone: v.TimeZone = "Etc/UTC"
    servers: Annotated[tuple[v.IpOrName, ...], Field(min_length=1)] = _POOL


class Cluster(Section):
    """What is the same on every machine."""

    name: v.DnsLabel
    description: v.Text | None = None
    """For people; read by nothing."""
    domain: v.DnsName = "cluster.local"
    """DNS domain of services; the same for the life of the cluster."""
    k0s: K0s
    network: ClusterNetwork = ClusterNetwork()
    nixos: Nixos = Nixos()
    time: Time = Time()


# --- hosts -----------------------------------------------------------------------------------------------------------


class Ssh(Section):
    """How slipway reaches the machine, and who may log in as root."""

    user: v.UserName = "root"
    """Login user; another than root needs sudo."""
    sudo_password: v.Truth = False
    """Whether `sudo` asks `user` for a password. slipway then asks for it once, at the terminal, for all machines; your
    own configuration has to set it (`users.users.NAME.hashedPassword`)."""
    address: v.IpOrName | None = None
    """Where slipway logs in, if not at the host's `address`: on a network for management, or at a forwarded port. The
    nodes use `address` among themselves, and slipway for the Kubernetes API (or `externalAddress`)."""
    port: v.Port = 22
    identity: Annotated[v.KeyPath, AfterValidator(_from_root)] | None = None
    """Private key file on this machine, relative to the inventory; default: the agent and ~/.ssh."""
    jump: tuple[v.JumpHost, ...] = ()
    """Hosts to go through, the nearest first (OpenSSH's ProxyJump): [user@]address[:port]; default: the host's own
    `user`, port 22. Their keys are pinned like those of the machines."""
    authorized_keys: tuple[v.PublicKey, ...] = ()
    """Public keys that may log in as `user`."""


class Ipv6(Section):
    """A second address of the host's link, for dual stack."""

    address: v.IpAddress
    prefix_length: Annotated[int, Field(ge=1, le=128), v.DIGITS] = 64
    gateway: v.IpAddress | None = None


class Route(Section):
    """A static route."""

    to: v.Cidr
    via: v.IpAddress


class Link(Section):
    """One more link of a host, or more about one that is named elsewhere."""

    mac: v.Mac | None = None
    """Match the card by its MAC address in place of its name."""
    dhcp: v.Truth = False
    addresses: tuple[v.InterfaceAddress, ...] = ()
    """Static addresses with prefix length."""
    mtu: v.Mtu | None = None
    routes: tuple[Route, ...] = ()


class Vlan(Section):
    """A tagged VLAN on a link (networking.vlans)."""

    id: Annotated[int, Field(ge=1, le=4094), v.DIGITS]
    interface: v.LinkName
    """Link that carries it."""


class Bond(Section):
    """Several cards as one link (networking.bonds)."""

    interfaces: Annotated[tuple[v.LinkName, ...], Field(min_length=1)]
    mode: Literal[
        "802.3ad", "active-backup", "balance-rr", "balance-xor", "broadcast", "balance-tlb", "balance-alb"
    ] = "802.3ad"
    lacp_rate: Literal["fast", "slow"] | None = None
    """How often 802.3ad hears from the switch: every second (the default here) or every 30; the same on both sides."""
    transmit_hash_policy: Literal["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4", "vlan+srcmac"] | None = None
    """By what 802.3ad and balance-xor choose the card of a packet; default: layer3+4 with 802.3ad, else layer2."""
    primary: v.LinkName | None = None
    """The card that carries the traffic while it is up, with active-backup, balance-tlb and balance-alb."""
    min_links: Annotated[int, Field(ge=1, le=64), v.DIGITS] | None = None
    """How many cards of an 802.3ad bond must be up for the bond to be."""


class Bridge(Section):
    """A software bridge (networking.bridges)."""

    interfaces: Annotated[tuple[v.LinkName, ...], Field(min_length=1)]


class HostNetwork(Section):
    """The host's links. `interface` carries the host's `address`: a card, or a bond, bridge or VLAN named below."""

    interface: v.LinkName | None = None
    mac: v.Mac | None = None
    """Match the card of `interface` by its MAC address in place of its name."""
    dhcp: v.Truth = False
    """Addresses come by DHCP, by a lease that always gives `address`."""
    prefix_length: Annotated[int, Field(ge=1, le=128), v.DIGITS] | None = None
    """Prefix length of `address`; needed unless `dhcp`."""
    gateway: v.IpAddress | None = None
    """Default route; with a prefixLength of 32 the router is on the link, whatever its address."""
    nameservers: tuple[v.IpAddress, ...] = ()
    search_domains: tuple[v.DnsName, ...] = ()
    mtu: v.Mtu | None = None
    """MTU of `interface`, and of the links below it."""
    addresses: tuple[v.InterfaceAddress, ...] = ()
    """More static addresses of `interface`, with prefix length."""
    routes: tuple[Route, ...] = ()
    """Static routes by `interface`."""
    slaac: v.Truth = False
    """Whether routers' advertisements add IPv6 addresses and routes to a static address (SLAAC), as with `dhcp`."""
    ipv6: Ipv6 | None = None
    bonds: dict[v.LinkName, Bond] = Field(default_factory=dict)
    bridges: dict[v.LinkName, Bridge] = Field(default_factory=dict)
    vlans: dict[v.LinkName, Vlan] = Field(default_factory=dict)
    links: dict[v.LinkName, Link] = Field(default_factory=dict)
    """Links beside `interface`, name to its addresses."""


class Disk(Section):
    """One disk, formatted by disko at installation. The disk mounted at / also gets the boot partition."""

    device: v.Device
    """/dev/disk/by-id/... of the whole disk."""
    mount_point: v.MountPoint = "/"
    filesystem: Literal["ext4", "xfs", "btrfs"] = "ext4"
    swap: v.Bytes | None = None
    """Size of a swap partition, such as 8Gi."""


class Boot(Section):
    """How the machine starts."""

    mode: Literal["uefi", "bios"] = "uefi"
    """uefi boots by systemd-boot, bios by GRUB on the disk mounted at /."""
    initrd_modules: tuple[v.Tag, ...] = ()
    """Kernel modules that reach the root disk (boot.initrd.availableKernelModules), beside NixOS's own choice."""


class ExpectedDisk(Section):
    """A disk that must be there."""

    size: v.Bytes | None = None
    """At least so large, such as 1700Gi."""


class ExpectedNic(Section):
    """A card that must be there, and how it must run."""

    driver: v.Tag | None = None
    """Kernel driver, such as ixgbe."""
    speed: Annotated[int, Field(ge=10, le=1_600_000), v.DIGITS] | None = None
    """Mbit/s, at least, on a cable that is in."""
    mtu: v.Mtu | None = None


class HardwareLimits(Section):
    """Where worn, hot or slow becomes red."""

    temperature: Annotated[int, Field(ge=30, le=150), v.DIGITS] = 95
    """Degrees Celsius of any sensor, where the sensor itself names no lower critical point."""
    throttles: Annotated[int, Field(ge=0, le=1_000_000_000), v.DIGITS] = 100
    """How often processors may have been slowed for heat since the boot."""
    memory_errors: Annotated[int, Field(ge=0, le=1_000_000_000), v.DIGITS] = 0
    """Corrected errors of memory since the boot; one that could not be corrected is always red."""
    wear: Annotated[int, Field(ge=1, le=255), v.DIGITS] = 90
    """Per cent of its life that a solid disk may have used."""
    bad_sectors: Annotated[int, Field(ge=0, le=1_000_000_000), v.DIGITS] = 0
    """Reallocated, pending and unreadable sectors, or media errors, of a disk."""
    fsync_ms: Annotated[int, Field(ge=1, le=10_000), v.DIGITS] = 10
    """Burn-in: milliseconds that 99 of 100 writes of etcd's kind may take (etcd's own documentation asks for 10)."""
    throughput: Annotated[int, Field(ge=1, le=1_600_000), v.DIGITS] = 800
    """Burn-in: Mbit/s from a pod of this node to a pod of each other one, at least."""


class Hardware(Section):
    """What the machine is expected to have; the pack `hardware` compares. What is said here and cannot be read is red;
    what is not said is held against limits that any node must keep, where the machine has such a part at all."""

    cpu: Literal["intel", "amd", "arm"] | None = None
    """Maker of the processor; chooses the microcode."""
    model: v.Text | None = None
    """Part of the processor's name, such as `Gold 6130`."""
    cores: Annotated[int, Field(ge=1, le=4096), v.DIGITS] | None = None
    """At least so many."""
    flags: tuple[v.Tag, ...] = ()
    """Features that every processor must have, as /proc/cpuinfo names them."""
    memory: v.Bytes | None = None
    """At least so much, such as 32Gi."""
    modules: Annotated[int, Field(ge=1, le=1024), v.DIGITS] | None = None
    """Memory modules, exactly: a slot that lost its contact is red."""
    ecc: v.Truth | None = None
    """Whether memory corrects its errors."""
    disks: dict[v.Device, ExpectedDisk] = Field(default_factory=dict)
    """Disks that must be there beside those that disko formats, /dev/disk/by-id/... to what they must be."""
    macs: tuple[v.Mac, ...] = ()
    """Cards that must be there."""
    nics: dict[v.Mac, ExpectedNic] = Field(default_factory=dict)
    """Cards that must be there, by their permanent MAC address, and how they must run."""
    machine: v.Text | None = None
    """Part of the machine's maker and model, as its firmware tells them."""
    firmware: v.Text | None = None
    """Part of the firmware's maker, version and date."""
    bmc: v.Truth | None = None
    """Whether it has a management controller (IPMI) that answers."""
    limits: HardwareLimits = HardwareLimits()


class FirewallRule(Section):
    """Ports that are opened to some."""

    ports: Annotated[tuple[v.Ports, ...], Field(min_length=1)]
    """Ports and ranges, such as 9100 or 30000-32767."""
    protocol: Literal["tcp", "udp"] = "tcp"
    """What the ports are of."""
    from_: Annotated[tuple[v.Source, ...], Field(alias="from")] = ()
    """Who may reach them: `nodes`, `pods`, `controllers`, or networks; default: everybody, pods included."""


class Firewall(Section):
    """More than what the role and the pod network need, which is open by itself to the peers that need it."""

    ssh_from: tuple[v.Cidr, ...] = ()
    """Sources that may reach SSH; default: everywhere."""
    api_from: tuple[v.Cidr, ...] = ()
    """Sources that may reach the Kubernetes API beside the nodes; default: everywhere."""
    allowed_tcp_ports: tuple[v.Port, ...] = ()
    allowed_udp_ports: tuple[v.Port, ...] = ()
    pod_tcp_ports: tuple[v.Port, ...] = ()
    """Ports of the node that pods may reach beside, as for metrics of programs in the node's own network."""
    pod_udp_ports: tuple[v.Port, ...] = ()
    rules: tuple[FirewallRule, ...] = ()
    """Ranges of ports, and ports for some machines only."""


class User(Section):
    """A person's account."""

    authorized_keys: Annotated[tuple[v.PublicKey, ...], Field(min_length=1)]
    extra_groups: tuple[v.UserName, ...] = ()
    """Such as wheel for sudo."""


class BuildMachine(Section):
    """A Nix remote builder (nix.buildMachines)."""

    host_name: v.IpOrName
    systems: Annotated[tuple[System, ...], Field(min_length=1)]
    ssh_user: v.UserName = "root"
    ssh_key: v.MountPoint | None = None
    """Private key file on the machine that asks."""
    max_jobs: Annotated[int, Field(ge=1, le=1024), v.DIGITS] = 1
    speed_factor: Annotated[int, Field(ge=1, le=1024), v.DIGITS] = 1
    supported_features: tuple[v.Tag, ...] = ()


class NixGc(Section):
    """When old generations go."""

    dates: v.Calendar = "weekly"
    older_than: v.Seconds = 30 * 86400.0
    """Whole days, as Nix counts them."""


class Nix(Section):
    """Nix on the machine."""

    substituters: tuple[v.Url, ...] = ()
    """Binary caches beside cache.nixos.org."""
    trusted_public_keys: tuple[v.CacheKey, ...] = ()
    build_machines: tuple[BuildMachine, ...] = ()
    gc: NixGc = NixGc()


class Proxy(Section):
    """The HTTP proxy by which the machine reaches what lies outside: Nix, k0s with kubelet and containerd, shells.
    Nodes, pods, Services, the cluster's names, the virtual and the external address are reached without."""

    http: v.ProxyUrl
    """Such as http://proxy.example.org:3128. Without a password: what is here everybody on the machine can read."""
    https: v.ProxyUrl | None = None
    """Proxy for https; default: the same one."""
    no_proxy: tuple[v.Direct, ...] = ()
    """More that is reached without it: addresses, networks, names; .example.org is all below example.org."""


class Pull(Section):
    """The machine fetches its own configuration, for fleets that no one deployer should push to."""

    engine: Literal["autoUpgrade", "comin"]
    """system.autoUpgrade of NixOS, or comin."""
    url: v.FlakeUrl
    """The flake (autoUpgrade: git+https://...) or the Git repository (comin: https://...)."""
    branch: v.GitBranch = "main"
    dates: v.Calendar = "04:40"
    """When autoUpgrade looks (systemd's calendar format)."""


class Watchdog(Section):
    """The hardware watchdog resets a machine that hangs."""

    device: v.MountPoint | None = None
    """Such as /dev/watchdog1; default: systemd's choice."""
    runtime: v.Seconds = 30.0
    """Reset when systemd was silent for so long."""
    reboot: v.Seconds = 600.0
    """Reset when a reboot takes longer."""


class Journald(Section):
    """The journal."""

    max_use: v.Bytes = 1 << 30
    """SystemMaxUse."""


class HostK0s(Section):
    """k0s on this host."""

    version: v.K0sVersion | None = None
    """Another release than cluster.k0s.version, for a rolling upgrade."""
    profile: v.DnsLabel | None = None
    """Worker profile: `default`, or one of cluster.k0s.workerProfiles."""
    kubelet_extra_args: dict[v.DnsLabel, v.FlagValue] = Field(default_factory=dict)
    """More flags for kubelet, name to value."""
    extra_flags: tuple[v.K0sFlag, ...] = ()
    """More flags for k0s itself, such as `--debug`."""
    system_reserved: dict[v.Resource, v.Quantity] = Field(default_factory=dict)
    """What pods leave to the system, such as `memory: 1Gi` (kubelet's `systemReserved`)."""
    kube_reserved: dict[v.Resource, v.Quantity] = Field(default_factory=dict)
    """What pods leave to k0s, kubelet and containerd (kubelet's `kubeReserved`)."""
    eviction_hard: dict[v.EvictionSignal, v.Threshold] = Field(default_factory=dict)
    """How little may be left before kubelet evicts pods, such as `memory.available: 500Mi` or `nodefs.available: 5%`;
    signals that are not named keep kubelet's own thresholds."""


class HealthCheck(Section):
    """What must be well before a new system is confirmed; else the machine returns to its old one. Tried again until
    `deploy.timeouts.confirm`; where both are named, both must be."""

    command: v.Text | None = None
    """A line for the machine's shell, run as root; exit code 0 is well."""
    url: v.HttpUrl | None = None
    """An http or https address, asked from where slipway runs; certificates are not checked, redirections not
    followed."""
    status: Annotated[int, Field(ge=100, le=599), v.DIGITS] = 200
    """The status that it must answer with."""
    timeout: v.Seconds = 10.0
    """For one try."""


class HostDeploy(Section):
    """How a deployment treats this machine."""

    health_check: HealthCheck | None = None
    reboot_if_stuck: v.Truth = False
    """Whether the machine boots its old system where it can activate neither the new one nor the old one again; else it
    stays as it is, for somebody to look at."""
    substitute: v.Truth = True
    """Whether the machine fetches what its binary caches have, instead of all from where slipway runs; false for one
    without a way to cache.nixos.org: with `deploy.cache` it asks its own `nix.substituters` alone, else none."""


class StorageClients(Section):
    """Storage that others serve and this machine can use. CSI drivers count on it: their pods bring neither kernel
    modules nor the machine's own daemons."""

    iscsi: v.Truth = False
    """iSCSI with iscsid, as for Longhorn and democratic-csi."""
    nfs: v.Truth = False
    """NFS: the programs that mount it, and rpcbind (port 111), which locks of version 3 need."""
    rbd: v.Truth = False
    """Ceph's block devices."""
    multipath: v.Truth = False
    """Several ways to one disk, with multipathd."""


class Settings(Section):
    """What a host may say for itself, or a group or `defaults` for it: host before groups before defaults.

    Mappings are merged key by key; any other value, lists too, replaces the one it inherits. An empty value (`key:`)
    takes back what is inherited.
    """

    role: Role | None = None
    system: System = System.X86_64
    """Platform of the machine."""
    tags: tuple[v.Tag, ...] = ()
    """Words to select hosts by (`@tag`)."""
    labels: dict[v.LabelKey, v.LabelValue] = Field(default_factory=dict)
    """Labels of the Kubernetes node."""
    taints: tuple[v.Taint, ...] = ()
    """Taints of the Kubernetes node, written key=value:Effect."""
    ssh: Annotated[Ssh, _Once] = Ssh()
    network: Annotated[HostNetwork, _Once] = HostNetwork()
    disks: dict[v.DnsLabel, Disk] = Field(default_factory=dict)
    """Disks for disko, name to disk; without any, the machine's own NixOS configuration has to mount its disks."""
    storage: StorageClients = StorageClients()
    boot: Boot = Boot()
    hardware: Hardware = Hardware()
    firewall: Annotated[Firewall, _Once] = Firewall()
    users: dict[v.UserName, User] = Field(default_factory=dict)
    proxy: Proxy | None = None
    nix: Nix = Nix()
    pull: Pull | None = None
    watchdog: Watchdog | None = None
    journald: Journald = Journald()
    k0s: Annotated[HostK0s, _Once] = HostK0s()
    deploy: HostDeploy = HostDeploy()


class HostEntry(Settings):
    """A host as the file has it; its key is its name."""

    address: v.IpAddress
    """The address by which the other nodes reach it, and slipway too unless `ssh.address` says otherwise; unique, and
    stable for the life of the node."""
    description: v.Text | None = None
    """For people, such as where the machine stands; read by nothing."""
    groups: tuple[v.DnsLabel, ...] = ()
    """Groups whose settings it takes; a later one wins over an earlier one."""


class Host(HostEntry):
    """A host with everything that it inherits."""

    name: v.DnsLabel
    role: Role

    @property
    def login_address(self) -> str:
        """Where slipway logs in."""
        return self.ssh.address or self.address

    @property
    def is_controller(self) -> bool:
        return self.role.is_controller

    @property
    def runs_workloads(self) -> bool:
        return self.role.runs_workloads


# --- what slipway itself does ----------------------------------------------------------------------------------------


class Timeouts(Section):
    """How long a step may take on one machine."""

    connect: v.Seconds = 10.0
    build: v.Seconds = 3600.0
    copy_: Annotated[v.Seconds, Field(alias="copy")] = 1800.0
    activate: v.Seconds = 300.0
    confirm: v.Seconds = 60.0
    """Until a fresh connection must have confirmed the new system, else the node returns to its old one."""
    join: v.Seconds = 300.0
    ready: v.Seconds = 300.0
    """Until the node must be Ready in Kubernetes."""
    lock: v.Seconds = 120.0
    """After so long without a sign of life another deployer's lock of the cluster counts for nothing."""
    reboot: v.Seconds = 900.0
    """Until a node that reboots must be there again, running its new system."""
    backup: v.Seconds = 600.0
    """Until k0s must have packed, or unpacked, a backup of the control plane."""


class Waves(Section):
    """In which batches workers get a new system: the next begins when all of the one before are well. Controllers
    always go one by one, before the workers."""

    size: v.Share = "25%"
    """Workers of one wave: a count, or a part of all workers of the cluster, rounded up."""
    canary: Annotated[int, Field(ge=0, le=1000), v.DIGITS] = 1
    """Workers of a first wave, before all others; 0: there is none."""
    max_failures: Annotated[int, Field(ge=0, le=1000), v.DIGITS] = 0
    """Workers of one wave that may fail; after one more nothing else begins."""
    verify: tuple[v.DnsLabel, ...] = ("k0s",)
    """Packs that must be green on the nodes of a wave before the next one begins; []: none."""


class Drain(Section):
    """Taking the pods off a node before its k0s or the machine restarts. PodDisruptionBudgets are respected."""

    enable: v.Truth = True
    grace: v.Seconds | None = None
    """Time for every pod to end; unset: each has its own (terminationGracePeriodSeconds)."""
    timeout: v.Seconds = 300.0
    """Until the pods must be gone; else the node is let back, unchanged, and the pods are named that hold it up."""


class Deploy(Section):
    """How deployments run."""

    parallel: Annotated[int, Field(ge=1, le=1000), v.DIGITS] = 10
    """Machines worked on at the same time."""
    evaluate_at_once: Annotated[int, Field(ge=1, le=100_000), v.DIGITS] | None = None
    """Systems that one Nix evaluates, which keeps them all in memory; default: as many as this computer's memory takes,
    with half a GiB for each."""
    waves: Waves = Waves()
    drain: Drain = Drain()
    backup_before_upgrade: v.Truth = True
    """Whether the control plane is backed up before its k0s goes to another minor release; without a backup nothing is
    changed then."""
    timeouts: Timeouts = Timeouts()
    keep_runs: Annotated[int, Field(ge=1, le=100000), v.DIGITS] = 100
    """Runs that `.slipway/runs/` remembers of each command; older ones go when a new one of it begins, never one that
    is under way."""
    cache: v.CacheStore | None = None
    """Binary cache that is filled with what was built, once, before the machines fetch it from there: where `nix copy
    --to` writes, as s3://BUCKET?region=..., https://... or file:///FOLDER. `nix.substituters` and
    `nix.trustedPublicKeys` of the machines say where they read; the key that signs is in
    secrets/binary-cache.sops.yaml."""
    nix_options: v.NixOptions = Field(default_factory=dict)
    """Options for every Nix command, name to value (`--option NAME VALUE`); only those that give the repository no hold
    of this machine (docs/trust.md)."""


class Verify(Section):
    """What verification asks, and for how long the gate takes its answer."""

    packs: Annotated[tuple[v.DnsLabel, ...], Field(min_length=1)] = (
        "hardware", "os", "network", "k0s", "kubernetes", "security",
    )  # fmt: skip
    fresh_for: v.Seconds = 86400.0
    """Age at which a green verification no longer opens the gate."""
    peers: Annotated[int, Field(ge=1, le=100_000), v.DIGITS] | None = None
    """Other nodes that each node tries to reach, the next ones in the order of the inventory; default: every one. With
    hundreds of nodes a sample is quicker, and the report says that it is one."""


class Source(Section):
    """Where Flux reads this repository from."""

    kind: Literal["git-server", "git", "oci", "bucket"] = "git-server"
    """The Git server that the stage bootstrap puts into the cluster; or a Git repository, an OCI artifact or an S3
    bucket elsewhere, with which there is no Git server in the cluster."""
    url: v.Url | None = None
    """For git: https://... or ssh://...; for oci: oci://...; for a bucket: the endpoint, https://.../BUCKET."""
    branch: v.GitBranch = "main"
    """Branch that Flux follows; for oci the tag."""
    secret: v.DnsLabel | None = None
    """Secret of the namespace flux-system with the credentials, as Flux's own reference has it for that kind."""
    insecure: v.Truth = False
    """Whether a registry or bucket is reached by plain HTTP."""
    region: v.Tag | None = None
    """Region of the bucket."""


class GitServer(Section):
    """The Git server of the stage bootstrap."""

    kind: Literal["gitea", "forgejo"] = "gitea"
    node: v.HostName | None = None
    """Host whose disk holds it; default: the first without taints that runs pods. Fixed once the volume is there."""
    size: v.Bytes = 10 << 30
    organization: v.DnsLabel = "ops"
    """Owner of the repository there."""
    repository: v.DnsLabel | None = None
    """Name of the repository there; default: the cluster's."""


class FluxSettings(Section):
    """Flux itself."""

    web: v.Truth = False
    """Whether the operator serves its web page (port 9080, which asks nobody for a password)."""


class Storage(Section):
    """Where volumes of applications lie."""

    provider: Literal["local-path", "lvm", "zfs"] = "local-path"
    """Folders of a node (no snapshots), or OpenEBS on a volume group or a pool that the machines' configuration has."""
    pool: v.Tag | None = None
    """Name of the LVM volume group or ZFS pool, the same on every node."""


class Keep(Section):
    """How many backups stay."""

    daily: Annotated[int, Field(ge=0, le=1000), v.DIGITS] = 7
    weekly: Annotated[int, Field(ge=0, le=1000), v.DIGITS] = 4
    monthly: Annotated[int, Field(ge=0, le=1000), v.DIGITS] = 6


class Backup(Section):
    """Where volumes are saved to and restored from: one restic repository a volume, below a prefix each."""

    repository: v.ResticRepository | None = None
    """Beginning of every repository, such as s3:https://s3.example.org/backups; needed for every mode but none."""
    from_: Annotated[v.Tag | None, Field(alias="from")] = None
    """Prefix that volumes are restored from; default: the cluster's name."""
    to: v.Tag | None = None
    """Prefix that backups go to; default: the cluster's name."""
    schedule: v.Cron = "17 3 * * *"
    """When, in the five fields of cron. OpenBao and Forgejo write their dumps one hour before."""
    keep: Keep = Keep()
    verified: v.Truth = False
    """In the mode restore: whether what was restored has been looked at. Until then backups are paused."""


class CodeHosting(Section):
    """Where people keep their code, beside the Git server that Flux reads."""

    kind: Literal["forgejo", "gitlab", "none"] = "forgejo"
    gitlab: Literal["9.11", "10"] = "9.11"
    """Line of GitLab's chart: 9.11 brings PostgreSQL, Redis and MinIO along and ends; from 10 on CloudNativePG, Valkey
    and SeaweedFS stand beside it in the same stage."""
    size: v.Bytes = 10 << 30
    """Volume for repositories."""


class Gateway(Section):
    """Cilium's own Gateway API, which publishes applications."""

    enabled: v.Truth = False
    domain: v.DnsName | None = None
    """Names of applications are below it, such as git.example.org; needed with `enabled`."""
    address: v.IpAddress | None = None
    """Its address, one of the load balancer's pools; default: any of them."""


class LoadBalancer(Section):
    """Addresses for Services of the type LoadBalancer, announced by Cilium in the nodes' own network."""

    pools: tuple[v.Cidr, ...] = ()
    interfaces: tuple[v.LinkName, ...] = ()
    """Links that announce them; default: all."""


class CertManager(Section):
    """Certificates by cert-manager."""

    enabled: v.Truth = False
    email: v.Email | None = None
    """With it there is an issuer of Let's Encrypt, which proves names through the Gateway."""


class ExternalDns(Section):
    """DNS records for routes and Services by external-dns."""

    enabled: v.Truth = False
    provider: v.DnsLabel = "rfc2136"
    """Provider in external-dns's words; its credentials come from the Secret external-dns of its own namespace."""
    arguments: tuple[v.Text, ...] = ()
    """More arguments of external-dns."""


class Stages(Section):
    """The GitOps stages that take over from slipway."""

    ready_timeout: v.Seconds = 600.0
    """How long one step of the hand-off may wait, such as for a stage to become Ready."""
    proof_timeout: v.Seconds = 300.0
    """How long the commit by which the hand-off proves the webhook may take to be applied, and Flux to be called. A
    late one is only told."""
    until: Literal["bootstrap", "cluster-base-apps", "cluster-apps"] = "cluster-apps"
    """The last stage that is generated, for a cluster that is to have no more, or no more yet."""
    mode: Literal["install", "restore", "restore-only", "none"] = "none"
    """What happens with volumes: begin with empty ones and save them; bring them back and go on saving; bring them back
    and save nothing; neither. install refuses an existing backup, restore a missing one."""
    source: Source = Source()
    git_server: GitServer = GitServer()
    flux: FluxSettings = FluxSettings()
    storage: Storage = Storage()
    backup: Backup = Backup()
    code_hosting: CodeHosting = CodeHosting()
    default_deny: v.Truth = True
    """Whether applications of slipway reach, and are reached by, only whom they need (network policies)."""
    sample: v.Truth = True
    """Whether the stage cluster-apps has a sample application, with a secret out of OpenBao and a saved volume."""
    gateway: Gateway = Gateway()
    load_balancer: LoadBalancer = LoadBalancer()
    cert_manager: CertManager = CertManager()
    external_dns: ExternalDns = ExternalDns()
    monitoring: Literal["none", "prometheus", "victoria-metrics"] = "none"
    cloud_native_pg: v.Truth = False
    """Whether there is the operator for PostgreSQL, in the stage cluster-apps."""
    registry_mirror: v.Truth = False
    """Whether nodes give each other images that they have (Spegel)."""
    charts: dict[v.ChartName, v.Version] = Field(default_factory=dict)
    """Another version of a chart than slipway's own (`VERSION` or `VERSION@sha256:...`). `slipway init` writes all of
    them into versions.yaml, for Renovate."""
    images: dict[v.ImageName, v.Version] = Field(default_factory=dict)
    """Another tag of an image that slipway's own manifests name."""


class AirgapBundle(Section):
    """An archive of images, put on every worker."""

    url: v.Url
    hash: v.NixHash


class Mirrors(Section):
    """Where charts and images come from, when not from their makers."""

    charts: dict[v.Url, v.Text] = Field(default_factory=dict)
    """Chart repository to its stand-in: an oci:// address, oci+http:// for a registry without TLS, or a folder. CRDs
    that come from Git (https://github.com/kubernetes-sigs/gateway-api) likewise, as artifacts in a registry."""
    images: dict[v.Text, v.Text] = Field(default_factory=dict)
    """Image prefix to its stand-in, for manifests that slipway writes."""
    registries: dict[v.RegistryOrAll, Annotated[tuple[v.Url, ...], Field(min_length=1)]] = Field(default_factory=dict)
    """Registry to the mirrors that containerd asks first, such as docker.io: [https://mirror.example.org]; "*" is every
    registry that is not named. k0s has its images on quay.io; its node-local balancer (k0sproject/envoy-distroless) is
    the first to be pulled."""
    ca: dict[v.Registry, v.Certificates] = Field(default_factory=dict)
    """Mirror or registry, as its host or host:port, to the certificates (PEM) that sign its own."""
    credentials: dict[v.Registry, v.SecretName] = Field(default_factory=dict)
    """Mirror that asks for a password, as its host or host:port, to the name of the Secret with both:
    secrets/registry-NAME.sops.yaml, which `slipway secrets init` asks for. A deploy brings it to the machines."""
    airgap: dict[System, AirgapBundle] = Field(default_factory=dict)
    """Airgap bundle of the k0s release, by platform. One of your own must hold the node-local balancer's image as well
    (quay.io/k0sproject/envoy-distroless): without it no node finds the API. `k0s airgap list-images --all` names it."""
    first_images: dict[System, AirgapBundle] = Field(default_factory=dict)
    """Archive of the images of the pod network and the stage bootstrap, by platform, beside k0s's own: with both, a
    cluster comes up without any registry. docs/stages.md tells how to make it."""


class Layers(BaseModel):
    """What hosts inherit. Alone it may lack what only the hosts can say, such as the device of a disk."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    defaults: Settings = Settings()
    """What every host inherits."""
    groups: dict[v.DnsLabel, Settings] = Field(default_factory=dict)
    """What hosts that name the group inherit."""


class Sections(Section):
    """The sections of the file, except the hosts and what they inherit."""

    api_version: Literal["slipway/v1"]
    """Format of the file; always slipway/v1."""
    include: tuple[str, ...] = ()
    """More files with the same sections, relative to this one; globs allowed."""
    cluster: Cluster
    deploy: Deploy = Deploy()
    verify: Verify = Verify()
    stages: Stages = Stages()
    mirrors: Mirrors = Mirrors()


class Document(Sections):
    """The whole inventory after merging; of what hosts inherit, only the names of the groups are left."""

    defaults: Any = None
    groups: dict[str, Any] = Field(default_factory=dict)

    hosts: Annotated[dict[v.HostName, Host], Field(min_length=1)]


class File(Sections, Layers):
    """One file: the sections of an inventory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: Annotated[dict[v.HostName, HostEntry], Field(min_length=1)]
    """The machines, name to entry. The name is the machine's host name and its node name."""
