#!/bin/sh
# store.sh PROGRAMS ROOT ARCHIVE...: have a containerd of its own import these archives into the folder ROOT, as the one of
# a node would, for Kubernetes. To be run where mounts and processes are nobody else's: what it starts ends with it.
set -eu
programs=$1 root=$2
shift 2
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
# No pods here. The other snapshotters only make folders that no node of the lab uses.
cat >"$run/config.toml" <<-END
	version = 3
	disabled_plugins = [
	  "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
	  "io.containerd.podsandbox.controller.v1.podsandbox", "io.containerd.nri.v1.nri",
	  "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.native",
	]
END
"$programs/containerd" --root "$root" --state "$run/state" --address "$run/socket" --config "$run/config.toml" \
	--log-level error >"$run/log" 2>&1 &
daemon=$!
ctr() { "$programs/ctr" --address "$run/socket" --namespace k8s.io "$@" >"$run/said" 2>&1; }
until ctr version; do
	# The caller's time limit ends a containerd that neither answers nor ends.
	kill -0 "$daemon" 2>/dev/null || { cat "$run/log" >&2; exit 1; }
	sleep 0.05
done
for archive in "$@"; do
	echo "${archive##*/}" >&2
	ctr images import "$archive" || { cat "$run/log" "$run/said" >&2; exit 1; }
done
kill "$daemon"
wait "$daemon" || :
