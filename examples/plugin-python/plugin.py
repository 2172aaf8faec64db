#!/usr/bin/env python3
"""A caching plugin in Python, with nothing but its standard library: Varnish in front of the bucket.

The host starts this program with a Unix socket in DLF_PLUGIN_SOCKET. A frame is the payload's length
(4 bytes), the number of the call (8 bytes), both big-endian, and the payload as JSON; an answer has the
number of its call. docs/plugin-protocol.md describes the messages.
"""

import hashlib
import json
import os
import socket
import struct
from urllib.parse import urlsplit

HEADER = struct.Struct(">IQ")
PROTOCOL = 2
PORT = 8080


def describe():
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment"}
    emitted = [deployment, {"apiVersion": "v1", "kind": "Service"}, {"apiVersion": "v1", "kind": "ConfigMap"}]
    return {
        "name": "varnish",
        "version": "0.1.0",
        "protocol": {"min": PROTOCOL, "max": PROTOCOL},
        "kind": "caching",
        "sourceTypes": ["COS"],
        "emits": emitted,
        "observes": [deployment],
        "configSchema": {
            "type": "object", "properties": {"image": {"type": "string"}}, "additionalProperties": False,
        },
    }


def plan(request):
    place, replicas = request["place"], request["decision"]["replicas"]
    ready = ready_replicas(request)
    result = {"objects": objects(request)}
    if ready == 0:
        result["condition"] = {"ready": False, "reason": "Deploying", "message": "no replica is ready yet"}
    else:
        result["condition"] = {"ready": True, "reason": "Ready", "message": f"{ready} of {replicas} replicas serve"}
        result["origins"] = [{"endpoint": f"http://{place['name']}.{place['namespace']}.svc:{PORT}"}]
    return result


def ready_replicas(request):
    for seen in request["observed"]["objects"]:
        if seen["kind"] == "Deployment" and seen["metadata"]["name"] == request["place"]["name"]:
            return seen.get("status", {}).get("readyReplicas", 0)
    return 0


def objects(request):
    place, decision = request["place"], request["decision"]
    metadata = {"name": place["name"], "namespace": place["namespace"], "labels": place["labels"]}
    config = request.get("config") or {}
    program = vcl(request)
    files = {"example.com/files": hashlib.sha256(program.encode()).hexdigest()[:16]}  # pods go with what they read
    each = decision["capacityBytes"] // max(decision["replicas"], 1)
    kept = each // 16 * 15  # the volume's limit counts its directory too, and a pod over it is evicted
    container = {
        "name": "varnish",
        "image": config.get("image", "docker.io/library/varnish:7.7"),
        "command": ["varnishd", "-F", "-n", "/tmp/varnish", "-a", f":{PORT}", "-f", "/etc/cache/default.vcl",
                    "-s", f"file,/cache/objects,{kept}"],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}},
        "volumeMounts": [
            {"name": "cache", "mountPath": "/cache"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "files", "mountPath": "/etc/cache", "readOnly": True},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "cache", "emptyDir": {"sizeLimit": str(each)}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
            {"name": "files", "configMap": {"name": place["name"]}},
        ],
    }
    return [
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {
                "replicas": decision["replicas"],
                "selector": {"matchLabels": place["labels"]},
                "template": {"metadata": {"labels": place["labels"], "annotations": files}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": place["labels"], "ports": [{"name": "http", "port": PORT, "targetPort": PORT}]},
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"default.vcl": program}},
    ]


def vcl(request):
    """Whole objects and parts of them are kept; signatures name the host that the client spoke to."""
    source = urlsplit(request["source"]["endpoint"])
    seconds = request["decision"]["revalidateMs"]
    seconds = 365 * 86400 if seconds is None else max(seconds // 1000, 1)
    return f"""vcl 4.1;
backend source {{ .host = "{source.hostname}"; .port = "{source.port or 80}"; }}
sub vcl_recv {{
  if (req.method != "GET") {{ return (pass); }}
  if (req.http.Range) {{ set req.http.X-Range = req.http.Range; }}
  if (req.http.If-Match) {{ set req.http.X-If-Match = req.http.If-Match; }}
  unset req.http.Cookie;
  return (hash);
}}
sub vcl_hash {{ hash_data(req.url); hash_data(req.http.X-Range); hash_data(req.http.X-If-Match); return (lookup); }}
sub vcl_backend_fetch {{
  if (bereq.http.X-Range) {{ set bereq.http.Range = bereq.http.X-Range; }}
  if (bereq.http.X-If-Match) {{ set bereq.http.If-Match = bereq.http.X-If-Match; }}
}}
sub vcl_backend_response {{
  if (beresp.status == 200 || beresp.status == 206) {{ set beresp.ttl = {seconds}s; }} else {{ set beresp.uncacheable = true; }}
}}
"""


def answer(message):
    if message.get("protocol") != PROTOCOL:
        return failed("PluginProtocol", f"found protocol {message.get('protocol')}; this plugin speaks {PROTOCOL}")
    if message.get("call") == "describe":
        return {"ok": describe()}
    if message.get("call") == "planCaching":
        request = message["request"]
        if request["intent"] == "delete":
            return {"ok": {}}
        if urlsplit(request["source"]["endpoint"]).scheme != "http":
            return failed("SourceNotSupported", "Varnish speaks http to its source; this one is https")
        return {"ok": plan(request)}
    return failed("PluginProtocol", f"found call {message.get('call')!r}; expected describe or planCaching")


def failed(reason, text):
    return {"error": {"reason": reason, "message": text}}


def exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def main():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["DLF_PLUGIN_SOCKET"])
        while True:
            try:
                length, call = HEADER.unpack(exactly(connection, HEADER.size))
                message = json.loads(exactly(connection, length))
            except EOFError:
                return
            try:
                reply = answer(message)
            except Exception as error:  # one request that cannot be planned must not end the others
                reply = failed("PluginFailed", repr(error))
            payload = json.dumps(reply).encode()
            connection.sendall(HEADER.pack(len(payload), call) + payload)


if __name__ == "__main__":
    main()
