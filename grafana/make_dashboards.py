#!/usr/bin/env python3
"""Writes the dashboards: `grafana/make_dashboards.py`, or with --check says whether they are as it would write them.

A panel is a line here and forty in Grafana's JSON; nobody reviews the latter. Expressions name both
generations of Knative's metrics (`new or old`; it renamed them in 1.19). Function variables hold a
name without its namespace: OpenFaaS's own label is `NAME.NAMESPACE`.
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

# Selections. Knative's queue-proxy carries the labels that the PodMonitor copied from the pod.
QP = 'serving_knative_dev_service=~"$function"'
KN = 'kn_service_name=~"$function"'
KN_OLD = 'service_name=~"$function"'
OF = 'function_name=~"($function)[.].*"'
POD = 'pod=~"($function)-.*"'
BUCKETS = (
    "Each platform's own histogram: their buckets differ and the lowest ends at 5 ms, so quantiles are interpolated "
    "and must not be compared across platforms. Response times that can be compared are in the harness's report."
)


def either(new, old):
    return f"{new} or {old}"


def target(expr, legend):
    return {"datasource": SOURCE, "expr": expr, "legendFormat": legend, "editorMode": "code", "range": True}


def panel(title, unit, *series, note="", kind="timeseries", stack=False, width=12, height=8):
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["mean", "max"], "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    custom = {"lineWidth": 2, "fillOpacity": 8, "showPoints": "never", "spanNulls": False,
              "stacking": {"mode": "normal" if stack else "none", "group": "A"}}
    if kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value",
                   "graphMode": "area", "textMode": "auto"}
        custom = {}
    return {
        "type": kind, "title": title, "description": note, "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": custom}, "overrides": []},
        "options": options, "targets": [target(expr, legend) for expr, legend in series],
        "size": (width, height),
    }


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "size": (24, 1)}


def variable(name, label, query, **more):
    return {
        "name": name, "label": label, "type": "query", "datasource": SOURCE, "query": {"query": query, "refId": name},
        "refresh": 2, "includeAll": True, "multi": True, "allValue": ".*", "sort": 1,
        "current": {"text": "All", "value": "$__all"}, **more,
    }


def dashboard(uid, title, description, panels, variables=()):
    placed, x, y, line = [], 0, 0, 0
    for number, item in enumerate(panels, 1):
        width, height = item.pop("size")
        if x + width > 24:
            x, y, line = 0, y + line, 0
        for letter, one in zip("ABCDEFGHIJ", item.get("targets", [])):
            one["refId"] = letter
        placed.append({"id": number, "gridPos": {"x": x, "y": y, "w": width, "h": height}, **item})
        x, line = x + width, max(line, height)
    annotations = [{
        "name": "Cells of the harness", "enable": True, "iconColor": "rgba(80, 120, 200, 0.5)",
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        # Of the runs whose name is in `run`; an empty tag asks for nothing.
        "target": {"type": "tags", "tags": ["serverless-testbed", "$run"], "matchAny": False, "limit": 500},
    }]
    data = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1}
    run = {"name": "run", "label": "Run (empty: all)", "type": "textbox", "query": "", "current": {"text": "", "value": ""}}
    return {
        "uid": uid, "title": title, "description": description, "tags": ["serverless-testbed"], "timezone": "utc",
        "schemaVersion": 39, "editable": True, "graphTooltip": 1, "refresh": "10s", "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": [data, *variables, run]}, "annotations": {"list": annotations}, "links": [], "panels": placed,
    }


FUNCTION = variable(
    "function", "Function",
    'query_result(group by (function) (label_replace(kn_revision_pods_count, "function", "$1", "kn_service_name", "(.+)")'
    ' or label_replace(autoscaler_actual_pods, "function", "$1", "service_name", "(.+)")'
    ' or label_replace(gateway_service_count, "function", "$1", "function_name", "([^.]+).*")))',
    regex='/function="([^"]+)"/')
NAMESPACE = variable("namespace", "Namespace of the pods", "label_values(container_cpu_usage_seconds_total, namespace)")

# What a queue-proxy answered, by either generation of names.
KN_REQUESTS = "kn_serving_invocation_duration_seconds_count"
KN_CODE = "http_response_status_code"


def comparison():
    kn_rate = either(
        f"sum(rate({KN_REQUESTS}{{{QP}}}[$__rate_interval]))",
        f"sum(rate(revision_app_request_count{{{KN_OLD}}}[$__rate_interval]))")
    of_rate = f"sum(rate(gateway_function_invocation_total{{{OF}}}[$__rate_interval]))"
    kn_offered = either(
        f"sum(rate(http_server_request_duration_seconds_count{{{QP}}}[$__rate_interval]))",
        f"sum(rate(revision_request_count{{{KN_OLD}}}[$__rate_interval]))")
    of_offered = f"sum(rate(gateway_function_invocation_started{{{OF}}}[$__rate_interval]))"

    def kn_quantile(q):
        return either(
            f"histogram_quantile({q}, sum by (le) (rate(kn_serving_invocation_duration_seconds_bucket{{{QP}}}[$__rate_interval])))",
            f"histogram_quantile({q}, sum by (le) (rate(revision_app_request_latencies_bucket{{{KN_OLD}}}[$__rate_interval]))) / 1000")

    def of_quantile(q):
        return f"histogram_quantile({q}, sum by (le) (rate(gateway_functions_seconds_bucket{{{OF}}}[$__rate_interval])))"

    def cores(selection):
        return f'sum(rate(container_cpu_usage_seconds_total{{container!="",container!="POD",{selection}}}[$__rate_interval]))'

    def memory(selection):
        return f'sum(container_memory_working_set_bytes{{container!="",container!="POD",{selection}}})'

    layers = [
        ("Knative: function", f'namespace=~"$namespace",container="user-container",{POD}'),
        ("Knative: queue-proxy", f'namespace=~"$namespace",container="queue-proxy",{POD}'),
        ("Knative: activator, autoscaler", 'namespace="knative-serving",pod=~"(activator|autoscaler)-.*"'),
        ("Knative: ingress", 'namespace=~"kourier-system|istio-system"'),
        ("OpenFaaS: function", f'namespace=~"openfaas-fn",{POD}'),
        ("OpenFaaS: gateway, provider", 'namespace="openfaas",pod=~"gateway-.*"'),
    ]
    quantiles = [(q, f"p{round(100 * q)}") for q in (0.5, 0.95, 0.99)]
    return dashboard("testbed-comparison", "Knative and OpenFaaS side by side",
        "The same function on both platforms: rates, latency, failures, replicas, CPU and memory by layer.", [
        row("Load"),
        panel("Answered", "reqps", (kn_rate, "Knative"), (of_rate, "OpenFaaS")),
        panel("Arriving", "reqps", (kn_offered, "Knative (queue-proxy)"), (of_offered, "OpenFaaS (gateway)"),
              note="What reaches the queue-proxy (Knative) and the gateway (OpenFaaS). The offered load is in the harness's report."),
        row("Latency, as each platform sees it"),
        panel("Knative: queue-proxy", "s", *[(kn_quantile(q), name) for q, name in quantiles], note=BUCKETS),
        panel("OpenFaaS: gateway", "s", *[(of_quantile(q), name) for q, name in quantiles], note=BUCKETS),
        row("Failures"),
        panel("Knative: answers that are no success, by code", "reqps",
              (either(f'sum by ({KN_CODE}) (rate({KN_REQUESTS}{{{QP},{KN_CODE}!~"2.."}}[$__rate_interval]))',
                      f'sum by (response_code) (rate(revision_app_request_count{{{KN_OLD},response_code!~"2.."}}[$__rate_interval]))'),
               f"{{{{{KN_CODE}}}}}{{{{response_code}}}}"), stack=True),
        panel("OpenFaaS: answers that are no success, by code", "reqps",
              (f'sum by (code) (rate(gateway_function_invocation_total{{{OF},code!~"2.."}}[$__rate_interval]))', "{{code}}"),
              stack=True),
        row("Replicas"),
        panel("Knative", "none",
              (either(f"sum(kn_revision_pods_desired{{{KN}}})", f"sum(autoscaler_desired_pods{{{KN_OLD}}})"), "desired"),
              (either(f"sum(kn_revision_pods_count{{{KN}}})", f"sum(autoscaler_actual_pods{{{KN_OLD}}})"), "ready")),
        panel("OpenFaaS", "none", (f"sum(gateway_service_count{{{OF}}})", "desired"),
              ('sum(kube_deployment_status_replicas_ready{namespace="openfaas-fn",deployment=~"$function"})', "ready")),
        row("What it costs, by layer"),
        panel("CPU", "none", *[(cores(s), name) for name, s in layers], stack=True,
              note="Cores. cAdvisor samples every 10 to 20 s: short cells have few points."),
        panel("Memory", "bytes", *[(memory(s), name) for name, s in layers], stack=True),
    ], [FUNCTION, NAMESPACE])


def knative():
    def kpa(new, old):
        return either(f"sum by (kn_revision_name) ({new}{{{KN}}})", f"sum by (revision_name) ({old}{{{KN_OLD}}})")

    legend = "{{kn_revision_name}}{{revision_name}}"
    quantile = lambda q, name: either(
        f'histogram_quantile({q}, sum by (le) (rate(http_server_request_duration_seconds_bucket{{pod=~"activator-.*"}}[$__rate_interval])))',
        f"histogram_quantile({q}, sum by (le) (rate(activator_request_latencies_bucket{{{KN_OLD}}}[$__rate_interval]))) / 1000")
    return dashboard("testbed-knative", "Knative inside", "Autoscaler (KPA), panic, activator, queue-proxies.", [
        row("Autoscaler"),
        panel("Replicas", "none",
              (kpa("kn_revision_pods_desired", "autoscaler_desired_pods"), f"desired {legend}"),
              (kpa("kn_revision_pods_requested", "autoscaler_requested_pods"), f"requested {legend}"),
              (kpa("kn_revision_pods_count", "autoscaler_actual_pods"), f"ready {legend}"),
              (kpa("kn_revision_pods_not_ready_count", "autoscaler_not_ready_pods"), f"not ready {legend}"),
              (kpa("kn_revision_pods_terminating_count", "autoscaler_terminating_pods"), f"terminating {legend}")),
        panel("Concurrency", "none",
              (kpa("kn_revision_concurrency_stable", "autoscaler_stable_request_concurrency"), f"stable window {legend}"),
              (kpa("kn_revision_concurrency_panic", "autoscaler_panic_request_concurrency"), f"panic window {legend}"),
              (kpa("kn_revision_concurrency_target", "autoscaler_target_concurrency_per_pod"), f"target a replica {legend}"),
              note="Every 2 s the autoscaler wants observed / (target x utilisation) replicas."),
        panel("Panic", "bool", (kpa("kn_revision_panic_mode", "autoscaler_panic_mode"), legend),
              note="Panic begins where the short window wants twice the ready replicas; it never scales down meanwhile."),
        panel("Spare capacity less target burst capacity", "none",
              (kpa("kn_revision_capacity_excess", "autoscaler_excess_burst_capacity"), legend),
              note="Below zero the activator stays in the path of every request."),
        row("Activator"),
        panel("Requests through the activator", "reqps",
              (either('sum(rate(http_server_request_duration_seconds_count{pod=~"activator-.*"}[$__rate_interval]))',
                      f"sum(rate(activator_request_count{{{KN_OLD}}}[$__rate_interval]))"), "answered")),
        panel("In the activator", "none",
              (kpa("kn_revision_request_concurrency", "activator_request_concurrency"), f"at once {legend}"),
              (f"sum by (kn_revision_name) (kn_revision_request_queued{{{KN}}})", "waiting {{kn_revision_name}}")),
        panel("Latency of the activator", "s", (quantile(0.5, "p50"), "p50"), (quantile(0.99, "p99"), "p99"), note=BUCKETS),
        row("Queue-proxies"),
        panel("Waiting in the queue-proxies", "none",
              (either(f"sum(kn_serving_queue_depth{{{QP}}})", f"sum(revision_queue_depth{{{KN_OLD}}})"), "requests"),
              note="Exported only where the revision has a concurrency limit."),
        panel("Answered, by revision", "reqps",
              (either(f"sum by (serving_knative_dev_revision) (rate({KN_REQUESTS}{{{QP}}}[$__rate_interval]))",
                      f"sum by (revision_name) (rate(revision_app_request_count{{{KN_OLD}}}[$__rate_interval]))"),
               "{{serving_knative_dev_revision}}{{revision_name}}"), stack=True),
    ], [FUNCTION])


def openfaas():
    per = "sum by (function_name)"
    return dashboard("testbed-openfaas", "OpenFaaS inside", "Gateway, its alert, replicas.", [
        row("Gateway"),
        panel("Begun and answered", "reqps",
              (f"{per} (rate(gateway_function_invocation_started{{{OF}}}[$__rate_interval]))", "begun {{function_name}}"),
              (f"{per} (rate(gateway_function_invocation_total{{{OF}}}[$__rate_interval]))", "answered {{function_name}}")),
        panel("By status code", "reqps",
              (f"sum by (code) (rate(gateway_function_invocation_total{{{OF}}}[$__rate_interval]))", "{{code}}"), stack=True),
        panel("In flight", "none",
              (f"{per} (gateway_function_invocation_started{{{OF}}}) - {per} (gateway_function_invocation_total{{{OF}}})",
               "{{function_name}}"), note="Begun less answered since the gateway started."),
        panel("Latency", "s", *[
            (f"histogram_quantile({q}, sum by (le) (rate(gateway_functions_seconds_bucket{{{OF}}}[$__rate_interval])))", name)
            for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))], note=BUCKETS),
        row("Autoscaling"),
        panel("What the alert sees: successes a second over 10 s", "reqps",
              (f'{per} (rate(gateway_function_invocation_total{{{OF},code="200"}}[10s]))', "{{function_name}}"),
              ("vector(5)", "threshold"),
              note="APIHighInvocationRate fires where this is above 5 for 5 s; each firing adds a step of replicas."),
        panel("Alert", "none", ('count by (alertname, alertstate) (ALERTS{alertname="APIHighInvocationRate"})', "{{alertstate}}")),
        panel("Replicas", "none", (f"{per} (gateway_service_count{{{OF}}})", "desired {{function_name}}"),
              ('sum by (deployment) (kube_deployment_status_replicas_ready{namespace="openfaas-fn",deployment=~"$function"})',
               "ready {{deployment}}")),
        panel("CPU of gateway and provider", "none",
              ('sum by (container) (rate(container_cpu_usage_seconds_total{namespace="openfaas",container!="",container!="POD"}[$__rate_interval]))',
               "{{container}}"), stack=True),
    ], [FUNCTION])


def function():
    pod = 'pod=~"($function)-.*"'
    stage = "function_stage_duration_seconds"
    return dashboard("testbed-function", "The function under test", "What the function says of itself: stages, starts, queue, memory.", [
        row("Answers"),
        panel("Answered, by status code", "reqps", (f"sum by (code) (rate(function_requests_total{{{pod}}}[$__rate_interval]))", "{{code}}"),
              stack=True),
        panel("In flight and waiting", "none", (f"sum(function_in_flight{{{pod}}})", "in flight"),
              (f"sum(function_queue_length{{{pod}}})", "waiting for a thread")),
        row("Where the time goes"),
        panel("Mean time by stage", "s",
              (f'sum by (stage) (rate({stage}_sum{{{pod},stage!="total"}}[$__rate_interval])) / '
               f'sum by (stage) (rate({stage}_count{{{pod},stage!="total"}}[$__rate_interval]))', "{{stage}}"), stack=True),
        panel("Total, quantiles", "s", *[
            (f'histogram_quantile({q}, sum by (le) (rate({stage}_bucket{{{pod},stage="total"}}[$__rate_interval])))', name)
            for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))]),
        row("Replicas and starts"),
        panel("Replicas that answer scrapes", "none", (f"count(function_in_flight{{{pod}}})", "replicas")),
        panel("Starts", "none", (f"sum(changes(process_start_time_seconds{{{pod}}}[$__rate_interval])) or count(function_in_flight{{{pod}}} unless function_in_flight{{{pod}}} offset 1m)", "new in the last minute")),
        panel("Memory of each replica", "bytes", (f"function_memory_bytes{{{pod}}}", "{{pod}}")),
        panel("CPU of each replica", "none", (f"rate(function_cpu_seconds_total{{{pod}}}[$__rate_interval])", "{{pod}}")),
    ], [FUNCTION])


def main():
    wrong = []
    for name, make in (("comparison", comparison), ("knative", knative), ("openfaas", openfaas), ("function", function)):
        path, text = FOLDER / f"{name}.json", json.dumps(make(), indent=2) + "\n"
        if sys.argv[1:] == ["--check"]:
            if not path.exists() or path.read_text() != text:
                wrong.append(path.name)
        else:
            path.write_text(text)
    if wrong:
        sys.exit(f"not as this script writes them: {', '.join(wrong)}; run grafana/make_dashboards.py")


main()
