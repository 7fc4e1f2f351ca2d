"""Captioners: one stack or two, what they see, and what they cannot know."""

import pytest
import torch
from torch.nn import functional as F

import lstmbook as lb
from lstmbook.datasets.captioned import Cast, in_order, stills, swapped
from lstmbook.datasets.vocabulary import SentenceVocabulary
from lstmbook.models.captioning import (
    KINDS,
    S2VT,
    FrameCNN,
    MeanPool,
    OfFrames,
    Seen,
    Spotter,
    caption_scores,
    captioner,
    describe,
)
from lstmbook.models.writer import TeacherForcing

WORDS = SentenceVocabulary(["the", "cat", "moves", "left", "up"])
SHAPE = (1, 12, 12)


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def small(kind, shape=SHAPE, **options):
    torch.manual_seed(0)
    options = {"hidden_size": 8, "embedding_size": 5} | options
    model = captioner(WORDS, shape, kind, **options)
    for name, weight in model.named_parameters():
        if not name.endswith("bias") and "frames" not in name:
            torch.nn.init.normal_(weight, std=0.5)
    return model.double().eval()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [SHAPE, 7])
def test_a_word_at_a_time_equals_teacher_forcing(kind, shape):
    model = small(kind, shape)
    x = noise(3, 6, *(SHAPE if shape == SHAPE else (7,))).double()
    state, ctx = model.encode(x, torch.tensor([6, 2, 4]))
    ids = torch.randint(5, (3, 7))
    whole, _ = model(ids, state, ctx)
    parts, s = [], state
    for id_t in ids.split(1, dim=1):
        logits, s = model(id_t, s, ctx)
        parts.append(logits)
    assert whole.shape == (3, 7, 6)
    torch.testing.assert_close(torch.cat(parts, 1), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind):
    model = small(kind, 4)
    x, ids = noise(2, 7, 4).double(), torch.randint(5, (2, 3))
    padded = x.clone()
    padded[1, 5:] = torch.nan
    short = model(ids[1:], *model.encode(x[1:, :5]))[0]
    lengths = torch.tensor([7, 5])
    torch.testing.assert_close(model(ids, *model.encode(padded, lengths))[0][1:], short)


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_learns(kind):
    model = small(kind)
    pairs = [(noise(n, *SHAPE, seed=n).double(), "the cat moves up") for n in (3, 5)]
    batch, wanted = model._collate(model._encode_pairs(pairs))
    logits, _ = TeacherForcing(model)(batch)
    F.cross_entropy(logits.flatten(0, 1), wanted.flatten()).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and (weight.grad != 0).any(), name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1, 3])
def test_what_is_written_has_the_probability_it_says(kind, width):
    model = small(kind)
    films = [noise(n, *SHAPE, seed=n).double() for n in (4, 6)]
    for film, found in zip(films, model.search(films, width=width), strict=True):
        assert len(found) == width
        for h in found:
            if h.ended:
                [log_p] = model.log_probabilities([(film, h.ids)]).tolist()
                assert h.log_probability == pytest.approx(log_p)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_it_says_the_same(kind, tmp_path):
    model = small(kind, bidirectional=kind == "attention")
    again = lb.load(lb.save(model, tmp_path / "captions.safetensors"))
    film = noise(5, *SHAPE).double()
    assert again.translate(film, width=2) == model.translate(film, width=2)
    pairs = [(film, "the cat moves left")]
    assert torch.equal(again.log_probabilities(pairs), model.log_probabilities(pairs))


def test_s2vt_is_one_stack_that_reads_zeros_where_there_is_nothing():
    """The whole of it as one pass of two layers over frames and words."""
    model = small("s2vt", 4)
    x, ids = noise(2, 5, 4).double(), torch.randint(5, (2, 3))
    frames = torch.cat([x, torch.zeros(2, 3, 4).double()], 1)
    words = torch.cat([torch.zeros(2, 5, 5).double(), model.embedding(ids)], 1)
    first, _ = model.first(frames)
    second, _ = model.second(torch.cat([first, words], 2))
    want = model.output(second[:, 5:])
    got, _ = model(ids, *model.encode(x))
    torch.testing.assert_close(got, want)


def test_the_mean_knows_no_order_and_the_others_do():
    for kind in KINDS:
        model = small(kind)
        film = noise(6, *SHAPE).double()
        pairs = [(film, "the cat moves up"), (film.flip(0), "the cat moves up")]
        one, other = model.log_probabilities(pairs).tolist()
        assert (abs(one - other) < 1e-9) == (kind == "mean")


def test_the_mean_is_of_the_real_steps():
    layer = MeanPool(3)
    x = noise(2, 4, 3)
    y, state = layer(x, None, torch.tensor([4, 2]))
    torch.testing.assert_close(state.h, torch.stack([x[0].mean(0), x[1, :2].mean(0)]))
    assert (y[1, 2:] == 0).all() and torch.equal(y[0], x[0])
    torch.testing.assert_close(layer(x)[1].h, x.mean(1))


def test_attention_over_frames_comes_with_the_words():
    film = noise(6, *SHAPE).double()
    for caption in describe(small("attention"), film, width=2, max_length=5):
        n = len(caption.text.split())
        assert caption.attention.shape == (n + 1, 6)
        torch.testing.assert_close(caption.attention.sum(1), torch.ones(n + 1).double())
    for kind in ("s2vt", "mean"):
        [caption] = describe(small(kind), film, max_length=5)
        assert caption.attention is None and caption.log_probability < 0


def test_features_say_what_wherever_it_is_and_where():
    torch.manual_seed(0)
    network = FrameCNN((1, 48, 48), (4, 6, 8), points=2)
    assert network.output_size == 12
    frames = torch.zeros(1, 3, 1, 48, 48)
    frames[0, 0, 0, 16:21, 16:21] = frames[0, 1, 0, 24:29, 16:21] = noise(5, 5)
    frames[0, 2, 0, 16:21, 16:21] = noise(5, 5, seed=1)
    here, there, other = network(frames)[0]
    # eight pixels are two whole steps of the convolutions' grid
    torch.testing.assert_close(here[:8], there[:8])
    assert not torch.allclose(here[:8], other[:8], atol=1e-3)
    assert not torch.allclose(here[8:], there[8:], atol=1e-4)
    assert (here[8:] > 0).all() and (here[8:] < 1).all()


def test_mean_places_are_of_rows_and_columns():
    network = FrameCNN((1, 8, 12), (1,), points=1)
    for weight in network.parameters():
        torch.nn.init.zeros_(weight)
    network.network[0].weight.data[0, 0, 2, 2] = 1  # a copy of the picture
    network.maps.weight.data.fill_(50)
    frames = torch.zeros(1, 1, 1, 8, 12)
    frames[0, 0, 0, 2, 9] = 1
    what, y, x = network(frames)[0, 0].tolist()
    assert what == 1
    assert y == pytest.approx(2 / 7) and x == pytest.approx(9 / 11)


def troupe(split="train"):
    """Three actors: a bar, a square and a cross, a little different every time."""
    size = 5
    shapes = torch.zeros(3, size, size)
    shapes[0, 2] = shapes[1, :, 0] = shapes[1, 0] = shapes[1, :, 4] = shapes[1, 4] = 1
    shapes[2] = torch.eye(size).maximum(torch.eye(size).flip(0))
    g = torch.Generator().manual_seed(len(split))
    ink = 0.7 + 0.3 * torch.rand((3, 8, 1, 1), generator=g)
    sprites = (shapes[:, None] * ink).flatten(0, 1)
    actors = ("the bar", "the square", "the cross")
    return Cast(sprites, torch.arange(3).repeat_interleave(8), actors, split)


@pytest.fixture(scope="module")
def seen():
    torch.manual_seed(0)
    network = FrameCNN((1, 16, 16), (8, 12, 16), points=2)
    spotter = Spotter(network, 3)
    spotter.fit(stills(troupe(), 1500, 0, size=16),
                stills(troupe("valid"), 100, 1, size=16), epochs=6,
                batch_size=32, learning_rate=0.01, seed=0, progress=False,
                checks=3)  # fmt: skip
    assert spotter.accuracy(stills(troupe("test"), 200, 2, size=16)) > 0.95
    films = in_order(troupe(), 50, 3, size=16, time=8)
    return Seen(network).fit(films.frames)


def test_features_that_are_seen_have_mean_0_and_deviation_1(seen):
    films = in_order(troupe(), 50, 3, size=16, time=8)
    features = torch.cat([seen.encode(f) for f in films.frames])
    torch.testing.assert_close(features.mean(0), torch.zeros(20), atol=1e-4, rtol=0)
    moving = seen.deviation != 1
    assert moving.sum() > 10
    ones = torch.ones(int(moving.sum()))
    torch.testing.assert_close(features.std(0)[moving], ones, atol=1e-3, rtol=0)


def test_the_order_of_events_is_learned_with_attention_and_not_from_the_mean(
    seen, tmp_path
):
    films = in_order(troupe(), 500, 0, size=16, time=8)
    test = in_order(troupe("test"), 40, 1, size=16, time=8, combinations="train")
    other = swapped(troupe("test"), test)
    words = SentenceVocabulary.of(films.captions)
    right = {}
    for kind in ("attention", "mean"):
        torch.manual_seed(0)
        model = captioner(words, 20, kind, hidden_size=32, source=seen)
        model.fit(films.pairs(), epochs=8, batch_size=32, learning_rate=0.015, seed=0,
                  progress=False, checks=2)  # fmt: skip
        # which of the two sentences is likelier, for a film and for its partner
        right[kind] = [
            model.log_probabilities(list(zip(a.frames, a.captions, strict=True)))
            > model.log_probabilities(list(zip(a.frames, b.captions, strict=True)))
            for a, b in ((test, other), (other, test))
        ]
        if kind == "attention":
            back = lb.load(lb.save(model, tmp_path / "model.safetensors"))
            film = test.frames[0]
            assert back.translate(film) == model.translate(film)
    share = {k: torch.cat(v).float().mean().item() for k, v in right.items()}
    assert share["attention"] > 0.9
    # the same features, the same answer: right about one of two partners, by necessity
    assert share["mean"] == 0.5


def test_sentences_are_scored_by_exact_words_and_bleu():
    same = ["the cat moves left and up", "a b c d"]
    assert caption_scores(same, same) == (1, 1)
    scores = caption_scores(["a b c d", "x y z w"], [["q", "a b c d"], "x y z v"])
    assert scores.exact == 0.5 and 0 < scores.bleu < 1
    # by hand: of 4 + 4 words 7 are right, of 6 pairs 5, of 4 triples 3, of 2 fours 1
    assert scores.bleu == pytest.approx((7 / 8 * 5 / 6 * 3 / 4 * 1 / 2) ** 0.25)


def test_sentences_become_words_and_come_back():
    words = SentenceVocabulary.of(["The cat moves.", "a cat's tail, twice: cat"])
    assert words.symbols == ["a", "cat", "cat's", "moves", "tail", "the", "twice"]
    assert words.decode(words.encode("A CAT moves!")) == "a cat moves"
    with pytest.raises(ValueError, match="'dog' at position 1"):
        words.encode("the dog")
    rare = SentenceVocabulary.of(["the cat", "the dog"], at_least=2)
    assert rare.decode(rare.encode("the cat the")) == "the <unknown> the"
    assert rare.encode(rare.decode(torch.tensor([1, 0]))).tolist() == [1, 0]
    with pytest.raises(ValueError, match="'dog' is not among"):
        SentenceVocabulary(["cat"], unknown="dog")


def layer(size, hidden=4):
    return lb.Recurrent(lb.LSTMCell(size, hidden))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: captioner(WORDS, 4, "max"), "'max'.*attention"),
        (lambda: captioner(WORDS, 4, "mean", bidirectional=True), "both directions"),
        (lambda: captioner(WORDS, (1, 0, 8)), r"\(1, 0, 8\)"),
        (lambda: small("mean").encode(noise(2, 3, 1, 9, 9)), r"9, 9\).*\(1, 12, 12\)"),
        (lambda: S2VT(None, 3, None, layer(4), layer(4)), "reads 4.*4 of them"),
        (lambda: S2VT(5, 3, None, layer(4), layer(6)), "source=None"),
        (lambda: S2VT(None, 3, MeanPool(5), layer(4), layer(6)), "5 features.*reads 4"),
        (lambda: OfFrames(FrameCNN(SHAPE), layer(4)), "56 features.*reads 4"),
        (lambda: MeanPool(3)(noise(2, 4, 3), state=1), "no state"),
        (lambda: MeanPool(3)(noise(2, 4, 2)), "2 features.*built for 3"),
        (lambda: caption_scores(["a"], []), "1 sentences and 0"),
        (lambda: caption_scores(["a"], [[]]), "at least one reference"),
    ],
)
def test_a_bad_argument_raises_and_says_why(call, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        call()
