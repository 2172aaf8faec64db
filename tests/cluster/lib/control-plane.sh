# shellcheck shell=bash
# etcd, API server, controller manager, scheduler and CoreDNS as processes of the host.

PKI=$RUN/pki
KUBEADM_CONFIG=$RUN/kubeadm.yaml

kubeadm_config() { # NODE_NAME
  cat <<YAML
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: $HOST_IP, bindPort: 6443}
nodeRegistration: {name: $1}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: $KUBERNETES_VERSION
certificatesDir: $PKI
controlPlaneEndpoint: $HOST_IP:6443
apiServer: {certSANs: [$HOST_IP]}
networking: {podSubnet: $POD_CIDR, serviceSubnet: $SERVICE_CIDR}
YAML
}

init_phase() { kubeadm init phase "$@" >>"$LOGS/kubeadm.log" 2>&1; }

# user_config USER FILE: a kubeconfig for a part that has an identity of its own.
user_config() {
  kubeadm kubeconfig user --config "$KUBEADM_CONFIG" --client-name "$1" >"$2" 2>>"$LOGS/kubeadm.log"
}

make_pki() {
  mkdir -p "$PKI" "$LOGS"
  kubeadm_config cp >"$KUBEADM_CONFIG"
  init_phase certs all --config "$KUBEADM_CONFIG"
  init_phase kubeconfig all --config "$KUBEADM_CONFIG" --kubeconfig-dir "$RUN"
  user_config system:kube-proxy "$RUN/kube-proxy.conf"
  user_config system:coredns "$RUN/coredns.conf"
}

start_etcd() {
  start etcd etcd --data-dir "$RUN/etcd" --unsafe-no-fsync \
    --listen-client-urls "https://$HOST_IP:2379" --advertise-client-urls "https://$HOST_IP:2379" \
    --listen-peer-urls "http://$HOST_IP:2380" --initial-advertise-peer-urls "http://$HOST_IP:2380" \
    --initial-cluster "default=http://$HOST_IP:2380" \
    --cert-file "$PKI/etcd/server.crt" --key-file "$PKI/etcd/server.key" \
    --trusted-ca-file "$PKI/etcd/ca.crt" --client-cert-auth
}

start_apiserver() {
  start apiserver kube-apiserver --advertise-address="$HOST_IP" --bind-address="$HOST_IP" --secure-port=6443 \
    --etcd-servers="https://$HOST_IP:2379" --etcd-cafile="$PKI/etcd/ca.crt" \
    --etcd-certfile="$PKI/apiserver-etcd-client.crt" --etcd-keyfile="$PKI/apiserver-etcd-client.key" \
    --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --kubelet-client-certificate="$PKI/apiserver-kubelet-client.crt" \
    --kubelet-client-key="$PKI/apiserver-kubelet-client.key" --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$PKI/sa.pub" --service-account-signing-key-file="$PKI/sa.key" \
    --service-cluster-ip-range="$SERVICE_CIDR" --authorization-mode=Node,RBAC \
    --enable-admission-plugins=NodeRestriction --allow-privileged=true --enable-bootstrap-token-auth \
    --feature-gates=SizeBasedListCostEstimate=false `# needs a newer etcd than Debian has: it fills the log` \
    --requestheader-client-ca-file="$PKI/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
    --requestheader-username-headers=X-Remote-User \
    --proxy-client-cert-file="$PKI/front-proxy-client.crt" --proxy-client-key-file="$PKI/front-proxy-client.key"
}

# component_flags NAME: those that controller manager and scheduler have in common.
component_flags() {
  local conf=$RUN/$1.conf
  printf '%s\n' "--kubeconfig=$conf" "--authentication-kubeconfig=$conf" "--authorization-kubeconfig=$conf" \
    --leader-elect=false "--bind-address=$HOST_IP"
}

start_controllers() {
  local flags
  mapfile -t flags < <(component_flags controller-manager)
  start controller-manager kube-controller-manager "${flags[@]}" \
    --cluster-cidr="$POD_CIDR" --allocate-node-cidrs=false \
    --kube-api-qps=200 --kube-api-burst=400 `# with the default of 20 it would bind 7 claims a second` \
    --cluster-signing-cert-file="$PKI/ca.crt" --cluster-signing-key-file="$PKI/ca.key" \
    --root-ca-file="$PKI/ca.crt" --service-account-private-key-file="$PKI/sa.key" --use-service-account-credentials
  mapfile -t flags < <(component_flags scheduler)
  start scheduler kube-scheduler "${flags[@]}"
}

apiserver_ready() { kubectl --kubeconfig "$RUN/super-admin.conf" --request-timeout=2s get --raw /readyz; }

# Rights that kubeadm gives when it makes a cluster: `kubectl exec` is Forbidden without them.
grant_admins() {
  kubectl --kubeconfig "$RUN/super-admin.conf" create clusterrolebinding kubeadm:cluster-admins \
    --clusterrole=cluster-admin --group=kubeadm:cluster-admins >/dev/null
}

corefile() {
  cat <<CONF
.:53 {
  bind $DNS_IP
  errors
  ready $DNS_IP:8181
  hosts {
    $SERVERS_IP s3.dlf.test nfs.dlf.test
    $SECOND_S3_IP s3-second.dlf.test
    fallthrough
  }
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig $RUN/coredns.conf
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
    ttl 5
  }
$(! grep -q ^nameserver /etc/resolv.conf || printf '  forward . /etc/resolv.conf\n')
  cache 5
}
CONF
}

# CoreDNS is a process too: its Service has no selector but an EndpointSlice with our address.
start_dns() {
  corefile >"$RUN/Corefile"
  start coredns coredns -conf "$RUN/Corefile"
  sed -e "s/@DNS_IP@/$DNS_IP/" -e "s/@DNS_SERVICE_IP@/$DNS_SERVICE_IP/" "$HERE/manifests/dns.yaml" |
    kubectl apply -f - >/dev/null
}

start_host_proxy() {
  start host-proxy kube-proxy --kubeconfig="$RUN/kube-proxy.conf" --proxy-mode=nftables --cluster-cidr="$POD_CIDR" \
    --hostname-override="${NODES[0]}" --conntrack-max-per-core=0 \
    --healthz-bind-address="$HOST_IP:10256" --metrics-bind-address="$HOST_IP:10249"
}

start_control_plane() {
  make_pki
  say "certificates made"
  start_etcd
  start_apiserver
  wait_for 90 "the API server (see $LOGS/apiserver.log)" apiserver_ready
  say "API server ready"
  grant_admins
  start_controllers
  start_dns
  # The API server reaches Services of webhooks from the host.
  start_host_proxy
}
