"""An OpenTelemetry collector that keeps the last value of each metric.

otlp_receiver.py PORT FILE [DELAY]

Each export must be an ExportMetricsServiceRequest in JSON, as opentelemetry-proto defines it; anything else is answered with
400. FILE has a JSON object: the number of exports, the attributes of the resource, and for each metric its unit, its kind and
its values by their labels. DELAY is how long each answer takes, in seconds.
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

PORT, FILE = int(sys.argv[1]), sys.argv[2]
DELAY = float(sys.argv[3]) if len(sys.argv) > 3 else 0
kept = {"exports": 0, "resource": {}, "metrics": {}}


def attributes(of):
    return {a.key: a.value.string_value for a in of}


def value(point, kind):
    if kind != "exponential_histogram":
        return getattr(point, point.WhichOneof("value"))
    buckets = point.positive.bucket_counts
    assert point.zero_count + sum(buckets) == point.count
    return {"count": point.count, "sum": point.sum, "median": median(point)}


def median(point):
    """The middle of the bucket that the median is in: bucket i is above base**i, up to base**(i + 1)."""
    base = 2 ** (2 ** -point.scale)
    below = point.zero_count
    for i, count in enumerate(point.positive.bucket_counts):
        below += count
        if count and 2 * below >= point.count:
            return base ** (point.positive.offset + i + 0.5)
    return 0


def keep(request):
    kept["exports"] += 1
    for resource in request.resource_metrics:
        kept["resource"] = attributes(resource.resource.attributes)
        for metric in resource.scope_metrics[0].metrics:
            kind = metric.WhichOneof("data")
            data = getattr(metric, kind)
            assert kind != "histogram", metric
            if kind != "gauge":
                assert data.aggregation_temporality == 2, metric
            if kind == "sum":
                assert data.is_monotonic, metric
            values = {}
            for point in data.data_points:
                assert 0 < point.start_time_unix_nano <= point.time_unix_nano, metric
                labels = ",".join(f"{k}={v}" for k, v in sorted(attributes(point.attributes).items()))
                assert labels not in values, metric
                values[labels] = value(point, kind)
            kept["metrics"][metric.name] = {"unit": metric.unit, "kind": kind, "values": values}
    with open(FILE + ".new", "w") as new:
        json.dump(kept, new)
    os.rename(FILE + ".new", FILE)


class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(DELAY)
        status = 200
        try:
            assert self.path == "/v1/metrics" and self.headers["Content-Type"] == "application/json"
            keep(json_format.Parse(body, ExportMetricsServiceRequest()))
        except Exception as e:
            print(f"refused: {e!r}", file=sys.stderr)
            status = 400
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


HTTPServer(("127.0.0.1", PORT), Collector).serve_forever()
