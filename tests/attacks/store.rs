//! An S3 server that a tenant runs himself, in a pod, and that answers as he likes.

use dlf_tests::{POD_WITHIN, source};
use serde_json::json;

use crate::tenant::Tenant;

/// How it reads a request: one for each connection. What it answers is added by a test.
const SERVER: &str = r#"
read -r method path _
cr=$(printf '\r')
token=
while read -r line && [ "$line" != "$cr" ]; do
  case $line in [xX]-[aA]mz-[sS]ecurity-[tT]oken:*) token=${line#*: } token=${token%"$cr"} ;; esac
done
echo "$method $path" >> /tmp/asked
refuse() { # STATUS CODE
  body="<Error><Code>$2</Code></Error>"
  printf 'HTTP/1.1 %s\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "$1" ${#body} "$body"
}
redirect() {
  printf 'HTTP/1.1 307 Temporary Redirect\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' "$1"
}
list() { # KEY... or PREFIX/...
  body='<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>false</IsTruncated>'
  for key; do
    case $key in
      */) body="$body<CommonPrefixes><Prefix>$key</Prefix></CommonPrefixes>" ; continue ;;
    esac
    body="$body<Contents><Key>$key</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>\"e\"</ETag><Size>5</Size></Contents>"
  done
  body="$body</ListBucketResult>"
  printf 'HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' ${#body} "$body"
}
"#;

/// The port that DLF dials at no address: whatever comes here should not have been sent.
const TRAP: u16 = 10250;
const PORT: u16 = 8000;

pub(crate) struct Store<'a> {
    tenant: &'a Tenant,
    address: String,
}

impl<'a> Store<'a> {
    /// Starts one that answers by these branches of a shell's `case $path`; `$token` is the request's session
    /// token.
    pub(crate) fn start(tenant: &'a Tenant, branches: &str) -> Self {
        let script = format!("{SERVER}case $path in\n{branches}\nesac\n");
        let trap = "echo something >> /tmp/trapped\n";
        let listen =
            |port: u16, script: &str| format!("busybox nc -ll -p {port} -e sh /store/{script}");
        let run = format!(
            "touch /tmp/asked /tmp/trapped; {} & exec {}",
            listen(TRAP, "trap"),
            listen(PORT, "answer")
        );
        let manifests = [
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "store" },
                "data": { "answer": script, "trap": trap },
            }),
            json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "store" },
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{
                        "name": "store", "image": dlf_tests::settings().get("TEST_IMAGE"),
                        "command": ["sh", "-c", run],
                        "env": [{ "name": "ADDRESS", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } }],
                        "readinessProbe": { "tcpSocket": { "port": PORT }, "periodSeconds": 1 },
                        "volumeMounts": [{ "name": "store", "mountPath": "/store" }],
                    }],
                    "volumes": [{ "name": "store", "configMap": { "name": "store" } }],
                },
            }),
        ];
        for manifest in manifests {
            let _ = tenant.apply(&manifest.to_string()).expect_ok();
        }
        tenant.namespace.wait_ready("store", POD_WITHIN);
        let address = tenant.namespace.get("pod", "store")["status"]["podIP"].clone();
        let address = address.as_str().unwrap().to_owned();
        Self { tenant, address }
    }

    /// A Dataset of one of its buckets, without keys.
    pub(crate) fn dataset(&self, name: &str, bucket: &str) -> String {
        let endpoint = format!("http://{}:{PORT}", self.address);
        source(
            name,
            &format!("type: COS, endpoint: \"{endpoint}\", bucket: {bucket}"),
        )
    }

    fn file(&self, name: &str) -> String {
        let read = self
            .tenant
            .namespace
            .exec("store", &format!("cat /tmp/{name}"));
        read.expect_ok()
    }

    /// What it was asked: `METHOD PATH` lines.
    pub(crate) fn asked(&self) -> String {
        self.file("asked")
    }

    /// Nothing has come to the port that is never dialled, and would have been seen there.
    pub(crate) fn nothing_was_trapped(&self) {
        assert_eq!(self.file("trapped"), "");
        let knock = format!("curl -s --max-time 5 http://{}:{TRAP}/", self.address);
        let _ = self.tenant.namespace.exec("store", &knock);
        assert_eq!(self.file("trapped"), "something\n");
    }
}
