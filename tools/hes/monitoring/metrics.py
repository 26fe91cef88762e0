"""What Prometheus, or any collector of OpenMetrics, is told of the head-end and the concentrators.

Everything is read from the store at the moment it is asked for; the line's own counts since the
start come from `serve`. A concentrator's figures are those of its last birth or hello:
`ami_concentrator_seen` tells how old they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import start_http_server

from gateway.version import VERSION
from tools.hes.store.records import ONLINE
from tools.hes.store.reports import Reports
from tools.hes.store.states import FINAL, REJECTED
from tools.hes.store.street import Street

PORT = 9464  # Prometheus's list of default ports: of OpenTelemetry's exporters


class Collector:
    """`counts()` gives how many messages the line has taken since the start, by (topic, what
    became of them); `readings()` how many readings, by (concentrator, what of them).
    """

    def __init__(
        self,
        reports: Reports,
        street: Street,
        counts: Callable[[], Counter[tuple[str, str]]],
        readings: Callable[[], Counter[tuple[str, str]]] = Counter,
    ) -> None:
        self._reports = reports
        self._street = street
        self._counts = counts
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("ami_hes", "The head-end's software.", {"version": VERSION})
        yield from self._line()
        yield from self._jobs()
        yield from self._concentrators()
        yield from self._rows()

    def _line(self) -> Iterator[Metric]:
        service = self._reports.service()
        connected = GaugeMetricFamily("ami_hes_connected", "1: connected to the broker.")
        connected.add_metric([], float(service is not None and service.status == "connected"))
        yield connected
        taken = CounterMetricFamily(
            "ami_hes_messages",
            "Messages from concentrators since `serve` was started.",
            labels=["topic", "result"],
        )
        for (topic, result), number in sorted(self._counts().items()):
            taken.add_metric([topic, result], number)
        yield taken

    def _jobs(self) -> Iterator[Metric]:
        states: Counter[str] = Counter()
        meters: Counter[str] = Counter()
        for job in self._reports.jobs():
            states[job.state] += 1
            for outcome in ("ok", "ko", "value"):
                meters[outcome] += getattr(job, outcome)
            if job.state not in (*FINAL, REJECTED):
                meters["open"] += job.meters - job.ok - job.ko - job.value
        found = GaugeMetricFamily("ami_hes_jobs", "Jobs in the database.", labels=["state"])
        for state, number in sorted(states.items()):
            found.add_metric([state], number)
        yield found
        found = GaugeMetricFamily(
            "ami_hes_meter_results", "Meters of all jobs in the database.", labels=["outcome"]
        )
        for outcome, number in sorted(meters.items()):
            found.add_metric([outcome], number)
        yield found

    def _concentrators(self) -> Iterator[Metric]:
        def gauge(name: str, says: str, *labels: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(
                "ami_concentrator_" + name, says, labels=["concentrator", *labels]
            )

        online = gauge("online", "1: it stands on the broker, and was heard lately.")
        seen = gauge("seen", "When it was last heard, in Unix seconds.")
        jobs = gauge("jobs_open", "Jobs that it has and has not finished.")
        known = gauge("meters_known", "Meters in its inventory.")
        reachable = gauge("meters_reachable", "Meters that it can reach now.")
        modem = gauge("modem_up", "1: the modem works.", "place", "kind")
        nodes = gauge("modem_nodes", "Nodes on the modem's network.", "place", "kind")
        for each in self._reports.concentrators():
            online.add_metric([each.id], each.stands(self._reports.now()) == ONLINE)
            seen.add_metric([each.id], each.seen)
            jobs.add_metric([each.id], each.jobs_open)
            known.add_metric([each.id], each.meters_known)
            reachable.add_metric([each.id], each.meters_reachable)
            for place, one in enumerate(self._street.modems(each.id)):
                modem.add_metric([each.id, str(place), one.kind], one.up)
                nodes.add_metric([each.id, str(place), one.kind], one.nodes)
        yield from (online, seen, jobs, known, reachable, modem, nodes)

    def _rows(self) -> Iterator[Metric]:
        taken = CounterMetricFamily(
            "ami_concentrator_readings",
            "Of the stream of readings since `serve` was started: records; rows of profiles, and"
            " how many of them are doubtful or invalid; values; records lost at the concentrator or"
            " not understood here; gaps of meters.",
            labels=["concentrator", "what"],
        )
        for (concentrator, what), number in sorted(self._readings().items()):
            taken.add_metric([concentrator, what], number)
        yield taken


def serve_metrics(host: str, port: int, collector: Collector) -> Callable[[], None]:
    """Listen in a thread of its own; call what is returned to end it. OSError."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    server, thread = start_http_server(port, host, registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
