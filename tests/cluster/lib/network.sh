# shellcheck shell=bash
# One bridge on the host, one network namespace per node on it, one pod subnet per node.
# Nothing here has a way to the outside: pods reach pods, Services and the servers on the bridge.

node_number() { printf '%s' "${1#dlf-n}"; }
node_ip() { printf '10.85.255.%s' "$((10 + $(node_number "$1")))"; }
node_pods() { printf '10.85.%s.0/24' "$(node_number "$1")"; }

network_up() {
  local ip
  mkdir -p "$RUN"
  [[ -e $RUN/ip_forward.before ]] || cat /proc/sys/net/ipv4/ip_forward >"$RUN/ip_forward.before"
  printf '1\n' >/proc/sys/net/ipv4/ip_forward
  ip link add "$BRIDGE" type bridge
  for ip in "$HOST_IP" "$SERVERS_IP" "$DNS_IP" "$SECOND_S3_IP"; do
    ip addr add "$ip/24" dev "$BRIDGE"
  done
  ip link set "$BRIDGE" up
  # The host reaches Services from an address of the cluster, and none of them leaks elsewhere.
  ip route replace "$SERVICE_CIDR" dev "$BRIDGE" src "$HOST_IP"
}

node_network_up() {
  local node=$1 ip
  ip=$(node_ip "$node")
  ip netns add "$node"
  ip link add "$node" type veth peer name eth0 netns "$node"
  ip link set "$node" master "$BRIDGE" up
  ip -n "$node" link set lo up
  ip -n "$node" addr add "$ip/24" dev eth0
  ip -n "$node" link set eth0 up
  ip -n "$node" route add default via "$HOST_IP"
  nsenter --net="/run/netns/$node" sysctl -qw net.ipv4.ip_forward=1
  ip route replace "$(node_pods "$node")" via "$ip"
}

# Only names of ours: an interface or namespace called otherwise is somebody else's.
node_network_down() {
  ! ip link show "$1" >/dev/null 2>&1 || ip link del "$1"
  [[ ! -e /run/netns/$1 ]] || ip netns del "$1"
}

network_down() {
  local family
  ! ip link show "$BRIDGE" >/dev/null 2>&1 || ip link del "$BRIDGE" # its routes go with it
  for family in ip ip6; do
    if our_proxy_table "$family"; then nft delete table "$family" kube-proxy; fi
  done
  if [[ -s $RUN/ip_forward.before ]]; then cat "$RUN/ip_forward.before" >/proc/sys/net/ipv4/ip_forward; fi
}

# kube-proxy's table has the same name in every cluster; ours was made by our host-proxy.
our_proxy_table() {
  command -v nft >/dev/null && nft list table "$1" kube-proxy >/dev/null 2>&1 || return 1
  [[ -e $RUN/parts/host-proxy.pid ]] || nft list table ip kube-proxy 2>/dev/null | grep -qF "$HOST_IP"
}
