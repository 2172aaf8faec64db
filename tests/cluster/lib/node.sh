# shellcheck shell=bash
# One node: containerd, kubelet and kube-proxy in a network and a mount namespace, all state below
# RUN/NODE. In its own mounts a node looks like any machine: `/` is shared, as systemd makes it, and
# the kubelet's directory is /var/lib/kubelet. SCRATCH is the node's own too.

ctr_of() { # NODE COMMAND...
  local node=$1
  shift
  ctr --address "$RUN/$node/containerd/c.sock" --namespace k8s.io "$@"
}

mounts_of() { printf '%s' "$RUN/$1/namespace/mounts"; }

# on_node NODE COMMAND...: sees the network and the mounts that the node's programs see. (nsenter and
# not `ip netns exec`: that makes a new mount namespace with another /sys.)
on_node() {
  local node=$1
  shift
  nsenter "--net=/run/netns/$node" "--mount=$(mounts_of "$node")" "$@"
}

in_node() { # NODE PART COMMAND...
  local node=$1 part=$2
  shift 2
  start "$node-$part" nsenter "--net=/run/netns/$node" "--mount=$(mounts_of "$node")" "$@"
}

make_mount_namespace() { # NODE
  local node=$1 file dir
  file=$(mounts_of "$node")
  dir=$(dirname "$file")
  mkdir -p "$dir" "$RUN/$node"/{kubelet,scratch} /var/lib/kubelet "$SCRATCH"
  mountpoint -q "$dir" || mount --bind --make-private "$dir" "$dir" # a namespace can be kept on no other
  : >"$file"
  unshare --mount="$file" --propagation private mount --make-rshared /
  on_node "$node" mount --bind "$RUN/$node/kubelet" /var/lib/kubelet
  on_node "$node" mount --bind "$RUN/$node/scratch" "$SCRATCH"
}

containerd_config() { # NODE
  local dir=$RUN/$1
  cat <<TOML
version = 2
root = "$dir/containerd/root"
state = "$dir/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]
[grpc]
address = "$dir/containerd/c.sock"
[ttrpc]
address = "$dir/containerd/t.sock"
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true # runc dies where oom_score_adj may not be lowered
sandbox_image = "$PAUSE_IMAGE"
stream_server_address = "$(node_ip "$1")"
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$dir/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "$dir/containerd/runc"
TOML
}

cni_config() { # NODE
  cat <<JSON
{"cniVersion": "1.0.0", "name": "dlf", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$(node_pods "$1")"}]],
            "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "$RUN/$1/cni-state"}}]}
JSON
}

kubelet_config() { # NODE
  local dir=$RUN/$1
  cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
cgroupRoot: /$1
failCgroupV1: false
failSwapOn: false
maxPods: 110
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
clusterDNS: [$DNS_SERVICE_IP]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix://$dir/containerd/c.sock
staticPodPath: $dir/manifests
volumePluginDir: $dir/volume-plugins
podLogsDir: $dir/pod-logs
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
enforceNodeAllocatable: []
registryPullQPS: 0
syncFrequency: 5s # a mounted ConfigMap follows within it; a minute by default, which tests would spend waiting
resolvConf: /etc/resolv.conf
YAML
}

prepare_node() {
  local node=$1 dir=$RUN/$1
  mkdir -p "$dir"/{kubelet,containerd/root,containerd/state,cni,manifests,image-hashes}
  make_mount_namespace "$node"
  make_cgroup "$node"
  containerd_config "$node" >"$dir/containerd.toml"
  cni_config "$node" >"$dir/cni/10-dlf.conflist"
  kubelet_config "$node" >"$dir/kubelet.yaml"
}

# boot_node NODE: all that needs no API server.
boot_node() {
  local node=$1
  node_network_up "$node"
  prepare_node "$node"
  in_node "$node" containerd containerd -c "$RUN/$node/containerd.toml"
  wait_for 60 "containerd of $node (see $LOGS/$node-containerd.log)" ctr_of "$node" version
  load_images "$node"
}

# join_node NODE: its kubelet registers it.
join_node() {
  local node=$1 dir=$RUN/$1 ip
  ip=$(node_ip "$node")
  if [[ ! -e $dir/kubelet.conf ]]; then
    kubeadm_config "$node" >"$dir/kubeadm.yaml"
    init_phase kubeconfig kubelet --config "$dir/kubeadm.yaml" --kubeconfig-dir "$dir"
  fi
  in_node "$node" proxy kube-proxy --kubeconfig="$RUN/kube-proxy.conf" --proxy-mode=nftables \
    --cluster-cidr="$POD_CIDR" --hostname-override="$node" --conntrack-max-per-core=0
  in_node "$node" kubelet kubelet --config="$dir/kubelet.yaml" --kubeconfig="$dir/kubelet.conf" \
    --hostname-override="$node" --node-ip="$ip" --cert-dir="$dir/kubelet-pki"
}

node_ready() {
  [[ $(kubectl --request-timeout=2s get node "$1" \
    -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') == True ]]
}
