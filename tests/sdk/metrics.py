"""What a monitoring system understands of /metrics, by Prometheus' own parser.

    python metrics.py BASE_URL BEARER

Prints one JSON line for each sample: name, labels, value, and the type of its family.
"""

import json
import sys
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

base, bearer = sys.argv[1:]
asked = urllib.request.Request(f"{base}/metrics", headers={"authorization": f"Bearer {bearer}"})
with urllib.request.urlopen(asked) as answer:
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = answer.read().decode()

names = set()
for family in text_string_to_metric_families(text):
    assert family.name not in names, f"{family.name} twice"
    names.add(family.name)
    assert family.documentation and family.type != "unknown", family
    for sample in family.samples:
        told = {"name": sample.name, "labels": sample.labels, "value": sample.value, "type": family.type}
        print(json.dumps(told))
