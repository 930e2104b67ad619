"""Metrics as Prometheus reads them."""

from types import SimpleNamespace

from kickbert.serving.telemetry import Telemetry


def model(version: str, backend: str) -> SimpleNamespace:
    return SimpleNamespace(artifact=SimpleNamespace(version=version), backend=SimpleNamespace(name=backend))


def test_only_loaded_models_are_listed_and_the_queue_is_read_on_request():
    waiting = [3]
    telemetry = Telemetry(lambda: waiting[0])
    telemetry.loaded({"k": model("v1", "torch")})
    telemetry.loaded({"k": model("v2", "onnx")})
    waiting[0] = 5
    metrics = telemetry.text().decode()
    assert 'kickbert_model{backend="onnx",name="k",version="v2"} 1.0' in metrics and "v1" not in metrics
    assert "kickbert_queue_texts 5.0" in metrics


def test_two_applications_in_one_process_count_separately():
    one, two = Telemetry(lambda: 0), Telemetry(lambda: 0)
    one.texts.inc(7)
    assert "kickbert_texts_total 7.0" in one.text().decode() and "kickbert_texts_total 0.0" in two.text().decode()
