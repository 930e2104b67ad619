"""A trimmed vocabulary keeps the predictions on its texts and still reads any other text."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.encoders import LAYERS, random_encoder

import kickbert
from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.reading import Artifact, read_artifact
from kickbert.models.artifact.vocabulary import EMBEDDINGS, merges_within, trim_vocabulary

CORPUS = [
    "a bright, warm film of wonderful characters",
    "a dull and boring story, international nations",
    "ein wunderbarer und langer Film über Straßen",
    "une histoire très émouvante, à voir",
    "фильм просто замечательный",
    "这部电影很好看",
    "فيلم جميل جدا",
] * 12
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def wordpiece():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertTokenizerFast

    out = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    out.normalizer, out.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    out.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=400, special_tokens=BERT))
    out.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return BertTokenizerFast(tokenizer_object=out, model_max_length=64), {"pad_token_id": 0}


def byte_level():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import RobertaTokenizerFast

    out = Tokenizer(models.BPE(unk_token="<unk>"))
    out.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = [*SPECIAL, "<mask>"]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet)
    out.train_from_iterator(CORPUS, trainer)
    out.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return RobertaTokenizerFast(tokenizer_object=out, model_max_length=64), {"pad_token_id": 1}


def unigram():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    out = Tokenizer(models.Unigram())
    steps = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    out.pre_tokenizer = pre_tokenizers.Sequence(steps)
    out.train_from_iterator(CORPUS, trainers.UnigramTrainer(vocab_size=300, special_tokens=SPECIAL, unk_token="<unk>"))
    out.add_special_tokens(["<mask>"])  # outside the model, as in XLM-R
    pair = "<s> $A </s> </s> $B </s>"
    out.post_processor = processors.TemplateProcessing("<s> $A </s>", pair, [("<s>", 0), ("</s>", 2)])
    named = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>"}
    named |= {"unk_token": "<unk>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=out, model_max_length=64, **named), {"pad_token_id": 1}


KINDS = {"WordPiece": (wordpiece, "bert"), "BPE": (byte_level, "roberta"), "Unigram": (unigram, "xlm-roberta")}


@pytest.fixture(scope="module", params=KINDS)
def model(request, tmp_path_factory):
    """A model model of two text columns, by the kind of its tokenizer."""
    from transformers import AutoConfig, AutoModel

    home = tmp_path_factory.mktemp("vocabulary")
    (tokenizer, ids), kind = KINDS[request.param][0](), KINDS[request.param][1]
    torch.manual_seed(0)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), max_position_embeddings=66, **size, **ids)
    AutoModel.from_config(config).save_pretrained(home / "base")
    tokenizer.save_pretrained(home / "base")
    df = pd.DataFrame({"text": CORPUS, "more": CORPUS[::-1], "label": ["a", "b"] * (len(CORPUS) // 2)})
    learn = kickbert.learner_from_df(
        df, text_col=["text", "more"], model=home / "base", precision="fp32", path=home, bs=16
    )
    learn.fit_one_cycle(1, 1e-2)
    return read_artifact(learn.save_artifact(home / "k")), df


SEEN = [("a warm film, très émouvante", "фильм"), ("a warm story ☃", ""), ("这部电影", "international </s> nations")]


def test_predictions_stay_and_the_model_is_smaller(model):
    artifact, _ = model
    trimmed = trim_vocabulary(artifact, SEEN)
    assert artifact.version == "v1" and int(trimmed.version[1:]) > 1
    assert read_artifact(artifact.folder.parent).version == trimmed.version
    sizes = [a.manifest["model.safetensors"]["bytes"] for a in (trimmed, artifact)]
    assert sizes[0] < sizes[1] and trimmed.metadata["vocabulary"]["tokens"] < trimmed.metadata["vocabulary"]["of"]
    before, after = (kickbert.load(a.folder, backend="torch") for a in (artifact, trimmed))
    np.testing.assert_allclose(after.predict_proba(SEEN), before.predict_proba(SEEN), atol=1e-6)
    # other texts are split further, and no known character becomes unknown
    unseen = [("замечательный wunderbarer", "جميل boring"), ("", "")]
    assert np.isfinite(after.predict_proba(unseen)).all()
    tokenizer, smaller = (a.token_encoder.tokenizer for a in (artifact, trimmed))
    unknown = [t.token_to_id("[UNK]") if t.token_to_id("[UNK]") is not None else t.token_to_id("<unk>")
               for t in (tokenizer, smaller)]  # fmt: skip
    for text in CORPUS[:7]:
        ids = [t.encode(text, add_special_tokens=False).ids for t in (tokenizer, smaller)]
        assert unknown[1] not in ids[1] and unknown[0] not in ids[0] and len(ids[1]) >= len(ids[0])


def test_a_trimmed_version_trains_on_and_is_trimmed_again(model, tmp_path):
    artifact, df = model
    trimmed = trim_vocabulary(artifact, df)
    learn = kickbert.learner_from_artifact(trimmed.folder, df, precision="fp32", path=tmp_path)
    expected = kickbert.load(artifact.folder, backend="torch").predict_proba(df)
    np.testing.assert_allclose(learn.predict_proba(df), expected, atol=1e-5)
    assert learn.dls.tokenizer.token_encoder.to_dict() == trimmed.metadata["tokens"]
    assert learn.dls.tokenizer.mask_id == trimmed.metadata["mask"]
    again = trim_vocabulary(trimmed, SEEN)
    assert again.metadata["vocabulary"]["of"] == trimmed.metadata["vocabulary"]["of"]
    probs = kickbert.load(again.folder, backend="torch").predict_proba(SEEN)
    np.testing.assert_allclose(probs, kickbert.load(artifact.folder, backend="torch").predict_proba(SEEN), atol=1e-6)


def test_ids_of_special_tokens_follow(model):
    artifact, _ = model
    trimmed = trim_vocabulary(artifact, [("a film", "a film")])
    tokenizers = [a.token_encoder.tokenizer for a in (artifact, trimmed)]
    for name in ("start", "between", "end"):
        names = [[t.id_to_token(i) for i in a.metadata["tokens"][name]]
                 for a, t in zip((artifact, trimmed), tokenizers, strict=True)]  # fmt: skip
        assert names[0] == names[1] and None not in names[1]
    masks = [t.id_to_token(a.metadata["mask"]) for a, t in zip((artifact, trimmed), tokenizers, strict=True)]
    assert masks[0] == masks[1] and masks[0].strip("[]<>").lower() == "mask"
    config = json.loads((trimmed.folder / "config.json").read_text())
    assert config["vocab_size"] == tokenizers[1].get_vocab_size() == trimmed.metadata["vocabulary"]["tokens"]


@pytest.mark.system
@pytest.mark.parametrize("model", ["Unigram"], indirect=True)
def test_export_trims_first_and_reports_the_sizes(model):
    pytest.importorskip("onnxruntime", reason="the extra kickbert[export] is not installed")
    artifact, df = model[0], model[1].head(3)
    made = kickbert.export(artifact.folder, df, ["onnx"], vocabulary=df, force=True)
    row = made.iloc[1]
    assert made["format"].tolist() == ["torch", "vocabulary", "onnx"]
    assert row["max_difference"] <= 1e-6 and row["same_prediction"] == 1
    assert row["MB"] < row["MB before"] and row["tokens"] < row["tokens before"]
    home = artifact.folder.parent
    assert "model.onnx" in read_artifact(home) and "model.onnx" not in read_artifact(artifact.folder)
    probs = kickbert.load(home, backend="onnx").predict_proba(df)
    np.testing.assert_allclose(probs, kickbert.load(artifact.folder, backend="torch").predict_proba(df), atol=1e-4)


def test_bad_inputs_are_refused(model, tmp_path):
    import shutil

    artifact, _ = model
    before = sorted(p.name for p in artifact.folder.parent.iterdir())
    for texts, message in (([], "has no texts"), ([" ", ("", "")], "has no words")):
        with pytest.raises(ValueError, match=message):
            trim_vocabulary(artifact, texts)
    with pytest.raises(TypeError, match="for one text give a list of it"):
        trim_vocabulary(artifact, "a film")
    copied = read_artifact(shutil.copytree(artifact.folder, tmp_path / "copied"))
    with pytest.raises(ArtifactError, match="is not a version"):
        trim_vocabulary(copied, SEEN)
    assert sorted(p.name for p in artifact.folder.parent.iterdir()) == before


@pytest.mark.parametrize("model", ["WordPiece"], indirect=True)
def test_other_tokenizers_are_refused(model, monkeypatch):
    artifact, _ = model
    read = Artifact.file

    def words(self, name):
        path = read(self, name)
        if name != "tokenizer.json":
            return path
        content = json.loads(path.read_text())
        content["model"] = {"type": "WordLevel", "vocab": content["model"]["vocab"], "unk_token": "[UNK]"}
        other = path.parent.parent / "other.json"
        other.write_text(json.dumps(content))
        return other

    artifact.token_encoder  # noqa: B018 - read before the file is another
    monkeypatch.setattr(Artifact, "file", words)
    with pytest.raises(ArtifactError, match="A WordLevel vocabulary cannot be trimmed"):
        trim_vocabulary(artifact, SEEN)


@pytest.mark.parametrize("model", ["BPE"], indirect=True)
def test_a_file_of_an_older_version_is_read(model, monkeypatch):
    """The tokenizer.json of roberta-base lacks the model's type and writes merges as strings."""
    artifact, read = model[0], Artifact.file

    def older(self, name):
        path = read(self, name)
        if name != "tokenizer.json" or self is not artifact:
            return path
        content = json.loads(path.read_text())
        del content["model"]["type"]
        content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
        other = path.parent.parent / "older.json"
        other.write_text(json.dumps(content))
        return other

    monkeypatch.setattr(Artifact, "file", older)
    trimmed = trim_vocabulary(artifact, SEEN)
    probs = kickbert.load(trimmed.folder, backend="torch").predict_proba(SEEN)
    np.testing.assert_allclose(probs, kickbert.load(artifact.folder, backend="torch").predict_proba(SEEN), atol=1e-6)


def test_merges_of_a_token_are_those_of_bpe():
    tokenizer = byte_level()[0].backend_tokenizer
    model = json.loads(tokenizer.to_str())["model"]
    ranks = {tuple(pair): rank for rank, pair in enumerate(model["merges"])}
    for token in model["vocab"]:
        if token not in SPECIAL and token != "<mask>":
            made = merges_within(token, ranks)
            assert len(token) == 1 or "".join(made[-1]) == token


@pytest.mark.parametrize("kind", LAYERS)
def test_every_architecture_has_one_table_of_tokens(kind):
    names = [name for name in random_encoder(kind).body.state_dict() if EMBEDDINGS.search(name)]
    assert len(names) == 1
