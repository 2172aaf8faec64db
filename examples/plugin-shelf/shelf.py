#!/usr/bin/env python3
"""A cache of one's own, and the plugin that plans it, with nothing but Python's standard library.

`shelf.py` answers DLF (docs/plugin-protocol.md): it plans a StatefulSet whose pods run `shelf.py serve`. Each of
these is a shard: it keeps its units of objects as files below /cache, and reads the source with the source's keys,
which the configuration has to grant (`grants: [source-keys]`).
"""

import collections
import contextlib
import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import socket
import ssl
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HEADER = struct.Struct(">IQ")
PROTOCOL = 2
PORT = 8080
UNIT = 4 << 20

# The plugin: what should exist.


def describe():
    observed = {"apiVersion": "apps/v1", "kind": "StatefulSet"}
    emitted = [observed, {"apiVersion": "v1", "kind": "Service"}, {"apiVersion": "v1", "kind": "ConfigMap"}]
    return {
        "name": "shelf",
        "version": "0.1.0",
        "protocol": {"min": PROTOCOL, "max": PROTOCOL},
        "kind": "caching",
        "sourceTypes": ["COS"],
        "emits": emitted,
        "observes": [observed],
        "needs": {"sourceKeys": True},
        "configSchema": {
            "type": "object", "properties": {"image": {"type": "string"}}, "additionalProperties": False,
        },
    }


def plan(request):
    place, decision, observed = request["place"], request["decision"], request["observed"]
    result = {"objects": objects(request)}
    ready = sum(seen.get("status", {}).get("readyReplicas", 0) for seen in observed["objects"])
    if ready == 0:
        result["condition"] = {"ready": False, "reason": "Deploying", "message": "no replica is ready yet"}
        return result
    suffix = f"{place['namespace']}.svc:{PORT}"
    # All of them, also those that are not ready: what a shard keeps stays its own while it starts anew.
    shards = [f"http://{place['name']}-{number}.{place['name']}.{suffix}" for number in range(decision["replicas"])]
    result["origins"] = [{
        "endpoint": f"http://{place['name']}-any.{suffix}", "shards": shards, "shardBytes": UNIT, "keys": "none",
    }]
    result["statusEndpoints"] = [f"{shard}/-/status" for shard in shards]
    if decision.get("warm") is not None:
        result["tasks"] = [{"warm": decision["warm"]}]
    stats = [answer["stats"] for answer in observed.get("status", []) if answer.get("stats")]
    result["placements"] = sorted({one["node"] for one in stats if one.get("node") and one["usedBytes"] > 0})
    result["condition"] = {
        "ready": True, "reason": "Ready", "message": f"{ready} of {decision['replicas']} replicas serve",
    }
    return result


def objects(request):
    place, decision, source = request["place"], request["decision"], request["source"]
    config = request.get("config") or {}
    with open(os.path.abspath(__file__), encoding="utf-8") as file:
        program = file.read()
    metadata = {"name": place["name"], "namespace": place["namespace"], "labels": place["labels"]}
    each = decision["capacityBytes"] // max(decision["replicas"], 1)
    container = {
        "name": "shelf",
        "image": config.get("image", "docker.io/library/python:3.13-slim"),
        "command": ["python3", "/etc/cache/shelf.py", "serve"],
        "env": [
            {"name": "SOURCE", "value": source["endpoint"]},
            {"name": "REGION", "value": source["region"] or "us-east-1"},
            {"name": "CAPACITY", "value": str(each)},
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": PORT}},
        "volumeMounts": [
            {"name": "cache", "mountPath": "/cache"},
            {"name": "files", "mountPath": "/etc/cache", "readOnly": True},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    volumes = [
        {"name": "cache", "emptyDir": {"sizeLimit": str(each + each // 8)}},
        {"name": "files", "configMap": {"name": place["name"]}},
    ]
    if place.get("keySecret"):
        volumes.append({"name": "source", "secret": {"secretName": place["keySecret"]}})
        container["volumeMounts"].append({"name": "source", "mountPath": "/etc/source", "readOnly": True})
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }
    files = {"example.com/files": hashlib.sha256(program.encode()).hexdigest()[:16]}  # pods go with what they run
    port = {"name": "http", "port": PORT, "targetPort": PORT}
    return [
        {
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata,
            "spec": {
                "replicas": decision["replicas"],
                "serviceName": place["name"],
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": place["labels"]},
                "template": {"metadata": {"labels": place["labels"], "annotations": files}, "spec": pod},
            },
        },
        {  # gives each pod a name, before it is ready: a mount that found none would remember that
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": place["labels"], "ports": [port]},
        },
        {  # any replica, for pods that have the dataset in their environment
            "apiVersion": "v1", "kind": "Service", "metadata": {**metadata, "name": f"{place['name']}-any"},
            "spec": {"selector": place["labels"], "ports": [port]},
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"shelf.py": program}},
    ]


def answer(message):
    if message.get("protocol") != PROTOCOL:
        return failed("PluginProtocol", f"found protocol {message.get('protocol')}; this plugin speaks {PROTOCOL}")
    if message.get("call") == "describe":
        return {"ok": describe()}
    if message.get("call") == "planCaching":
        request = message["request"]
        return {"ok": {} if request["intent"] == "delete" else plan(request)}
    return failed("PluginProtocol", f"found call {message.get('call')!r}; expected describe or planCaching")


def failed(reason, text):
    return {"error": {"reason": reason, "message": text}}


def answer_all():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["DLF_PLUGIN_SOCKET"])
        incoming = connection.makefile("rb")
        while len(header := incoming.read(HEADER.size)) == HEADER.size:
            length, call = HEADER.unpack(header)
            message = json.loads(incoming.read(length))
            try:
                reply = answer(message)
            except Exception as error:  # one request that cannot be planned must not end the others
                reply = failed("PluginFailed", repr(error))
            payload = json.dumps(reply).encode()
            connection.sendall(HEADER.pack(len(payload), call) + payload)


# The cache: what a pod does.

EMPTY = hashlib.sha256(b"").hexdigest()


class Refused(Exception):
    """The source's answer to a read that has no bytes."""

    def __init__(self, status, body=b""):
        super().__init__(status)
        self.status, self.body = status, body


class Source:
    def __init__(self, endpoint, region, secrets="/etc/source"):
        self.url, self.region, self.secrets = urlsplit(endpoint), region, secrets

    def connect(self):
        if self.url.scheme == "http":
            return http.client.HTTPConnection(self.url.netloc, timeout=30)
        authority = self.secret("ca.crt")
        context = ssl.create_default_context(cadata=authority or None)
        return http.client.HTTPSConnection(self.url.netloc, timeout=30, context=context)

    def secret(self, name):
        """As it is now: keys change under a running pod."""
        with contextlib.suppress(FileNotFoundError), open(f"{self.secrets}/{name}", encoding="utf-8") as file:
            return file.read().strip()
        return ""

    def signed(self, path, now=None):
        """Headers of a GET without query or body, by Signature Version 4 (AWS, "Signature Version 4 signing process")."""
        identity = self.secret("accessKeyID")
        if not identity:
            return {}
        stamp = (now or datetime.datetime.now(datetime.timezone.utc)).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": self.url.netloc, "x-amz-content-sha256": EMPTY, "x-amz-date": stamp}
        token = self.secret("sessionToken")
        if token:
            headers["x-amz-security-token"] = token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        canonical = "\n".join(["GET", path, "", lines, names, EMPTY])
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{self.secret('secretAccessKey')}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        credential = f"Credential={identity}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {**headers, "authorization": f"AWS4-HMAC-SHA256 {credential}"}

    def fetch(self, path, etag, first, last):
        """Bytes of one version, and how many it has in all."""
        with contextlib.closing(self.connect()) as connection:
            headers = {**self.signed(path), "range": f"bytes={first}-{last}", "if-match": etag}
            connection.request("GET", path, headers=headers)
            reply = connection.getresponse()
            body = reply.read()
        if reply.status == 206:
            return body, int(reply.getheader("content-range").rpartition("/")[2])
        if reply.status == 200:
            return body[first:last + 1], len(body)
        raise Refused(reply.status, body)


class Shelf:
    """Units as files, the one that was read longest ago first to go."""

    def __init__(self, source, directory, capacity):
        self.source, self.directory, self.capacity = source, directory, capacity
        self.lock, self.fetching = threading.Lock(), {}
        self.units, self.used, self.hits, self.misses = collections.OrderedDict(), 0, 0, 0
        # What a container before this one kept is still there; a file that was not whole is not.
        for name in os.listdir(directory):
            if name.endswith(".part"):
                os.unlink(f"{directory}/{name}")
            else:
                self.keep(name, os.path.getsize(f"{directory}/{name}"))

    def keep(self, name, size):
        self.units[name] = size
        self.used += size
        while self.used > self.capacity and len(self.units) > 1:
            oldest, freed = self.units.popitem(last=False)
            self.used -= freed
            os.unlink(f"{self.directory}/{oldest}")

    def unit(self, path, etag, number):
        """One unit of one version and the length of the whole object; each is fetched once at a time."""
        name = hashlib.sha256("\0".join([path, etag, str(number)]).encode()).hexdigest()
        with self.lock:
            turn = self.fetching.setdefault(name, threading.Lock())
        with turn:
            found = self.kept(name)
            if found is None:
                body, size = self.source.fetch(path, etag, number * UNIT, (number + 1) * UNIT - 1)
                with contextlib.suppress(OSError):  # a full disk fails no read
                    self.put(name, struct.pack(">Q", size) + body)
            with self.lock:
                self.fetching.pop(name, None)
        return (*found, True) if found else (body, size, False)

    def kept(self, name):
        with self.lock:
            if name not in self.units:
                return None
            self.units.move_to_end(name)
            with open(f"{self.directory}/{name}", "rb") as file:
                size = struct.unpack(">Q", file.read(8))[0]
                return file.read(), size

    def put(self, name, content):
        part = f"{self.directory}/{name}.part"
        with open(part, "wb") as file:
            file.write(content)
        with self.lock:
            os.rename(part, f"{self.directory}/{name}")
            self.keep(name, len(content))

    def count(self, sent, hit):
        with self.lock:
            if hit:
                self.hits += sent
            else:
                self.misses += sent

    def stats(self):
        with self.lock:
            return {
                "version": 1, "usedBytes": self.used, "hitBytes": self.hits, "missBytes": self.misses,
                "node": os.environ.get("NODE_NAME", ""),
            }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shelf: Shelf

    def do_GET(self):
        if self.path == "/-/ready":
            return self.reply(200)
        if self.path == "/-/status":
            return self.reply(200, json.dumps(self.shelf.stats()).encode())
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        etag = self.headers.get("if-match", "")
        if wanted and re.fullmatch(r'"[^"]+"', etag) and "?" not in self.path:
            return self.part(int(wanted[1]), int(wanted[2]), etag)
        return self.pass_on()

    def part(self, first, last, etag):
        """Bytes of a version that the client names, which is what a mount asks a cache for."""
        pieces, at, size = [], first, None
        try:
            while at <= last and (size is None or at < size):
                body, size, hit = self.shelf.unit(self.path, etag, at // UNIT)
                piece = body[at % UNIT:min(last + 1 - at // UNIT * UNIT, UNIT)]
                if not piece:
                    break
                self.shelf.count(len(piece), hit)
                pieces.append(piece)
                at += len(piece)
        except Refused as refused:
            return self.reply(refused.status, refused.body)
        if not pieces:
            return self.reply(416)
        return self.reply(206, b"".join(pieces), {"etag": etag, "content-range": f"bytes {first}-{at - 1}/{size}"})

    def pass_on(self):
        """Whatever else a client asks is the source's, with the client's signature: it names this host."""
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        with contextlib.closing(self.shelf.source.connect()) as connection:
            connection.request(self.command, self.path, body=body, headers=headers)
            reply = connection.getresponse()
            content = reply.read()
        hop = {"connection", "transfer-encoding", "content-length", "date", "server"}
        kept = {name: value for name, value in reply.getheaders() if name.lower() not in hop}
        if self.command == "HEAD":
            kept["content-length"] = reply.getheader("content-length", "0")
        return self.reply(reply.status, content, kept)

    do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    def reply(self, status, body=b"", headers=None):
        headers = {"content-length": str(len(body)), **(headers or {})}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """A line for each read would be the only thing in the log."""


def serve():
    source = Source(os.environ["SOURCE"], os.environ["REGION"])
    Handler.shelf = Shelf(source, os.environ.get("DIRECTORY", "/cache"), int(os.environ["CAPACITY"]))
    ThreadingHTTPServer(("", int(os.environ.get("PORT", PORT))), Handler).serve_forever()


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else answer_all()
