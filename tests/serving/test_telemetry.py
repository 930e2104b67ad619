"""Metrics as Prometheus reads them."""

import pytest

pytest.importorskip("prometheus_client", reason="the extra kickbert[serve] is not installed")

from kickbert.serving.telemetry import Telemetry


def test_one_model_answers_at_a_time_and_the_queue_is_read_when_asked():
    waiting = [3]
    telemetry = Telemetry(lambda: waiting[0])
    telemetry.serving("v1", "torch")
    telemetry.serving("v2", "onnx")
    waiting[0] = 5
    metrics = telemetry.text().decode()
    assert 'kickbert_model{backend="onnx",version="v2"} 1.0' in metrics and "v1" not in metrics
    assert "kickbert_queue_texts 5.0" in metrics


def test_two_services_of_a_process_count_by_themselves():
    one, two = Telemetry(lambda: 0), Telemetry(lambda: 0)
    one.texts.inc(7)
    assert "kickbert_texts_total 7.0" in one.text().decode() and "kickbert_texts_total 0.0" in two.text().decode()
