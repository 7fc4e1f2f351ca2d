"""An encoder and a decoder: one unroll for learning and writing, masks, errors."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import lstmbook as lb
from lstmbook.datasets.vocabulary import SymbolVocabulary, Vocabulary
from lstmbook.models.seq2seq import Seq2Seq
from lstmbook.models.writer import Pairs, TeacherForcing

LETTERS, SOUNDS = Vocabulary("abcd"), SymbolVocabulary(["A!", "B!", "C!", "D!"])
KINDS = [("additive", "lstm"), ("multiplicative", "gru"), (None, "lstm")]


def model_of(attention="additive", cell="lstm", seed=0, **options):
    torch.manual_seed(seed)
    model = Seq2Seq.of_size(
        LETTERS, SOUNDS, 12, attention=attention, cell=cell, embedding_size=5, **options
    )
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.6)
    return model.double().eval()


def some_pairs(n, seed=0, longest=6):
    """Words of letters, and the same backwards in capitals."""
    g = torch.Generator().manual_seed(seed)
    pairs = []
    for _ in range(n):
        size = int(torch.randint(1, longest + 1, (1,), generator=g))
        word = LETTERS.decode(torch.randint(4, (size,), generator=g))
        pairs.append((word, [c.upper() + "!" for c in reversed(word)]))
    return pairs


@pytest.mark.parametrize(("attention", "cell"), KINDS)
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_symbol_at_a_time_equals_teacher_forcing(attention, cell, bidirectional):
    model = model_of(attention, cell, bidirectional=bidirectional)
    source, lengths = torch.randint(4, (3, 6)), torch.tensor([6, 2, 4])
    ids = torch.randint(5, (3, 7))
    state, ctx = model.encode(source, lengths)
    whole, last = model(ids, state, ctx)
    parts, s = [], state
    for id_t in ids.split(1, dim=1):
        logits, s = model(id_t, s, ctx)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    torch.testing.assert_close(s.h, last.h)
    assert whole.shape == (3, 7, 5)


@pytest.mark.parametrize(("attention", "cell"), KINDS)
@pytest.mark.parametrize("width", [1, 3])
def test_what_is_found_scores_what_the_model_gives_it(attention, cell, width):
    model = model_of(attention, cell)
    words = ["abca", "d", "bbcdda"]
    found = model.search(words, width=width, max_length=7, batch_size=2)
    for word, hypotheses in zip(words, found, strict=True):
        assert len(hypotheses) == width
        for h in hypotheses:
            begin = torch.tensor([model.boundary])
            want = torch.cat([h.ids, begin]) if h.ended else h.ids
            state, ctx = model.encode(LETTERS.encode(word)[None])
            given = torch.cat([begin, want[:-1]])[None]
            log_p = model(given, state, ctx)[0][0].log_softmax(1)
            p = log_p[torch.arange(len(want)), want].sum().item()
            assert h.log_probability == pytest.approx(p)


@pytest.mark.parametrize(("attention", "cell"), KINDS)
def test_the_loss_of_a_batch_is_that_of_its_rows(attention, cell):
    from lstmbook.training import sequence_loss

    model, pairs = model_of(attention, cell), some_pairs(5)
    whole = TeacherForcing(model)
    encoded = model._encode_pairs(pairs)
    batch, wanted = model._collate(encoded)
    assert isinstance(batch, Pairs)
    together = sequence_loss(whole(batch)[0], wanted) * (wanted >= 0).sum()
    alone = 0
    for pair in encoded:
        one, target = model._collate([pair])
        assert (target >= 0).all() and target.shape[1] == len(pair[1]) + 1
        alone += F.cross_entropy(whole(one)[0][0], target[0], reduction="sum")
    torch.testing.assert_close(together, alone)
    # what the padding holds is of no account
    other = batch._replace(
        source=batch.source.masked_fill(
            torch.arange(batch.source.shape[1]) >= batch.lengths[:, None], 3
        ),
        target=batch.target.clone(),
    )
    other.target[:, 1:][wanted[:, :-1] < 0] = 2
    loss = sequence_loss(whole(other)[0], wanted) * (wanted >= 0).sum()
    torch.testing.assert_close(loss, together)


def test_targets_begin_and_end_with_the_boundary():
    model = model_of()
    batch, wanted = model._collate(model._encode_pairs([("ab", ["B!"]), ("c", [])]))
    assert batch.source.tolist() == [[0, 1], [2, 0]]
    assert batch.lengths.tolist() == [2, 1]
    assert batch.target.tolist() == [[4, 1], [4, 4]]
    assert wanted.tolist() == [[1, 4], [4, -100]]


def test_without_attention_only_the_ends_of_the_source_are_read():
    model = model_of(None)
    _, ctx = model.encode(torch.randint(4, (2, 6)), torch.tensor([6, 3]))
    assert ctx.memory.shape == (2, 1, 12)
    _, last = model.encoder(
        model.source_embedding(torch.zeros(1, 3, dtype=torch.int64))
    )
    _, ctx = model.encode(torch.zeros(1, 3, dtype=torch.int64))
    ends = torch.cat([last.forward.h, last.backward.h], 1)
    torch.testing.assert_close(ctx.memory[:, 0], ends)
    assert not any(n.endswith(("W_a", "U_a")) for n, _ in model.named_parameters())


@pytest.mark.parametrize(("attention", "cell"), KINDS)
def test_every_parameter_gets_a_gradient(attention, cell):
    model = model_of(attention, cell)
    batch, wanted = model._collate(model._encode_pairs(some_pairs(8)))
    logits, _ = TeacherForcing(model)(batch)
    F.cross_entropy(logits.flatten(0, 1), wanted.flatten()).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and (weight.grad != 0).any(), name


@pytest.mark.parametrize("attention", ["additive", "multiplicative"])
def test_it_learns_to_reverse_and_keeps_the_best_weights(attention):
    torch.manual_seed(0)
    model = Seq2Seq.of_size(LETTERS, SOUNDS, 32, attention=attention, embedding_size=8)
    pairs, test = some_pairs(600, longest=4), some_pairs(60, seed=1, longest=4)
    model.fit(pairs, epochs=12, batch_size=16, learning_rate=0.01, seed=0,
              progress=False, checks=4)  # fmt: skip
    record = model.training_record
    assert len(record["valid"]) == 4 and not model.training
    assert record["valid"][-1][0] == record["updates"]
    words, want = zip(*test, strict=True)
    for width in (1, 3):
        got = model.translate(list(words), width=width)
        assert sum(a == b for a, b in zip(got, want, strict=True)) >= 54
    assert model.translate("abc") == ["C!", "B!", "A!"]


def test_saved_and_loaded_it_writes_the_same(tmp_path):
    model = model_of()
    again = lb.load(lb.save(model, tmp_path / "model.safetensors"))
    words = ["abcd", "da"]
    assert again.translate(words, width=2) == model.translate(words, width=2)
    assert again.target.symbols == SOUNDS.symbols


def test_ids_and_vectors_serve_as_well_as_words():
    torch.manual_seed(0)
    by_ids = Seq2Seq.of_size(6, 7, 8)
    out = by_ids.translate([torch.tensor([0, 5, 2]), [1]], max_length=4)
    assert all(isinstance(t, torch.Tensor) and len(t) <= 4 for t in out)
    decoder = lb.AdditiveAttention(lb.LSTMCell(3 + 8, 8), 8)
    stack = lb.Stack(lb.Recurrent(lb.LSTMCell(4, 6)), lb.Recurrent(lb.GRUCell(6, 8)))
    pictures = Seq2Seq(None, SOUNDS, stack, decoder)
    pairs = [(torch.randn(n, 4), ["A!"] * n) for n in (2, 5, 3, 4)]
    pictures.fit(pairs, pairs[:1], epochs=1, batch_size=2, progress=False, checks=1)
    assert isinstance(pictures.translate(pairs[0][0]), list)
    assert pictures.alignment(*pairs[1]).shape == (6, 5)


@pytest.mark.parametrize(("attention", "cell"), KINDS)
def test_an_alignment_has_a_row_for_each_symbol_and_the_end(attention, cell):
    model = model_of(attention, cell).train()
    a = model.alignment("abca", ["A!", "C!"])
    assert a.shape == (3, 4 if attention else 1) and model.training
    torch.testing.assert_close(a.sum(1), torch.ones(3).double())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: model_of("concat"), "'concat'.*additive"),
        (lambda: model_of(cell="rnn"), "'rnn'.*gru"),
        (lambda: Seq2Seq.of_size(3, 3, 7), "hidden_size=7"),
        (lambda: Seq2Seq.of_size(None, 3, 8), "encoder of your own"),
        (
            lambda: Seq2Seq(
                3, 3, lb.Recurrent(lb.LSTMCell(4, 6)),
                lb.AdditiveAttention(lb.LSTMCell(12, 8), 8),
            ),
            "width 8.*gives 6",
        ),
        (lambda: model_of().translate(["ab", ""]), "source 1 is empty"),
        (lambda: model_of().translate("xyz"), "'x'"),
        (lambda: model_of().fit([("ab", ["E!"])]), "'E!'"),
        (lambda: model_of().fit([("ab", ["A!"])]), "0 pairs to train on and 1"),
        (lambda: model_of().fit([]), "0 pairs"),
        (lambda: Seq2Seq.of_size(3, 3, 8).translate([[0, 3]]), "from 0 to 3.*0 to 2"),
        (lambda: Seq2Seq.of_size(3, 3, 8).translate([[0.5]]), "float32"),
        (lambda: model_of().encode(torch.zeros(2, 3, 4)), r"\(2, 3, 4\)"),
        (
            lambda: model_of().encode(torch.zeros(2, 3).long(), torch.tensor([0, 3])),
            "lengths go from 0",
        ),
        (lambda: model_of().search(["ab"], width=0), "width=0"),
    ],
)  # fmt: skip
def test_a_bad_argument_raises_and_says_why(call, words):
    with pytest.raises(ValueError, match=words):
        call()
