#!/bin/sh
# k0s of a machine whose lab has the real one. What a container on this host lacks beside a machine with NixOS is made up
# for here, on the command line and in the machine's own files, so that k0s.yaml stays what slipway wrote.
set -eu
real=/opt/slipway-lab/bin/real/k0s
# A k0s that was built without its programs looks for them here; the unit's own PATH comes first.
PATH=${PATH:+$PATH:}/opt/slipway-lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

# Control groups of version 1, which k0s refuses since 1.35: the host's choice, and no fault of the machine.
former=
[ -e /sys/fs/cgroup/cgroup.controllers ] || former=yes

# sysinfo_of WORDS: a warning for what is taken nevertheless, a refusal for all else, with k0s's exit codes.
sysinfo_of() {
	answer=$("$real" "$@" || :)
	answer=$(echo "$answer" | jq 'map(if .category == "rejected" and .displayName == "Control Groups" then
		.category = "warning" | .message += "; slipway lab starts k0s nevertheless" else . end)')
	echo "$answer"
	echo "$answer" | jq -e 'all(.category != "rejected" and .category != "error")' >/dev/null
}

case "${1:-} $former $*" in
"controller "* | "worker "*) ;;
"sysinfo yes "*json*) sysinfo_of "$@" && exit 0 || exit 1 ;;
*) exec "$real" "$@" ;;
esac

# settle NAME VALUE: kubelet writes these settings of the kernel, and ends if it cannot. The kernel is the host's, and its
# settings are read-only here: kubelet gets a file of the machine's own in their place.
settle() {
	file=/proc/sys/$1
	[ -e "$file" ] && [ "$(cat "$file")" != "$2" ] || return 0
	shown=/run/slipway-lab/sysctl/$(echo "$1" | tr / .)
	echo "$2" >"$shown"
	mount --bind "$shown" "$file"
}
mkdir -p /run/slipway-lab/sysctl
settle kernel/keys/root_maxbytes 25000000
settle kernel/keys/root_maxkeys 1000000
settle kernel/panic 10
settle kernel/panic_on_oops 1
settle vm/overcommit_memory 1
settle vm/panic_on_oom 0

# Without CAP_SYS_RESOURCE runc dies with "can't get final child's PID from pipe". From 1.36 on k0s runs containerd 2.
case $("$real" version) in
v1.2?.* | v1.3[0-5].*) version=2 plugin=io.containerd.grpc.v1.cri ;;
*) version=3 plugin=io.containerd.cri.v1.runtime ;;
esac
mkdir -p /etc/k0s/containerd.d
cat >/etc/k0s/containerd.d/slipway-lab.toml <<-END
	version = $version
	[plugins."$plugin"]
	  restrict_oom_score_adj = true
END

# k0s calls iptables by names in its own folder, which lead to these two: a k0s without programs does not put them there.
mkdir -p /var/lib/k0s/bin
for program in xtables-legacy-multi xtables-nft-multi; do
	[ -e "/var/lib/k0s/bin/$program" ] || ln -sf "/usr/sbin/$program" "/var/lib/k0s/bin/$program"
done

# The lab has no DNS server, and k0s's CoreDNS does not start without one to ask: an address for examples, where nobody is.
echo "nameserver 192.0.2.1" >/run/slipway-lab/resolv.conf

# An image that the lab made cannot be pulled again: kubelet shall never collect it.
kubelet="--feature-gates=KubeletInUserNamespace=true --cgroup-driver=cgroupfs --enforce-node-allocatable=none"
kubelet="$kubelet --resolv-conf=/run/slipway-lab/resolv.conf"
kubelet="$kubelet --eviction-hard=memory.available<50Mi,nodefs.available<1% --image-gc-high-threshold=100"
lenient=
# Of version 1 the machines see each other's groups. systemd removes empty groups of controllers that no unit uses; while
# this unit runs (Delegate=yes) it uses all of them.
if [ -n "$former" ]; then
	node=$(hostname)
	for controller in /sys/fs/cgroup/*/; do
		[ -e "$controller/cgroup.procs" ] && [ ! -e "$controller/cgroup.controllers" ] || continue
		mkdir -p "$controller$node"
		for file in cpuset.cpus cpuset.mems; do
			[ -e "$controller$node/$file" ] && [ -z "$(cat "$controller$node/$file")" ] || continue
			cat "$controller$file" >"$controller$node/$file"
		done
	done
	kubelet="$kubelet --fail-cgroupv1=false --cgroup-root=/$node"
	lenient=--ignore-pre-flight-checks
fi

# The last word on a flag is the user's own.
count=$# given=
while [ "$count" -gt 0 ]; do
	word=$1
	shift
	count=$((count - 1))
	case $word in
	--kubelet-extra-args=*)
		word="--kubelet-extra-args=$kubelet ${word#*=}"
		given=yes
		;;
	esac
	set -- "$@" "$word"
done
[ -n "$given" ] || set -- "$@" "--kubelet-extra-args=$kubelet"
# Its image is not of the lab's.
[ "$1" = worker ] || set -- "$@" --disable-components=metrics-server
exec "$real" "$@" $lenient
