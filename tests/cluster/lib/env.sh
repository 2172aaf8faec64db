# shellcheck shell=bash
# target/cluster/cluster.env: how any other tool finds the running cluster. One NAME=VALUE a line,
# for a shell (`set -a; . cluster.env`), make's `include` and simple parsers alike.

env_lines() {
  printf '%s=%q\n' \
    KUBECONFIG "$KUBECONFIG" \
    KUBECTL "$(command -v kubectl)" \
    HELM "$(tool_dir helm)/helm" \
    CSI_SANITY "$(tool_dir csi-sanity)/csi-sanity" \
    CLUSTER_RUN "$RUN" \
    CLUSTER_LOGS "$LOGS" \
    CLUSTER_NODES "$(IFS=,; printf '%s' "${NODES[*]}")" \
    TEST_IMAGE "$TEST_IMAGE" \
    S3_ENDPOINT "$(s3_url main)" \
    S3_KEY "$S3_KEY" \
    S3_SECRET "$S3_SECRET" \
    S3_READER_KEY "$S3_READER_KEY" \
    S3_READER_SECRET "$S3_READER_SECRET" \
    S3_PUBLIC_BUCKET "$S3_PUBLIC_BUCKET" \
    S3_TLS_ENDPOINT "$(s3_tls_url main)" \
    S3_CA_FILE "$S3_DIR/tls/ca.crt" \
    S3_HOST s3.dlf.test \
    S3_SECOND_ENDPOINT "$(s3_url second)" \
    S3_SECOND_TLS_ENDPOINT "$(s3_tls_url second)" \
    NFS_SERVER "$SERVERS_IP" \
    NFS_SHARE "$NFS_EXPORT" \
    NFS_EXPORT_DIR "$NFS_DIR/export" |
    sed "s/\\\\,/,/g" # %q protects commas, which simple parsers would see
}

write_env() {
  local dir=$REPO/target/cluster
  mkdir -p "$dir"
  env_lines >"$dir/cluster.env.new"
  mv "$dir/cluster.env.new" "$dir/cluster.env"
}
