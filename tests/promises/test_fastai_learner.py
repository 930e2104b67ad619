"""fastai's documentation, "Learner": attributes and methods of every learner."""

import pickle

import pytest
import torch
from fastai.learner import Learner, load_learner


def test_it_is_a_learner_with_the_usual_attributes(trained):
    assert isinstance(trained, Learner)
    assert (trained.lr, trained.wd, trained.model_dir) == (1e-4, 0.01, "models")
    assert [metric.name for metric in trained.metrics] == ["accuracy", "macro-F1"]


def test_its_callbacks_can_be_had_by_their_names(trained):
    assert trained.recorder in trained.cbs and trained.recorder.name == "recorder"
    assert trained.train_eval in trained.cbs


def test_validate_gives_the_loss_and_each_metric(trained):
    loss, accuracy, _ = trained.validate()
    probs, codes = trained.get_preds()
    assert loss == pytest.approx(-probs[range(18), codes].log().mean().item(), abs=1e-5)
    assert accuracy == pytest.approx((probs.argmax(1) == codes).float().mean().item())


def test_validate_takes_other_rows(trained):
    in_order = trained.dls.train.new(shuffle=False)
    assert list(trained.validate(ds_idx=0)) == pytest.approx(list(trained.validate(dl=in_order)), abs=1e-4)


def test_get_preds_are_probabilities_in_the_order_of_the_rows(trained):
    probs, codes = trained.get_preds()
    assert probs.shape == (18, 2) and torch.allclose(probs.sum(1), torch.ones(18))
    assert [trained.dls.vocab[int(code)] for code in codes] == [row.target for row in trained.dls.valid_ds.items]


def test_get_preds_of_training_rows_are_in_their_order_too(trained):
    _, codes = trained.get_preds(ds_idx=0)
    assert [trained.dls.vocab[int(code)] for code in codes] == [row.target for row in trained.dls.train_ds.items]


def test_get_preds_with_decoded(trained):
    probs, _, decoded = trained.get_preds(with_decoded=True)
    assert torch.equal(decoded, probs.argmax(1))


def test_get_preds_with_loss(trained):
    probs, codes, losses = trained.get_preds(with_loss=True)
    assert torch.allclose(losses, -probs[range(18), codes].log(), atol=1e-5)


def test_get_preds_with_a_custom_activation(trained):
    logits, probs = trained.get_preds(act=lambda x: x)[0], trained.get_preds()[0]
    assert torch.allclose(logits.softmax(1), probs, atol=1e-6)


def test_get_preds_of_a_test_dl(trained):
    dl = trained.dls.test_dl(["a real bore", "wonderful and moving"])
    probs, codes = trained.get_preds(dl=dl)
    assert probs.shape == (2, 2) and codes is None


def test_predict_gives_label_code_and_probabilities(trained):
    label, code, probs = trained.predict("a bright, warm film")
    assert label == trained.dls.vocab[int(code)] and int(probs.argmax()) == int(code)


def test_predict_with_input_gives_the_text_back(trained):
    assert trained.predict("a bright, warm film", with_input=True)[0] == "a bright, warm film"


def test_show_results_prints_the_rows(trained, capsys):
    trained.show_results(max_n=3)
    assert capsys.readouterr().out.split()[:3] == ["text", "target", "predicted"]


def test_show_training_loop_names_the_events(trained, capsys):
    trained.show_training_loop()
    assert "after_loss" in capsys.readouterr().out


def test_no_logging_is_silent(learn, capsys):
    capsys.readouterr()
    with learn.no_logging(), learn.no_bar():
        learn.fit(1, 1e-3)
    assert capsys.readouterr().out == ""


def test_loss_not_reduced_is_for_a_while(trained):
    with trained.loss_not_reduced():
        assert trained.loss_func.reduction == "none"
    assert trained.loss_func.reduction == "mean"


def test_save_and_load_with_the_optimizer(learn):
    learn.fit(1, 1e-3)
    file = learn.save("stage")
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    learn.fit(1, 1e-2)
    assert file.name == "stage.pth" and learn.load("stage") is learn
    assert all(torch.equal(value, before[name]) for name, value in learn.model.state_dict().items())


def test_export_and_load_learner(trained, tmp_path):
    trained.export(tmp_path / "export.pkl")
    again = load_learner(tmp_path / "export.pkl")
    assert torch.allclose(again.predict("a real bore")[2], trained.predict("a real bore")[2], atol=1e-6)


def test_a_pickle_keeps_rows_and_weights(trained):
    again = pickle.loads(pickle.dumps(trained))
    assert torch.allclose(again.get_preds()[0], trained.get_preds()[0], atol=1e-6)


def test_freeze_freeze_to_and_unfreeze(learn):
    trains = lambda: learn.groups["trainable"].tolist()  # noqa: E731
    learn.freeze()
    assert trains() == [False, False, False, True]
    learn.freeze_to(-2)
    assert trains() == [False, False, True, True]
    learn.freeze_to(1)
    assert trains() == [False, True, True, True]
    learn.unfreeze()
    assert all(trains())


def test_a_callback_of_a_fit_is_gone_after_it_and_add_cb_stays(learn):
    from fastai.callback.core import Callback

    class Counter(Callback):
        fits = 0

        def before_fit(self):
            Counter.fits += 1

    learn.fit(1, 1e-3, cbs=Counter())
    assert not hasattr(learn, "counter")
    learn.add_cb(Counter)
    learn.fit(1, 1e-3)
    assert Counter.fits == 2 and learn.counter in learn.cbs
    learn.remove_cb(Counter)
    assert not hasattr(learn, "counter")


def test_an_optimizer_is_recreated_on_request(learn):
    learn.fit(1, 1e-3)
    first = learn.opt
    learn.fit(1, 1e-3)
    assert learn.opt is first
    learn.fit(1, 1e-3, reset_opt=True)
    assert learn.opt is not first
