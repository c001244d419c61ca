# The lab's stand-in for the Cilium agent: a CNI configuration for this node, routes to the other nodes' pods, and kube-proxy.
# NODE_NAME, KUBECONFIG, FAMILY (4 or 6) and MASQUERADE come from the DaemonSet; /host/etc/cni/net.d is the node's.
set -eu

# The table is ours alone; kube-proxy has its own.
case $FAMILY in
4) ip=ip addresses=ipv4_addr everywhere=0.0.0.0/0 multicast=224.0.0.0/4 bind=0.0.0.0 ;;
6) ip=ip6 addresses=ipv6_addr everywhere=::/0 multicast=ff00::/8 bind=:: ;;
esac
table="$ip slipway_pods"

say() { echo "cilium (stand-in): $*"; }

# kube-controller-manager gives each node its network some seconds after it has registered.
pod_network() {
  kubectl get node "$NODE_NAME" --output 'jsonpath={.spec.podCIDR}'
}

wait_for_pod_network() {
  while network=$(pod_network); [ -z "$network" ]; do
    say "$NODE_NAME has no pod network yet"
    sleep 1
  done
  say "$NODE_NAME has the pod network $network"
}

# The network can have been another node's before; this node's own must not be sent there.
forget_former_owner() {
  ip "-$FAMILY" route show "$network" | grep ' via ' | while read -r route; do
    say "$network is no longer $route"
    # shellcheck disable=SC2086 # a route is several words
    ip "-$FAMILY" route del $route
  done
}

# No address translation by the plugin: it would hide the sender of pod traffic between nodes as well. The bridge has
# the name of Cilium's own link, which firewalls trust and networkd leaves alone.
write_cni_configuration() {
  cat > /host/etc/cni/net.d/.05-cilium.new << CONFIGURATION
{
  "cniVersion": "1.0.0",
  "name": "cilium",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cilium_host",
      "isGateway": true,
      "hairpinMode": true,
      "ipMasq": false,
      "ipam": {
        "type": "host-local",
        "ranges": [[{"subnet": "$network"}]],
        "routes": [{"dst": "$everywhere"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
CONFIGURATION
  mv /host/etc/cni/net.d/.05-cilium.new /host/etc/cni/net.d/05-cilium.conflist
}

# Whoever is outside the cluster has no route to pods: what leaves the pod networks gets the node's address.
masquerade() {
  nft "add table $table; delete table $table; add table $table
    add set $table networks { type $addresses; flags interval; }
    add element $table networks { $network }"
  [ "$MASQUERADE" = true ] || return 0
  nft "add chain $table postrouting { type nat hook postrouting priority srcnat + 10; }
    add rule $table postrouting $ip saddr $network $ip daddr != @networks $ip daddr != $multicast masquerade"
}

# node NAME POD_NETWORK ADDRESS: what is known of one node of the cluster
node() {
  [ "$1" != "$NODE_NAME" ] && [ -n "$2" ] && [ -n "$3" ] || return 0
  [ "$(ip "-$FAMILY" route show "$2")" ] && ip "-$FAMILY" route show "$2" | grep -q "via $3 " && return 0
  say "pods of $1: $2 through $3"
  ip "-$FAMILY" route replace "$2" via "$3"
  nft "add element $table networks { $2 }"
}

follow_nodes() {
  while :; do
    kubectl get nodes --watch --output \
      'jsonpath={.metadata.name} {.spec.podCIDR} {.status.addresses[?(@.type=="InternalIP")].address}{"\n"}' |
      while read -r name cidr address; do node "$name" "$cidr" "$address" || say "no route to the pods of $name"; done
    sleep 1
  done
}

wait_for_pod_network
forget_former_owner
masquerade
write_cni_configuration
follow_nodes &
# The three settings of conntrack are the machine's: a container must not write them.
exec kube-proxy --kubeconfig="$KUBECONFIG" --hostname-override="$NODE_NAME" --proxy-mode=nftables \
  --detect-local-mode=NodeCIDR --bind-address=$bind --metrics-bind-address=127.0.0.1:10249 \
  --healthz-bind-address=127.0.0.1:10256 \
  --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0s --conntrack-tcp-timeout-close-wait=0s
