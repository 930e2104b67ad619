"""A student learns its teacher's predictions: every kind of target, every kind of teacher, invalid input."""

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.learner import load_learner
from torch.nn import functional as F  # noqa: N812

import kickbert
from kickbert.evaluation.predictions import Predictions
from kickbert.experiments import teachers
from kickbert.models.head import Corn
from kickbert.targets.continuous import Continuous
from kickbert.targets.labels import Labels, OrderedLabels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.training.losses import Distillation
from kickbert.training.schedule import Phase

TASKS = {
    "labels": {},
    "several": {"label_col": "tags"},
    "columns": {"label_col": ["good", "odd"]},
    "buckets": {"label_col": "amount", "bins": 3},
    "number": {"label_col": "amount", "task": "regression"},
    "windows": {"long": "windows", "max_length": 16, "stride": 4},
}


@pytest.fixture
def rows(reviews):
    good = reviews["label"] == "good"
    rng = np.random.default_rng(0)
    tags = [["x", label] if i % 3 else [] for i, label in enumerate(reviews["label"])]
    numbers = {"amount": np.where(good, 100, 10) * rng.lognormal(0, 0.1, len(good)), "good": good.astype(int)}
    return reviews.assign(**numbers, odd=np.arange(len(good)) % 2, tags=tags)


@pytest.fixture
def teacher(make, reviews):
    learn = make(reviews)
    learn.fit_one_cycle(6, 4e-3)
    return learn


@pytest.fixture
def distil(tmp_path):
    """Distil with settings that suit few rows."""

    def distil_student(teacher, texts, layers=1, **kwargs):
        phases = [Phase("everything", 0, 4, 4e-3)]
        how = {"phases": phases, "precision": "fp32", "bs": 16, "path": tmp_path, **kwargs}
        return kickbert.distill(teacher, texts, layers, **how)

    return distil_student


# The loss


def test_divergence_is_zero_where_both_agree_and_is_hintons_elsewhere():
    outputs, other = torch.randn(5, 3), torch.randn(5, 3)
    codes, none = torch.zeros(5, dtype=torch.long), torch.zeros(5)
    loss = Distillation(Labels, temperature=3.0)
    assert loss(outputs, codes, outputs.softmax(-1), none).item() == pytest.approx(0, abs=1e-6)
    softened, own = (other / 3).softmax(-1), (outputs / 3).softmax(-1)
    expected = 9 * (softened * (softened / own).log()).sum(-1).mean()
    assert loss(outputs, codes, other.softmax(-1), none).item() == pytest.approx(expected.item(), abs=1e-5)
    assert loss(outputs, codes).item() == pytest.approx(F.cross_entropy(outputs, codes).item())
    half = loss(outputs, codes, other.softmax(-1), none + 0.5).item()
    assert half == pytest.approx((expected.item() + F.cross_entropy(outputs, codes).item()) / 2, abs=1e-5)


def test_log_probabilities_of_ranks_are_softened_as_logits_are():
    outputs = Corn()(torch.randn(4, 2))
    codes, none = torch.zeros(4, dtype=torch.long), torch.zeros(4)
    assert Distillation(OrderedLabels, 2.0)(outputs, codes, outputs.exp(), none).item() == pytest.approx(0, abs=1e-6)


def test_divergence_of_labels_and_distance_of_numbers():
    outputs, other, codes, none = torch.randn(5, 3), torch.randn(5, 3), torch.ones(5, 3), torch.zeros(5)
    loss = Distillation(MultiLabels, temperature=2.0)
    assert loss(outputs, codes, outputs.sigmoid(), none).item() == pytest.approx(0, abs=1e-6)
    p, q = (other / 2).sigmoid(), (outputs / 2).sigmoid()
    expected = 4 * (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    assert loss(outputs, codes, other.sigmoid(), none).item() == pytest.approx(expected.item(), abs=1e-5)
    assert loss(outputs, codes, other.sigmoid(), none + 1).item() == pytest.approx(
        F.binary_cross_entropy_with_logits(outputs, codes).item()
    )
    numbers = Distillation(Continuous, temperature=2.0)
    assert numbers(outputs[:, 0], codes[:, 0], other[:, 0], none).item() == pytest.approx(
        F.mse_loss(outputs[:, 0], other[:, 0]).item()
    )


def test_sure_predictions_give_finite_losses():
    outputs, codes = torch.randn(2, 3, requires_grad=True), torch.zeros(2, dtype=torch.long)
    for task, target in ((Labels, codes), (MultiLabels, torch.ones(2, 3))):
        loss = Distillation(task, 0.5)(outputs, target, torch.eye(3)[:2], torch.zeros(2))
        loss.backward()
        assert torch.isfinite(loss) and torch.isfinite(outputs.grad).all()


# Teachers and targets


@pytest.mark.parametrize("task", TASKS)
def test_every_kind_of_target(make, rows, distil, tiny, tmp_path, task):
    teacher = make(rows, **TASKS[task])
    teacher.fit_one_cycle(4, 4e-3)
    phases = [Phase("everything", 0, 6, 4e-3)]
    untrained, student = (distil(teacher, rows[["text"]], model=tiny, phases=p) for p in ([], phases))
    assert len(student.model.encoder.layers) == 1 and student.target == teacher.target
    wanted = teacher.predict_proba(rows)
    apart = [np.abs(learn.predict_proba(rows) - wanted).mean() for learn in (untrained, student)]
    assert apart[1] < 0.7 * apart[0]
    evaluation = kickbert.evaluate(student, rows, compare=False, rounds=2)  # the teacher's label column is known
    assert evaluation.rows == len(rows)
    loaded = kickbert.load(student.save_artifact(tmp_path / "k"), backend="torch")
    np.testing.assert_allclose(loaded.predict_proba(rows), student.predict_proba(rows), atol=1e-5)
    assert loaded.metadata["encoder"]["layers"] == 1
    for predicted, expected in zip(loaded.predict_df(rows).items(), student.predict_df(rows).items(), strict=True):
        assert predicted[0] == expected[0]


def test_the_student_is_an_ordinary_learner(teacher, reviews, distil, tmp_path, capsys):
    student = distil(teacher, reviews["text"].tolist(), layers=2)
    assert student.groups["group"].tolist() == ["embeddings", "layer 1", "layer 2", "head"]
    assert "target" in (student.dls.show_batch(max_n=2) or capsys.readouterr().out)
    student.show_results(max_n=2)
    assert isinstance(student.get_preds(ds_idx=0)[1], torch.Tensor)  # the codes alone
    assert (
        student.predict_df(reviews)["predicted_label"].tolist()
        == teacher.predict_df(reviews)["predicted_label"].tolist()
    )
    student.fit_one_cycle(1)
    kickbert.calibrate(student)
    student.export(tmp_path / "student.pkl")
    again = load_learner(tmp_path / "student.pkl")
    np.testing.assert_allclose(again.predict_proba(reviews), student.predict_proba(reviews), atol=1e-6)
    more = kickbert.learner_from_artifact(student.save_artifact(tmp_path / "k"), reviews, precision="fp32")
    assert more.model.encoder.n_layers == 2
    ladder = student.fit_gradual()
    assert ladder["phase"].tolist() == ["head", "last 2 layers"]


@pytest.mark.system
def test_the_export_and_the_default_schedule(teacher, reviews, distil, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
    student = distil(teacher, reviews["text"], phases=None)
    assert [fit.title for fit in student.history.fits] == ["1/2 head", "2/2 last layer"]
    folder = student.save_artifact(tmp_path / "k")
    made = kickbert.export(folder, reviews, ["onnx-int8"], force=True)
    assert made["file"].tolist() == ["model.safetensors", "model.int8.onnx"]
    assert kickbert.load(folder).backend.name == "onnx-int8"


def test_frozen_layers_are_the_teachers_and_are_computed_once(teacher, reviews, distil):
    cache = kickbert.Cache()
    phases = [Phase("last layer", 2, 3, 1e-3)]
    student = distil(teacher, reviews["text"], layers=2, phases=phases, cache=cache)
    assert cache.by_key and [store.depth for store in cache.by_key.values()] == [1]
    x = student.dls.valid.one_batch()[0]
    torch.testing.assert_close(student.model.states(x, 1), teacher.model.states(x, 1))
    uncached = distil(teacher, reviews["text"], layers=2, phases=phases, cache=False)
    np.testing.assert_allclose(student.predict_proba(reviews), uncached.predict_proba(reviews), atol=1e-5)
    assert not np.allclose(student.predict_proba(reviews), teacher.predict_proba(reviews), atol=1e-4)


def test_soft_predictions_stay_with_their_rows(teacher, reviews, distil):
    student = distil(teacher, reviews["text"], phases=[])
    train = student.dls.train
    wanted = teacher.predict_proba([row.text for row in train.dataset.tls[0].items])
    np.testing.assert_allclose(train.further[0].numpy(), wanted, atol=1e-6)
    batch = train.one_batch()
    texts = [train.dataset.tls[0].items[i].text for i in train.batch_rows]
    np.testing.assert_allclose(batch[2].numpy(), teacher.predict_proba(texts), atol=1e-6)
    assert len(student.dls.valid.one_batch()) == 2


def test_the_teacher_predicts_once(teacher, reviews, distil, monkeypatch, tmp_path):
    asked, predict = [], type(teacher).predict_proba
    monkeypatch.setattr(type(teacher), "predict_proba", lambda self, items: asked.append(self) or predict(self, items))
    first = distil(teacher, reviews["text"], phases=[])
    assert len(asked) == 1 and len(list((tmp_path / "models").glob("teacher-*.npy"))) == 1
    again = distil(teacher, reviews["text"], layers=2, phases=[])
    assert len(asked) == 1
    np.testing.assert_array_equal(first.dls.train.further[0], again.dls.train.further[0])
    distil(teacher, reviews["text"].iloc[::-1], phases=[])  # the order counts
    assert len(asked) == 2
    teacher.loss_func.temperature = 2.0
    distil(teacher, reviews["text"], phases=[])
    assert len(asked) == 3
    with torch.no_grad():
        teacher.model.head.classifier.bias.add_(1)
    distil(teacher, reviews["text"], phases=[])
    assert len(asked) == 4


def test_a_predictor_and_an_ensemble_teach_too(make, reviews, distil, tmp_path):
    learners = [make(reviews, seed=seed) for seed in (1, 2)]
    for learn in learners:
        learn.fit_one_cycle(1, 4e-3)
    saved = kickbert.load(learners[1].save_artifact(tmp_path / "k"), backend="torch")
    alone = distil(saved, reviews["text"], phases=[])
    torch.testing.assert_close(alone.model.head.classifier.weight, learners[1].model.head.classifier.weight)
    texts = [row.text for row in alone.dls.train.dataset.tls[0].items]
    np.testing.assert_allclose(alone.dls.train.further[0], saved.predict_proba(texts), atol=1e-6)
    both = distil([learners[0], saved], reviews["text"], phases=[])
    texts = [row.text for row in both.dls.train.dataset.tls[0].items]
    mean = (learners[0].predict_proba(texts) + saved.predict_proba(texts)) / 2
    np.testing.assert_allclose(both.dls.train.further[0], mean, atol=1e-6)


def test_numbers_of_an_ensemble_are_averaged_in_one_scale(make, rows, distil):
    learners = [make(rows.iloc[part], **TASKS["number"]) for part in (slice(0, 80), slice(30, 120))]
    assert learners[0].target != learners[1].target
    student = distil(learners, rows["text"], phases=[])
    texts = [row.text for row in student.dls.train.dataset.tls[0].items]
    first = learners[0].target
    in_unit = [learn.target.inverse_transform(learn.predict_proba(texts).astype(float)) for learn in learners]
    mean = np.mean([first.standardize(numbers) for numbers in in_unit], axis=0).reshape(-1)
    np.testing.assert_allclose(student.dls.train.further[0], mean, atol=1e-4)


def test_the_folds_of_a_cross_validation_teach(tiny, reviews, distil, tmp_path):
    models = []

    def fit(learn):
        learn.fit_one_cycle(2, 4e-3)
        models.append(learn)

    folds = kickbert.cross_validate(reviews, folds=2, fit=fit, model=tiny, precision="fp32", bs=16, path=tmp_path)
    assert len(models) == 2
    of_all = distil(models, reviews["text"], phases=[])
    out_of_fold = distil(folds, reviews, model=tiny, phases=[])
    assert out_of_fold.target == folds.predictions.target == of_all.target
    known = dict(zip(reviews["text"], folds.predictions.probs, strict=True))
    texts = [row.text for row in out_of_fold.dls.train.dataset.tls[0].items]
    np.testing.assert_allclose(out_of_fold.dls.train.further[0], [known[text] for text in texts], atol=1e-6)
    framed = distil(folds.probs, reviews, model=tiny, phases=[])
    np.testing.assert_allclose(framed.dls.train.further[0], out_of_fold.dls.train.further[0], atol=1e-6)
    assert framed.target.names == ["bad", "good"]


def test_probabilities_of_anything_teach(tiny, reviews, distil):
    probs = np.stack([reviews["label"] == "bad", reviews["label"] == "good"], 1) * 0.8 + 0.1
    longer = [Phase("everything", 0, 8, 4e-3)]
    student = distil(pd.DataFrame(probs, columns=["bad", "good"]), reviews, model=tiny, layers=2, phases=longer)
    assert (student.predict_df(reviews)["predicted_label"] == reviews["label"]).mean() > 0.9
    numbered = distil(probs, reviews["text"], model=tiny, phases=[])
    assert numbered.target.classes == (0, 1)
    several = pd.DataFrame({"a": [1, 0] * 60, "b": [1, 1] * 60}).to_numpy(dtype=np.float32)
    predictions = Predictions.from_probabilities(several, several * 0.9)
    assert distil(predictions, reviews["text"], model=tiny, phases=[]).target.is_multilabel


def test_another_model_as_the_student(teacher, reviews, distil, minilm):
    student = distil(teacher, reviews["text"], layers=2, model=minilm, phases=[])
    assert student.model.encoder.width == 384 and student.model.head.pooling == "mean"
    assert student.dls.tokenizer.max_length == teacher.dls.tokenizer.max_length


def test_the_probe_suggests_the_layers(teacher, reviews, distil, capsys):
    student = distil(teacher, reviews["text"], layers=None, phases=[])
    assert f"layers={student.model.encoder.n_layers}: probe accuracy " in capsys.readouterr().out
    assert teacher.model.encoder.n_layers == 2  # the teacher is unchanged


def test_labels_where_there_are_some(teacher, reviews, distil, tiny):
    df = reviews.copy()
    df.loc[df.index >= 30, "label"] = None
    df.loc[0, "label"] = "ugly"
    flipped = {"good": "bad", "bad": "good", "ugly": "ugly"}
    with pytest.warns(UserWarning, match=r"not in the training set \(\['ugly'\]\).*used without a label"):
        student = distil(teacher, df.assign(label=df["label"].map(flipped)), label_weight=0.3, phases=[])
    soft, hard = student.dls.train.further
    assert sorted(set(hard.tolist())) == pytest.approx([0.0, 0.3]) and (hard > 0).sum() < 30
    codes, decided = student.dls.train.rows[1], soft.argmax(1)
    assert (codes == decided)[hard == 0].all() and (codes != decided)[hard > 0].all()
    longer, wrong = [Phase("everything", 0, 8, 4e-3)], reviews.assign(label=reviews["label"].map(flipped))
    labels_alone = distil(teacher, wrong, label_weight=1.0, layers=2, model=tiny, phases=longer)
    assert (labels_alone.predict_df(reviews)["predicted_label"] != reviews["label"]).mean() > 0.9
    with pytest.raises(ValueError, match=r"label_weight=0.5 needs labels, but column 'label' has none"):
        distil(teacher, reviews.assign(label=None), label_weight=0.5)
    with pytest.raises(ValueError, match="label_col='label' is not a column"):
        distil(teacher, reviews[["text"]], label_weight=0.5)


def test_the_same_seed_gives_the_same_student(teacher, reviews, distil):
    first, second = (distil(teacher, reviews["text"]).predict_proba(reviews) for _ in range(2))
    np.testing.assert_array_equal(first, second)


# Bad input


def test_texts_that_teach_nothing(teacher, reviews, distil):
    for texts, message in (
        ([], "0 of 0 texts can be used"),
        (["", " \n", None], "0 of 3 texts"),
        (["one"], "1 of 1 texts"),
    ):
        with pytest.raises(ValueError, match=message):
            distil(teacher, texts)
    with pytest.warns(UserWarning, match="2 rows without text or prediction were skipped"):
        student = distil(teacher, [*reviews["text"], "  ", None], phases=[])
    assert sum(len(dl.dataset) for dl in student.dls.loaders) == len(reviews)
    strange = distil(teacher, ["12 !! 🙂", "— … ¿", "。", "0"] * 5, phases=[])
    assert np.isfinite(strange.dls.train.further[0]).all()


def test_fewer_texts_than_a_batch(teacher, reviews, distil):
    student = distil(teacher, reviews["text"].head(8), bs=64)
    assert np.isfinite(student.predict_proba(reviews)).all()


def test_one_class_only(teacher, reviews, distil):
    good = reviews.loc[reviews["label"] == "good", "text"]
    with pytest.warns(UserWarning, match="the teacher predicts 'good' for all 60 texts"):
        distil(teacher, good, phases=[])
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="probes need at least two classes"):
        distil(teacher, good, layers=None)


def test_layers_that_are_not_there(teacher, reviews, distil, monkeypatch):
    monkeypatch.setattr(teachers, "_saved_probs", None)  # the error comes before the teacher predicts
    for layers in (0, 3):
        with pytest.raises(ValueError, match=f"layers={layers} must be between 1 and 2"):
            distil(teacher, reviews["text"], layers=layers)


def test_teachers_that_are_none_or_do_not_go_together(teacher, make, rows, distil, tiny):
    other = make(rows, label_col="amount", bins=3)
    with pytest.raises(ValueError, match=r"must have the same target.*single label: 2 classes.*ordinal: 3 buckets"):
        distil([teacher, other], rows["text"])
    for none in ([], "models/k", None, [teacher, "k"]):
        with pytest.raises(TypeError, match="must be a learner, a predictor"):
            distil(none, rows["text"])
    probs = teacher.predict_proba(rows)
    with pytest.raises(ValueError, match="120 predictions for 10 texts"):
        distil(probs, rows["text"].head(10), model=tiny)
    with pytest.raises(ValueError, match=r"columns \['value'\] are not class probabilities"):
        distil(pd.DataFrame({"value": [1.0, 2.0]}), ["a", "b"], model=tiny)
    with pytest.raises(ValueError, match="text_col='text' is not a column"):
        distil(teacher, rows[["label"]])


def test_numbers_out_of_range(teacher, reviews, distil):
    for wrong in ({"temperature": 0}, {"label_weight": 1.5}):
        with pytest.raises(
            ValueError, match=r"temperature=.* must be above 0, and label_weight=.* must be from 0 to 1"
        ):
            distil(teacher, reviews["text"], **wrong)


def test_several_labels_have_no_probe(make, rows, distil):
    with pytest.raises(ValueError, match="probes need one class per row"):
        distil(make(rows, **TASKS["several"]), rows["text"], layers=None)
