"""A collector that says what it was told, by OpenTelemetry's own protobuf.

    python collector.py [PORT]     stands where Tollgate sends to
    python collector.py rotel      stands behind a real collector, rotel, which Tollgate sends to

Prints the port to send to, then one JSON line for each span and each point of a histogram. Ends
when its standard input does.
"""

import gzip
import importlib.util
import json
import pathlib
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

lock = threading.Lock()


def say(what):
    with lock:
        print(json.dumps(what), flush=True)


def plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(one) for one in value.array_value.values]
    return getattr(value, kind)


def attributes(of):
    assert len({one.key for one in of}) == len(of), "an attribute twice"
    return {one.key: plain(one.value) for one in of}


def spans(message):
    for resource in message.resource_spans:
        service = attributes(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert len(span.trace_id) == 16 and len(span.span_id) == 8
                say({
                    "service": service,
                    "name": span.name,
                    "kind": span.SpanKind.Name(span.kind),
                    "trace": span.trace_id.hex(),
                    "span": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "failed": span.status.code == span.status.STATUS_CODE_ERROR,
                    "attributes": attributes(span.attributes),
                })


def points(message):
    for resource in message.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                assert metric.histogram.aggregation_temporality == 2, "not cumulative"
                seen = set()
                for point in metric.histogram.data_points:
                    told = attributes(point.attributes)
                    assert json.dumps(told) not in seen, "a point twice"
                    seen.add(json.dumps(told))
                    assert sum(point.bucket_counts) == point.count
                    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
                    say({"metric": metric.name, "unit": metric.unit, "count": point.count,
                         "sum": point.sum, "attributes": told})


class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers["content-length"]))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def do_POST(self):
        body = self.body()
        assert self.headers["content-type"] == "application/x-protobuf"
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path == "/v1/traces":
            spans(ExportTraceServiceRequest.FromString(body))
        elif self.path == "/v1/metrics":
            points(ExportMetricsServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rotel(behind):
    agent = pathlib.Path(importlib.util.find_spec("rotel").origin).with_name("rotel-agent")
    ports = free_port(), free_port()
    process = subprocess.Popen([
        agent, "start",
        "--otlp-http-endpoint", f"127.0.0.1:{ports[0]}",
        "--otlp-grpc-endpoint", f"127.0.0.1:{ports[1]}",
        "--exporter", "otlp",
        "--otlp-exporter-endpoint", f"http://127.0.0.1:{behind}",
        "--otlp-exporter-protocol", "http",
    ], stdin=subprocess.DEVNULL, stdout=sys.stderr)
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", ports[0])) == 0:
                return process, ports[0]
    sys.exit("rotel did not start")


asked = sys.argv[1] if len(sys.argv) > 1 else "0"
server = ThreadingHTTPServer(("127.0.0.1", int(asked) if asked.isdigit() else 0), Collector)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_address[1]
agent = None
if asked == "rotel":
    agent, port = rotel(port)
print(port, flush=True)
try:
    sys.stdin.read()
finally:
    if agent:
        agent.kill()
