"""Words and phrases from sound: lengths, pooling, learning, error rates, saving."""

import math

import pytest
import torch
from torch import nn

import lstmbook as lb
from lstmbook import ctc
from lstmbook.audio import AudioFeatures, mask
from lstmbook.datasets.speech import Utterance, digit_strings
from lstmbook.datasets.vocabulary import SymbolVocabulary, Vocabulary
from lstmbook.edits import errors
from lstmbook.models.speech import SpeechClassifier, SpeechRecogniser, deep_layer

WORDS = ("up", "down", "hold")
KINDS = [
    {},
    {"bidirectional": True},
    {"cell": "gru", "layers": 2, "dropout": 0.3},
    {"cell": "rnn", "bidirectional": True, "layers": 2},
]


def spoken(n, seed=0):
    """Two features that rise, fall or stay, in 4 to 9 steps, with some noise."""
    g = torch.Generator().manual_seed(seed)
    found = []
    for k in range(n):
        steps = int(torch.randint(4, 10, (1,), generator=g))
        line = torch.linspace(-1, 1, steps) * (1, -1, 0)[k % 3]
        x = torch.stack([line, 1 - line.abs()], 1)
        x = x + 0.1 * torch.randn(steps, 2, generator=g)
        found.append(Utterance(x, WORDS[k % 3]))
    return found


def features():
    return AudioFeatures("ready", size=2).fit([u.sound for u in spoken(9)])


def classifier(seed=0, **options):
    torch.manual_seed(seed)
    model = SpeechClassifier.of_size(WORDS, features(), 8, **options)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.5)
    return model.eval()


def recogniser(seed=0, vocabulary=None, **options):
    torch.manual_seed(seed)
    words = vocabulary or SymbolVocabulary(WORDS)
    return SpeechRecogniser.of_size(words, features(), 8, **options).eval()


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_recording_alone_is_what_it_is_in_a_batch(kind, pooling):
    model, words = classifier(pooling=pooling, **kind), [u.sound for u in spoken(7)]
    together = model.probabilities(words)
    assert together.shape == (7, 3)
    for word, row in zip(words, together, strict=True):
        torch.testing.assert_close(model.probabilities(word), row)
    torch.testing.assert_close(model.probabilities(words, batch_size=2), together)
    assert model.predict(words) == [WORDS[k] for k in together.argmax(1)]


def test_what_is_pooled_is_the_mean_or_the_end():
    x, lengths = torch.randn(2, 6, 2), torch.tensor([6, 3])
    for pooling in ("mean", "last"):
        model = classifier(pooling=pooling)
        y, _ = model.layer(x[1:, :3])
        want = model.output(y.mean(1) if pooling == "mean" else y[:, -1])
        torch.testing.assert_close(model(x, None, lengths)[0][1:], want)
    both = classifier(pooling="last", bidirectional=True)
    y, _ = both.layer(x[1:, :3])
    ends = torch.cat([y[:, -1, :8], y[:, 0, 8:]], 1)
    torch.testing.assert_close(both(x, None, lengths)[0][1:], both.output(ends))


@pytest.mark.parametrize("kind", KINDS[:2])
def test_over_time_is_what_each_beginning_says(kind):
    model, [word] = classifier(**kind), spoken(1)
    rows = model.over_time(word)
    assert rows.shape == (len(word.sound), 3)
    torch.testing.assert_close(rows[-1], model.probabilities(word))
    torch.testing.assert_close(rows[2], model.probabilities(word.sound[:3]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(kind):
    x, lengths = torch.randn(3, 7, 2), torch.tensor([7, 4, 5])
    listener = recogniser(**{"bidirectional": False, "layers": 1, **kind})
    log_p, _ = listener(x, None, lengths)
    wanted = torch.tensor([[1, 2, 3], [2, -100, -100], [3, 1, -100]])
    ctc.loss(log_p, wanted, lengths).sum().backward()
    model = classifier(**kind)
    model(x, None, lengths)[0].logsumexp(1).sum().backward()
    for name, weight in (*listener.named_parameters(), *model.named_parameters()):
        assert weight.grad is not None and (weight.grad != 0).any(), name


def test_five_lines_learn_words_and_save_them(tmp_path):
    torch.manual_seed(0)
    train, test = spoken(90), spoken(30, seed=1)
    model = SpeechClassifier.of_size(WORDS, AudioFeatures("ready", size=2), 12)
    model.fit(train, epochs=6, learning_rate=0.02, seed=0, checks=3, progress=False)
    lb.save(model, tmp_path / "words.safetensors")
    again = lb.load(tmp_path / "words.safetensors")
    assert model.accuracy(test) >= 0.9
    assert len(model.training_record["valid"]) == 3 and not model.training
    assert torch.equal(again.features.mean, model.features.mean)
    sounds = [u.sound for u in test]
    assert torch.equal(again.probabilities(sounds), model.probabilities(sounds))
    assert again.predict(test[0]) == model.predict(test[0].sound)


@pytest.fixture(scope="module")
def listeners():
    """A recogniser and a framewise one, of words in a row."""
    strings = digit_strings(spoken(60), 200, digits=(1, 4), seed=0)
    models = {}
    for framewise in (False, True):
        torch.manual_seed(0)
        model = SpeechRecogniser.of_size(
            SymbolVocabulary(WORDS), AudioFeatures("ready", size=2), 16, layers=1
        )
        models[framewise] = model.fit(
            strings, framewise=framewise, epochs=12, learning_rate=0.03, seed=0,
            checks=2, progress=False,
        )  # fmt: skip
    return models


def test_phrases_are_learned_without_alignments(listeners, tmp_path):
    test = digit_strings(spoken(30, seed=2), 40, digits=(1, 4), seed=5)
    model = listeners[False]
    rates = model.error_rates(test)
    assert rates.word <= 0.15 and rates.wrong < 0.5
    sounds, texts = [u.sound for u in test], [u.text for u in test]
    found = model.transcribe(sounds)
    # torchmetrics and our own edits are two ways to one number
    words = errors([t.split() for t in found], [[t.split()] for t in texts])
    letters = errors(found, [[t] for t in texts])
    assert rates.word == pytest.approx(words.rate)
    assert rates.character == pytest.approx(letters.rate)
    assert rates.wrong == words.wrong
    wide = model.transcribe(sounds, width=8)
    assert sum(a == b for a, b in zip(wide, found, strict=True)) > 20
    again = lb.load(lb.save(model, tmp_path / "ears.safetensors"))
    assert again.transcribe(sounds, width=8) == wide
    assert again.transcribe(test[0]) == found[0]


def test_one_sound_alone_is_heard_as_in_a_batch(listeners):
    sounds = [u.sound for u in digit_strings(spoken(20), 5, seed=1)]
    for row, sound in zip(listeners[False].log_probabilities(sounds), sounds,
                          strict=True):  # fmt: skip
        assert row.shape == (len(sound), 4)
        torch.testing.assert_close(
            listeners[False].log_probabilities(sound), row, atol=1e-5, rtol=1e-4
        )


def test_alignments_lie_where_the_words_are(listeners):
    [string] = digit_strings(spoken(30, seed=3), 1, digits=(3, 3), seed=8)
    found = listeners[False].align(string.sound, string.text)
    assert found.of_labels().shape == (len(string.sound), 3)
    peaks = found.of_labels().argmax(0).tolist()
    assert peaks == sorted(peaks)
    assert -found.log_probability == pytest.approx(
        float(ctc.loss(
            listeners[False].log_probabilities(string)[None],
            listeners[False].labels(string.text)[None],
        )),
        rel=1e-3,
    )  # fmt: skip


def test_framewise_targets_are_the_words_in_their_spans(listeners):
    model = listeners[True]
    sound = torch.zeros(9, 2)
    string = Utterance(sound, "down up", "", ((1, 4), (6, 9)))
    assert model._frames(string, sound, 0).tolist() == [0, 2, 2, 2, 0, 0, 1, 1, 1]
    stacked = SpeechRecogniser.of_size(
        SymbolVocabulary(WORDS), AudioFeatures("ready", size=2, stack=2), 4
    )
    x = stacked.features(sound)
    assert stacked._frames(string, x, 0).tolist() == [0, 2, 0, 1, 1]
    test = digit_strings(spoken(30, seed=2), 30, digits=(1, 1), seed=5)
    assert model.error_rates(test).word < 0.4
    log_p = model.log_probabilities(test[0]).exp()
    # it says the word nearly all the time, where CTC would be blank between spikes
    assert float(log_p[:, 0].mean()) < 0.3


def test_log_probabilities_keep_or_gain_precision():
    model = recogniser()
    x = torch.randn(1, 5, 2)
    assert model.double()(x.double())[0].dtype == torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        log_p, _ = model.float()(x)
    assert log_p.dtype == torch.float32
    torch.testing.assert_close(log_p.exp().sum(2), torch.ones(1, 5))


def test_texts_of_letters_keep_their_spaces():
    model = recogniser(vocabulary=Vocabulary(" abc"))
    assert model.labels("ab c").tolist() == [2, 3, 1, 4]
    assert model.text([2, 3, 1, 4]) == "ab c" and model.text([]) == ""
    words = recogniser()
    assert words.labels("down up").tolist() == [2, 1] and words.text([2, 1]) == (
        "down up"
    )
    assert words.labels(["down", "up"]).tolist() == [2, 1]


def test_features_are_fitted_once_on_the_training_part_only():
    train, valid = spoken(12), [Utterance(torch.full((5, 2), 50.0), "up")]
    model = SpeechClassifier.of_size(WORDS, AudioFeatures("ready", size=2), 4)
    model.fit(train, valid, epochs=1, checks=1, progress=False)
    want = torch.cat([u.sound for u in train]).mean(0)
    torch.testing.assert_close(model.features.mean, want)
    model.fit(spoken(12, seed=9), valid, epochs=1, checks=1, progress=False)
    torch.testing.assert_close(model.features.mean, want)


def test_augmentation_is_for_training_and_drawn_anew():
    seen = []

    def change(x):
        seen.append(len(x))
        return mask(x, bands=1, steps=2)

    model = SpeechClassifier.of_size(WORDS, AudioFeatures("ready", size=2), 4)
    train, valid = spoken(12), spoken(5, seed=1)
    model.fit(train, valid, epochs=3, checks=1, augment=change, progress=False)
    assert len(seen) == 3 * len(train)


def test_one_seed_gives_the_same_weights_and_the_bar_is_text(capsys):
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(0)
        model = SpeechClassifier.of_size(WORDS, features(), 4, dropout=0.5)
        model.fit(spoken(30), epochs=2, checks=1, seed=seed, batch_size=8)
        found.append(model.output.weight.detach().clone())
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
    assert "epoch 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: deep_layer(2, 4, cell="elman"), ValueError, "cell='elman'"),
        (lambda: deep_layer(2, 4, 0), ValueError, "layers=0"),
        (lambda: classifier(pooling="max"), ValueError, "pooling='max'"),
        (lambda: SpeechClassifier(["a", "a"], features(), deep_layer(2, 4)),
         ValueError, "each once"),
        (lambda: SpeechClassifier(WORDS, features(), deep_layer(3, 4)),
         ValueError, "layer reads 3 values a step, the features have 2"),
        (lambda: SpeechRecogniser.of_size(
            SymbolVocabulary(WORDS), AudioFeatures("ready", size=2)
        ).transcribe(torch.zeros(4, 2)), RuntimeError, "not fitted yet"),
        (lambda: classifier().fit([]), ValueError, "0 examples to train on"),
        (lambda: classifier().fit([(torch.zeros(4, 2), "left")] * 20), ValueError,
         "'left', not one of"),
        (lambda: classifier().predict([]), ValueError, "no sounds"),
        (lambda: classifier().predict(torch.zeros(4, 3)), ValueError, r"\[time, 2\]"),
        (lambda: recogniser().fit([(torch.zeros(4, 2), "up up up")] * 20),
         ValueError, "needs 5 steps and its sound has 4"),
        (lambda: recogniser().fit([(torch.zeros(4, 2), "up")] * 20, framewise=True),
         ValueError, "1 symbols and 0 spans"),
        (lambda: recogniser().fit([(torch.zeros(4, 2), "left")] * 20), ValueError,
         "'left'"),
        (lambda: recogniser().transcribe(torch.zeros(4, 2), width=0), ValueError,
         "width=0"),
        (lambda: recogniser().transcribe(torch.zeros(4, 2), bonus=1.0), ValueError,
         "no bonus"),
        (lambda: recogniser().error_rates([(torch.zeros(4, 2), "")]), ValueError,
         "all texts are empty"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_raises(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_file_of_your_own_is_heard(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("librosa")
    t = torch.arange(8000) / 16000
    words = [
        ((torch.sin(2 * math.pi * f * t) * 0.4)[:: 2], w)
        for f, w in ((300, "low"), (2000, "high")) for _ in range(6)
    ]  # fmt: skip
    torch.manual_seed(0)
    model = SpeechClassifier.of_size(
        ["low", "high"], AudioFeatures("log-mel", bands=12, stack=2), 8
    ).fit(words, epochs=10, learning_rate=0.05, checks=1, batch_size=4, progress=False)
    path = tmp_path / "mine.wav"
    stereo = torch.stack([torch.sin(2 * math.pi * 2000 * t) * 0.3] * 2, 1)
    soundfile.write(path, stereo.numpy(), 16000)
    assert model.predict(path) == model.predict(str(path)) == "high"
    path.write_bytes(b"nothing like a sound, and long enough to be looked at")
    with pytest.raises(ValueError, match="not a sound"):
        model.predict(path)
