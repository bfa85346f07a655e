"""OTLP metrics: GPU hours from any split of the readings, and the clients' own counts beside the calls."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ingest.attribution import Attribution
from ingest.otlp import metrics, signals
from ingest.otlp.commit import SpanLedger
from ingest.otlp.keep import DecodeError
from ingest.otlp.metrics import Point, Points
from ingest.store import Store
from tests.ingest import otlp_signals
from tests.ingest.otlp_signals import DELTA, HOUR, MINUTE, START_NS, as_json, counter, gauge, histogram
from tests.ingest.otlp_spans import ALLOW, CAPTURES, needs_captures

GPU = {"UUID": "GPU-7", "modelName": "NVIDIA H200", "Hostname": "node-a", "namespace": "serving", "pod": "vllm-0"}
ENGINE, UTIL = "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_DEV_GPU_UTIL"
ENERGY, POWER = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "DCGM_FI_DEV_POWER_USAGE"
KWH = 3_600_000_000  # millijoules
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.response.model": "gpt-4o-2024-08-06"}
INPUT = {**CHAT, "gen_ai.token.type": "input"}
LEDGER = SpanLedger(b"a key for tests", Attribution())
HOURS = "select hour_start, gpu_id, utilization_ratio, energy_kwh from gpu_hours order by all"

Decode = Callable[[ExportMetricsServiceRequest], Points]


def through_protobuf(sent: ExportMetricsServiceRequest) -> Points:
    return metrics.decode_protobuf(sent.SerializeToString(), ALLOW)


def through_json(sent: ExportMetricsServiceRequest) -> Points:
    return metrics.decode_json(as_json(sent), ALLOW)


both = pytest.mark.parametrize("decode", [through_protobuf, through_json])


@pytest.fixture
def store() -> Store:
    return Store(":memory:")


def points(*found: Any, resource: dict[str, Any] | None = None) -> list[Point]:
    read, rejects = through_protobuf(otlp_signals.metrics(*found, resource=resource))
    assert not rejects
    return read


def write(store: Store, *batches: Sequence[Point]) -> Store:
    for number, batch in enumerate(batches, 1):
        with store.transaction() as cursor:
            signals.write(cursor, LEDGER, "metrics", batch, number)
    return store


def at(hour: int, minute: float = 0) -> int:
    return START_NS + hour * HOUR + int(minute * MINUTE)


def hour(number: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(seconds=START_NS // 10**9, hours=number)


def emptied(store: Store) -> Store:
    with store.transaction() as cursor:
        for table in ("gpu_points", "gpu_hours", "client_metric_points"):
            cursor.execute(f"delete from {table}")
    return store


# ---------------------------------------------------------------- GPUs


@both
def test_a_reading_names_its_gpu_its_node_and_whom_it_worked_for(decode: Decode, store: Store) -> None:
    read, rejects = decode(otlp_signals.metrics(gauge(ENGINE, GPU, (at(0, 1), 0.5), (at(0, 2), 0.7))))
    assert not rejects
    write(store, read)
    [row] = store.query("select * exclude (hour_start) from gpu_hours").to_dicts()
    assert row == {
        "node": "node-a",
        "gpu_id": "GPU-7",
        "gpu_model": "NVIDIA H200",
        "utilization_ratio": 0.6,
        "energy_kwh": None,
        "cost_usd": None,
        "owner": "serving",
        "source": "dcgm",
        "load_id": 1,
    }


def test_the_share_of_the_engine_is_preferred_to_the_share_of_time_that_a_kernel_ran(store: Store) -> None:
    busy = gauge(UTIL, GPU, (at(0, 1), 97), (at(1, 1), 80))
    write(store, points(busy, gauge(ENGINE, GPU, (at(0, 1), 0.62))))
    assert store.query("select utilization_ratio from gpu_hours order by hour_start").rows() == [(0.62,), (0.8,)]


def test_the_energy_counter_is_spread_over_the_hours_between_two_readings(store: Store) -> None:
    write(store, points(counter(ENERGY, GPU, (0, at(0, 30), 10 * KWH), (0, at(1, 30), 12 * KWH), (0, at(1, 45), 13 * KWH))))
    assert [row[3] for row in store.query(HOURS).rows()] == [1.0, 2.0]


def test_a_counter_that_was_started_again_counts_from_zero(store: Store) -> None:
    write(store, points(counter(ENERGY, GPU, (0, at(0, 10), 10 * KWH), (0, at(0, 20), 11 * KWH), (0, at(0, 30), 2 * KWH))))
    assert [row[3] for row in store.query(HOURS).rows()] == [3.0]


def test_one_state_of_a_counter_says_nothing_of_the_hour(store: Store) -> None:
    write(store, points(counter(ENERGY, GPU, (0, at(0, 10), 10 * KWH))))
    assert [row[3] for row in store.query(HOURS).rows()] == [None]


def test_without_a_counter_the_power_is_added_up_over_time(store: Store) -> None:
    write(store, points(gauge(POWER, GPU, (at(0, 0), 300), (at(0, 30), 500), (at(1, 0), 500))))
    assert [row[3] for row in store.query(HOURS).rows()] == [0.2 + 0.25, None]


@both
def test_the_hardware_conventions_of_opentelemetry_give_the_same_hours(decode: Decode, store: Store) -> None:
    labels = {"hw.id": "GPU-7", "hw.type": "gpu", "hw.model": "H200", "hw.gpu.task": "general"}
    joules = counter("hw.energy", labels, (at(0, 0), at(0, 30), 3_600_000), (at(0, 30), at(1, 0), 1_800_000), temporality=DELTA)
    sent = otlp_signals.metrics(
        gauge("hw.gpu.utilization", labels, (at(0, 5), 0.4)),
        gauge("hw.gpu.utilization", {**labels, "hw.gpu.task": "encoder"}, (at(0, 5), 0.9)),
        joules,
        gauge("hw.power", {"hw.id": "psu", "hw.type": "power_supply"}, (at(0, 5), 900)),
        resource={"host.name": "node-b", "k8s.namespace.name": "training"},
    )
    read, rejects = decode(sent)
    assert not rejects
    write(store, read)
    query = "select node, gpu_model, utilization_ratio, energy_kwh, owner, source from gpu_hours where utilization_ratio is not null"
    assert store.query(query).rows() == [("node-b", "H200", 0.4, 1.5, "training", "hw")]


@both
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (gauge(ENGINE, {"Hostname": "a"}, (at(0), 0.5)), "a GPU metric without the id of its GPU"),
        (gauge(ENGINE, GPU, (at(0), 1.5)), "engine_ratio is out of range"),
        (gauge(UTIL, GPU, (at(0), 9223372036854775792)), "busy_ratio is out of range"),  # DCGM's "blank"
        (counter(ENERGY, GPU, (0, at(0), 2**63 - 16)), "energy_kwh is out of range"),
        (gauge(UTIL, GPU, (0, 50)), "a data point without a time between 2000 and 2099"),
        (counter(ENERGY, GPU, (0, at(0), 5), temporality=0), "a sum that is neither delta nor cumulative"),
        (gauge(POWER, GPU, (at(0), float("nan"))), "a value that is no finite number"),
    ],
)
def test_a_reading_that_breaks_a_rule_is_named_and_the_others_stay(decode: Decode, broken: Any, reason: str) -> None:
    read, rejects = decode(otlp_signals.metrics(gauge("other", {}, (at(0), 1)), broken, gauge(ENGINE, GPU, (at(0), 0.5))))
    assert [(reject.position, reject.reason) for reject in rejects] == [(1, reason)]
    assert len(read) == 1


def test_a_gpu_that_several_pods_share_is_counted_once(store: Store) -> None:
    write(store, points(*(gauge(UTIL, {**GPU, "pod": pod}, (at(0, 1), 50)) for pod in ("a", "b", "c"))))
    assert store.query("select count(*) as n, max(utilization_ratio) as u from gpu_hours").rows() == [(1, 0.5)]


READINGS = [
    *points(gauge(UTIL, GPU, *((at(0, 7 * n), n * 7 % 100) for n in range(40)))),
    *points(gauge(ENGINE, {**GPU, "UUID": "GPU-8"}, *((at(0, 11 * n), n / 40) for n in range(30)))),
    *points(counter(ENERGY, GPU, *((0, at(0, 13 * n), (n if n < 15 else n - 14) * KWH) for n in range(25)))),
    *points(gauge(POWER, {**GPU, "UUID": "GPU-8", "namespace": "batch"}, *((at(2, 50 * n), 100 * n) for n in range(8)))),
    *points(counter("hw.energy", {"hw.id": "x", "hw.type": "gpu"}, *((at(n), at(n, 59), n * 1000) for n in range(6)), temporality=DELTA)),
]


def test_any_split_order_and_repetition_of_the_readings_give_the_same_hours(store: Store) -> None:
    every = "select * exclude (load_id) from gpu_hours order by all"
    expected = write(store, READINGS).query(every).rows()
    assert len(expected) > 15

    @settings(max_examples=12, deadline=None)
    @given(st.randoms(use_true_random=False), st.integers(1, 8))
    def check(chance: random.Random, portions: int) -> None:
        parts: list[list[Point]] = [[] for _ in range(portions)]
        for reading in chance.sample(READINGS, len(READINGS)):
            chance.choice(parts).append(reading)
        parts.append(chance.sample(READINGS, len(READINGS) // 4))
        assert write(emptied(store), *parts).query(every).rows() == expected

    check()


def test_the_energy_of_all_hours_is_what_the_counter_moved(store: Store) -> None:
    moved = [*range(15), *range(1, 11)]  # started again after 14
    states = [(0, at(0, 17 * n), value * KWH) for n, value in enumerate(moved)]
    write(store, points(counter(ENERGY, GPU, *states)))
    assert store.query("select round(sum(energy_kwh), 6) as kwh from gpu_hours").item() == 14 + 10


# ---------------------------------------------------------------- clients

COUNTS = "select hour, service, model, metric, token_type, operations, tokens from client_metrics_hour order by all"


@both
@pytest.mark.parametrize("exponential", [False, True])
def test_cumulative_counts_are_taken_apart_into_hours(decode: Decode, exponential: bool, store: Store) -> None:
    states = [(at(0), at(0, 20), 2, 100.0), (at(0), at(0, 40), 3, 150.0), (at(0), at(1, 10), 7, 400.0)]
    sent = otlp_signals.metrics(
        histogram("gen_ai.client.token.usage", INPUT, *states, exponential=exponential),
        histogram("gen_ai.client.operation.duration", CHAT, *states, exponential=exponential),
        resource={"service.name": "shop"},
    )
    write(store, decode(sent)[0])
    assert store.query(COUNTS).rows() == [
        (hour(0), "shop", "gpt-4o", "gen_ai.client.operation.duration", None, 3, None),
        (hour(0), "shop", "gpt-4o", "gen_ai.client.token.usage", "input", None, 150),
        (hour(1), "shop", "gpt-4o", "gen_ai.client.operation.duration", None, 4, None),
        (hour(1), "shop", "gpt-4o", "gen_ai.client.token.usage", "input", None, 250),
    ]


def test_delta_counts_add_up_and_a_repeated_interval_does_not(store: Store) -> None:
    sent = points(histogram("gen_ai.client.token.usage", INPUT, *((at(0, n), at(0, n + 1), 1, 10.0) for n in range(5)), temporality=DELTA))
    write(store, sent, sent[2:])
    assert [row[-1] for row in store.query(COUNTS).rows()] == [50]


def test_a_client_that_started_again_counts_on(store: Store) -> None:
    name = "gen_ai.client.inference.usage.input_tokens"
    write(store, points(counter(name, CHAT, (at(0), at(0, 20), 70), (at(0, 30), at(0, 40), 30))))
    assert [row[4:] for row in store.query(COUNTS).rows()] == [("input", None, 100)]


def test_a_series_whose_start_is_unknown_is_measured_from_its_first_state(store: Store) -> None:
    name = "gen_ai.client.inference.usage.cache_read.input_tokens"
    write(store, points(counter(name, CHAT, (0, at(0, 20), 1000), (0, at(1, 20), 1300), (0, at(2, 20), 40))))
    assert [row[4:] for row in store.query(COUNTS).rows()] == [("cache_read", None, n) for n in (None, 300, 40)]


def test_two_processes_of_one_service_add_up(store: Store) -> None:
    usage = histogram("gen_ai.client.token.usage", INPUT, (at(0), at(0, 20), 1, 100.0))
    for instance in ("a", "b"):
        write(store, points(usage, resource={"service.name": "shop", "service.instance.id": instance}))
    assert [row[-1] for row in store.query(COUNTS).rows()] == [200]


def test_any_split_order_and_repetition_of_the_counts_give_the_same_hours(store: Store) -> None:
    states = [(at(0), at(0, 9 * n), n, n * 10.0) for n in range(1, 20)]
    again = [(at(3), at(3, 9 * n), n, n * 7.0) for n in range(1, 20)]
    intervals = [(at(0, n), at(0, n + 1), 1, 5.0) for n in range(200)]
    counts = [
        *points(histogram("gen_ai.client.token.usage", INPUT, *states, *again)),
        *points(histogram("gen_ai.client.token.usage", {**INPUT, "gen_ai.token.type": "output"}, *intervals, temporality=DELTA)),
    ]
    expected = write(store, counts).query(COUNTS).rows()
    assert sum(row[-1] for row in expected) == 190 + 133 + 1000

    @settings(max_examples=12, deadline=None)
    @given(st.randoms(use_true_random=False), st.integers(1, 8))
    def check(chance: random.Random, portions: int) -> None:
        parts: list[list[Point]] = [[] for _ in range(portions)]
        for count in chance.sample(counts, len(counts)):
            chance.choice(parts).append(count)
        parts.append(chance.sample(counts, len(counts) // 4))
        assert write(emptied(store), *parts).query(COUNTS).rows() == expected

    check()


def test_counts_of_clients_never_become_calls(store: Store) -> None:
    write(store, points(histogram("gen_ai.client.token.usage", INPUT, (at(0), at(0, 20), 1, 100.0))))
    assert store.query("select count(*) as n from spans").item() == 0
    assert store.query("select count(*) as n from usage_hour").item() == 0


@needs_captures
@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*/*-metrics.pb")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_both_encodings_of_a_real_body_give_the_same_points(path: Any) -> None:
    sent = ExportMetricsServiceRequest.FromString(path.read_bytes())
    read, rejects = through_protobuf(sent)
    assert not rejects
    assert (read, rejects) == through_json(sent)


@needs_captures
def test_a_real_client_counts_in_its_metrics_what_its_spans_say(store: Store) -> None:
    for path in sorted((CAPTURES / "google-genai-otel").glob("*-metrics.pb")):
        write(store, metrics.decode_protobuf(path.read_bytes(), ALLOW)[0])
    query = "select model, token_type, tokens from client_metrics_hour where tokens is not null order by all"
    assert store.query(query).rows() == [
        ("gemini-2.5-flash", "input", 3_000_003_626),
        ("gemini-2.5-flash", "output", 806),
        ("gemini-2.5-pro", "input", 7378),
        ("gemini-2.5-pro", "output", 3855),
    ]


@pytest.mark.parametrize(
    "sent",
    [b'{"resourceMetrics": "secret"}', b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asInt":"x"}]}}]}]}]}'],
)
def test_json_that_is_no_request_is_a_decode_error_that_does_not_quote_it(sent: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        metrics.decode_json(sent, ALLOW)
    assert "secret" not in str(caught.value)
