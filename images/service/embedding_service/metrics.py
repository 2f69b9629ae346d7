"""Metrics: what the service counts and measures, in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from embedding_service.embedder import Embedder
from embedding_service.supply.disk import cache_use

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
INPUTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The metrics of one process; an `Observer` of its embedders. Any thread may call it.

    No label holds anything that a client sends: the number of time series is bounded.
    """

    def __init__(self) -> None:
        # No series for the time of each counter's birth.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        # Memory, processor time, open files, start; only where there is /proc.
        ProcessCollector(registry=registry)
        self._registry = registry
        self._requests = Counter(
            "equivec_requests",
            "Requests answered; status gone: the client did not wait for the answer",
            ["route", "status"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "equivec_request_seconds",
            "From a request's headers to its whole answer",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        phases = Histogram(
            "equivec_phase_seconds",
            "receive: a request's body; read: its inputs' tokens; wait: an input, for its batch; "
            "compute: a batch",
            ["phase"],
            buckets=SECONDS,
            registry=registry,
        )
        self._receiving = phases.labels("receive")
        self._reading = phases.labels("read")
        self._waiting = phases.labels("wait")
        self._computing = phases.labels("compute")
        self._in_flight = Gauge(
            "equivec_requests_in_flight", "Requests not answered yet", registry=registry
        )
        self._inputs = Counter("equivec_inputs", "Inputs computed", registry=registry)
        self._dropped = Counter(
            "equivec_inputs_dropped",
            "Inputs not computed, as their clients were gone",
            registry=registry,
        )
        self._tokens = Counter(
            "equivec_tokens", "Tokens computed, without padding", registry=registry
        )
        self._padding = Counter(
            "equivec_padding_tokens", "Tokens computed only as padding", registry=registry
        )
        self._input_tokens = Histogram(
            "equivec_input_tokens",
            "Tokens of an input, prompt and special tokens included; 0: not known here",
            buckets=TOKENS,
            registry=registry,
        )
        self._batch_inputs = Histogram(
            "equivec_batch_inputs", "Inputs of a batch", buckets=INPUTS, registry=registry
        )
        self._batch_tokens = Histogram(
            "equivec_batch_tokens",
            "Tokens of a batch, padding included",
            buckets=TOKENS,
            registry=registry,
        )
        self._reloads = Counter("equivec_reloads", "Reloads", ["outcome"], registry=registry)
        for outcome in ("succeeded", "failed"):
            self._reloads.labels(outcome)
        self._ready = Gauge(
            "equivec_ready", "Whether the model is loaded and checked", registry=registry
        )
        self._queue = Gauge(
            "equivec_queue_inputs", "Inputs that wait to be computed", registry=registry
        )
        self._queue_limit = Gauge(
            "equivec_queue_limit_inputs", "How many may wait", registry=registry
        )
        self._cache = Gauge(
            "equivec_cache_bytes",
            "Bytes of the cache of fetched models, if there is one, and of its disk",
            ["of"],
            registry=registry,
        )
        self._model = Info("equivec_model", "What is served", registry=registry)

    def began(self) -> None:
        """A request came in."""
        self._in_flight.inc()

    def ended(self, *, route: str, status: str, seconds: float) -> None:
        """A request is answered, or its client is gone.

        Args:
            route: The route's path, as it is declared: never what was asked for.
            status: Of HTTP, or "gone".
            seconds: How long it took.
        """
        self._in_flight.dec()
        self._requests.labels(route, status).inc()
        self._request_seconds.labels(route).observe(seconds)

    def received(self, seconds: float) -> None:
        """A request's body came in."""
        self._receiving.observe(seconds)

    def read(self, tokens: Sequence[int], *, seconds: float) -> None:
        """See `Observer`."""
        self._reading.observe(seconds)
        for count in tokens:
            self._input_tokens.observe(count)

    def waited(self, seconds: float) -> None:
        """See `Observer`."""
        self._waiting.observe(seconds)

    def dropped(self, inputs: int) -> None:
        """See `Observer`."""
        self._dropped.inc(inputs)

    def computed(self, *, inputs: int, tokens: int, padded: int, seconds: float) -> None:
        """See `Observer`."""
        self._computing.observe(seconds)
        self._inputs.inc(inputs)
        self._tokens.inc(tokens)
        self._padding.inc(padded - tokens)
        self._batch_inputs.observe(inputs)
        self._batch_tokens.observe(padded)

    def reloaded(self, outcome: Literal["succeeded", "failed"]) -> None:
        """A reload is over: the new model is served, or still the old one."""
        self._reloads.labels(outcome).inc()

    def text(self, embedder: Embedder) -> bytes:
        """Return all metrics, with the state of the embedder in force; it lists the cache."""
        self._ready.set(embedder.is_ready)
        self._queue.set(embedder.waiting)
        self._queue_limit.set(embedder.settings.queue)
        recipe = embedder.recipe
        self._model.info(
            {
                "model": recipe.name,
                "backend": embedder.backend.name,
                "dimension": str(recipe.dimension),
                "precision": recipe.precision,
                "vector_space": recipe.vector_space,
            }
        )
        if use := cache_use(embedder.settings):
            for name, count in {"cache": use.bytes, "disk": use.total, "free": use.free}.items():
                self._cache.labels(name).set(count)
        return generate_latest(self._registry)
