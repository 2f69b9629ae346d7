"""docs/service-operations.md names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from embedding_service.connection import MOST_AHEAD, MOST_HEAD_BYTES
from embedding_service.http_server import KEEP_ALIVE_SECONDS, LAST_REQUESTS_SECONDS
from embedding_service.metrics import Metrics
from embedding_service.settings import Settings, entries

PAGE = Path(__file__).parents[3] / "docs" / "service-operations.md"


def test_the_page_names_every_metric_with_its_labels() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`equivec_.*?) \| (.*?) \|", page, re.MULTILINE)
    written = {
        name: tuple(re.findall(r"`(\w+)`", labels))
        for names, labels in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    found = {}
    suffixes = {"counter": "_total", "info": "_info"}
    for metric in Metrics()._registry._collector_to_names:
        if isinstance(metric, MetricWrapperBase):  # not those of the process
            (family, *_) = metric.describe()
            name = f"{family.name}{suffixes.get(family.type, '')}"
            found[name] = tuple(metric._labelnames)
    found["equivec_model_info"] = written["equivec_model_info"]  # test_status looks at them
    assert written == found


def test_the_page_names_settings_that_there_are() -> None:
    known = {setting.variable for setting in entries().values()}
    named = set(re.findall(r"\bEMBEDDING_[A-Z_]+", PAGE.read_text(encoding="utf-8")))
    assert named <= known


def test_the_page_has_the_figures_of_the_code() -> None:
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"more than {MOST_AHEAD} requests ahead" in page
    assert f"headers of more than {MOST_HEAD_BYTES // 1024} KiB" in page
    assert f"stays open for {KEEP_ALIVE_SECONDS} s" in page
    assert LAST_REQUESTS_SECONDS == 1
    assert "for a second also" in page
    assert f"default of {Settings().grace_seconds} s" in page
