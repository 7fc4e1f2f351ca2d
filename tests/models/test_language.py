"""The language model: what it counts, carries, learns, refuses and gives back."""

import pytest
import torch
from torch.nn import functional as F

import lstmbook as lb
from lstmbook.datasets.text import Vocabulary, WordVocabulary, read_text
from lstmbook.models.language import LanguageModel

PERIODIC = "to be or not to be, that\n" * 160
IDS = torch.randint(7, (101,), generator=torch.Generator().manual_seed(0))


def small(vocabulary=7, seed=0, **options):
    torch.manual_seed(seed)
    return LanguageModel.of_size(vocabulary, 16, embedding_size=16, **options).eval()


def periodic(seed=0, **options):
    """A model for the periodic text, not yet trained."""
    torch.manual_seed(seed)
    return LanguageModel.of_size(Vocabulary(PERIODIC), 48, **options)


def fit(model, text=PERIODIC, **options):
    settings = {"batch_size": 8, "steps": 25, "learning_rate": 1e-2, "tokens": 4000}
    return model.fit(text, progress=False, **(settings | options))


def parameters(model):
    return sum(p.numel() for p in model.parameters())


# --- what it is


def test_tied_weights_are_one_matrix_and_the_count_says_so():
    free, tied = small(), small(tied=True)
    assert parameters(free) - parameters(tied) == 7 * 16  # the matrix, not the bias
    assert not any("output.weight" in name for name in tied.state_dict())
    logits = tied(IDS[None])[0]
    y = tied.layer(tied.embedding(IDS[None]))[0]
    torch.testing.assert_close(logits, y @ tied.embedding.weight.T)
    logits.sum().backward()  # from both ends: rows that were never read, too
    assert (tied.embedding.weight.grad.abs().sum(1) > 0).all()


def test_tied_weights_of_two_widths_are_refused():
    with pytest.raises(ValueError, match="takes 8 and gives 16"):
        LanguageModel.of_size(7, 16, embedding_size=8, tied=True)


def test_the_usual_model_has_the_usual_sizes():
    model = LanguageModel.of_size(7, 16, layers=3, dropout=0.2)
    assert model.embedding.weight.shape == (7, 64)
    assert [r.cell.hidden_size for r in model.layer.layers] == [16] * 3
    assert model.layer.dropout == model.dropout.p == 0.2
    assert LanguageModel.of_size(7, 16, tied=True).embedding.weight.shape == (7, 16)
    logits, state = model(IDS[None, :5])
    assert logits.shape == (1, 5, 7) and len(state) == 3


def test_the_probabilities_of_all_short_texts_sum_to_one():
    # 0 stands first; what follows is any text of 3 out of 4 symbols
    model, total = small(4).double(), 0.0
    texts = torch.cartesian_prod(*[torch.arange(4)] * 3)
    for text in texts:
        nats = model.losses(torch.cat([torch.tensor([0]), text])).sum()
        total += float(nats.neg().exp())
    assert len(texts) == 64 and total == pytest.approx(1)


# --- what a text costs


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("steps", [1, 7, 99, 500])
def test_chunks_with_a_carried_state_are_one_long_pass(layers, steps):
    model = small(layers=layers)
    with torch.no_grad():
        logits = model(IDS[None, :-1])[0][0]
    want = F.cross_entropy(logits, IDS[1:], reduction="none")
    got = model.losses(IDS, steps=steps)
    assert got.shape == (1, 100)
    torch.testing.assert_close(got[0], want, atol=1e-5, rtol=1e-5)
    assert model.nats(IDS, steps=steps) == pytest.approx(float(want.mean()), abs=1e-5)


def test_without_carrying_every_chunk_begins_anew():
    model = small()
    got = model.losses(IDS, steps=10, carry=False)
    torch.testing.assert_close(got[:, 20:30], model.losses(IDS[20:31]))
    assert not torch.allclose(got, model.losses(IDS, steps=10))
    torch.testing.assert_close(got[:, :10], model.losses(IDS, steps=10)[:, :10])


def test_rows_are_pieces_read_from_the_initial_state():
    model = small()
    got = model.losses(IDS, rows=3, steps=8)
    assert got.shape == (3, 33)
    for row, costs in enumerate(got):
        piece = IDS[33 * row : 33 * row + 34]
        torch.testing.assert_close(costs[None], model.losses(piece))


def test_looking_at_losses_drops_nothing_and_leaves_the_mode():
    model = small(dropout=0.5).train()
    assert torch.equal(model.losses(IDS), model.losses(IDS)) and model.training
    assert not model.losses(IDS).requires_grad
    with pytest.raises(ValueError, match="too short"):
        model.losses(IDS[:1])
    assert model.training  # also after an error


# --- training


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"layers": 2}])
def test_a_periodic_text_is_learned(options):
    model = fit(periodic(**options), tokens=40_000)
    assert model.nats(PERIODIC) < 0.1 and not model.training
    written = model.write(PERIODIC[:25], 50, temperature=0)
    assert written == PERIODIC[:75]


def test_without_carrying_it_learns_as_well():
    model = fit(periodic(), tokens=40_000, carry=False)
    assert model.nats(PERIODIC, steps=25, carry=False) < 0.3


def test_the_best_weights_on_the_held_out_text_are_kept():
    # What is learned is the opposite of what is held out: it gets worse and worse.
    model = fit(periodic(), valid=PERIODIC[:1000][::-1], tokens=20_000, checks=20)
    nats = [nats for _, nats in model.training_record["valid"]]
    assert min(nats) < nats[-1] - 1
    kept = model.nats(PERIODIC[:1000][::-1], rows=8, steps=25)
    assert kept == pytest.approx(min(nats), abs=0.02)


def test_a_second_fit_trains_with_dropout_as_the_first_did(monkeypatch):
    modes = []
    forward = LanguageModel.forward

    def spied(self, *arguments):
        if torch.is_grad_enabled():
            modes.append(self.dropout.training)
        return forward(self, *arguments)

    monkeypatch.setattr(LanguageModel, "forward", spied)
    model = LanguageModel.of_size(Vocabulary("ab"), 4, dropout=0.5)
    for _ in range(2):
        modes.clear()
        model.fit("ab" * 200, batch_size=2, steps=10, epochs=1, progress=False)
        assert modes and all(modes)
        assert not model.training


def test_patience_stops_and_the_record_says_how_much_was_read():
    patient = fit(periodic(), valid=PERIODIC[:1000][::-1], tokens=20_000, checks=20)
    hasty = fit(
        periodic(), valid=PERIODIC[:1000][::-1], tokens=20_000, checks=20, patience=2
    )
    read = [m.training_record["tokens"] for m in (hasty, patient)]
    assert read[0] < read[1] == 20_000
    looks = hasty.training_record["valid"]
    assert [tokens for tokens, _ in looks] == [
        1000 * k for k in range(1, 1 + len(looks))
    ]
    nats = [nats for _, nats in looks]
    assert min(range(len(nats)), key=nats.__getitem__) == len(nats) - 3


def test_the_same_seeds_give_the_same_weights():
    a, b, c = (fit(periodic(dropout=0.3), seed=s) for s in (1, 1, 2))
    for u, v in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(u, v)
    assert not torch.equal(a.embedding.weight, c.embedding.weight)


def test_the_last_tenth_is_held_out_unless_a_text_is_given():
    cut = len(PERIODIC) - len(PERIODIC) // 10
    a = fit(periodic(), seed=1)
    b = fit(periodic(), PERIODIC[:cut], valid=PERIODIC[cut:], seed=1)
    assert a.training_record == b.training_record
    assert torch.equal(a.embedding.weight, b.embedding.weight)


def test_ids_train_a_model_without_a_vocabulary():
    vocabulary = Vocabulary(PERIODIC)
    torch.manual_seed(0)
    model = LanguageModel.of_size(len(vocabulary), 48)
    fit(model, vocabulary.encode(PERIODIC), valid=vocabulary.encode(PERIODIC[:300]))
    assert torch.equal(model.embedding.weight, fit(
        periodic(), valid=PERIODIC[:300]).embedding.weight)  # fmt: skip


# --- what is refused


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", {}, "a sequence of 0 is too short for 8 rows"),
        ("to be", {}, "too short for 8 rows; it takes at least 9"),
        ("to be", {"batch_size": 1}, "0 symbols to validate on"),  # nothing held out
        (PERIODIC, {"valid": ""}, "0 symbols to validate on"),
        (PERIODIC + "ü", {}, "'ü' .U.00FC. at position 4000 is not among the 11"),
        (PERIODIC, {"valid": "to be\nü"}, "'ü' .* at position 6"),
        (torch.tensor([0, 11]), {}, "from 0 to 11, the model has 11 symbols: 0 to 10"),
        (torch.tensor([-1, 1]), {}, "from -1 to 1"),
        (torch.zeros(2, 90, dtype=torch.long), {}, r"\[2, 90\]"),
        (torch.rand(900), {}, "are torch.float32: give integers"),
        (PERIODIC, {"batch_size": 0}, "batch_size and steps must be at least 1"),
        (PERIODIC, {"steps": 0}, "batch_size and steps must be at least 1"),
    ],
)
def test_texts_that_cannot_be_learned_are_refused(text, options, words):
    with pytest.raises(ValueError, match=words):
        fit(periodic(), text, **options)


def test_a_text_for_a_model_that_knows_only_ids_is_refused():
    for use in (small().fit, small().nats, small().write):
        with pytest.raises(ValueError, match="size of a vocabulary only"):
            use("to be or not to be")


def test_an_empty_or_unknown_prompt_is_refused():
    model = periodic()
    with pytest.raises(ValueError, match="prompt is empty"):
        model.write("")
    with pytest.raises(ValueError, match=r"'T' .* at position 0"):
        model.write("To be")


# --- used outside the book


@pytest.mark.parametrize("kind", [Vocabulary, WordVocabulary])
def test_five_lines_from_a_file_of_your_own_to_a_model_that_is_saved(kind, tmp_path):
    book, file = tmp_path / "book.txt", tmp_path / "book.safetensors"
    book.write_bytes(PERIODIC.replace("\n", "\r\n").encode())

    text = read_text(book)
    model = LanguageModel.of_size(kind(text), hidden_size=48)
    model.fit(text, tokens=40_000, batch_size=8, steps=25, learning_rate=1e-2)
    written = model.write("to be or", 30, temperature=0.8, seed=3)
    lb.save(model, file)

    again = lb.load(file)
    assert again.write("to be or", 30, temperature=0.8, seed=3) == written
    assert written.startswith("to be or not to be, that")
    assert again.nats(text) == model.nats(text) < 0.1


def test_a_model_of_words_writes_words_and_spells_the_others():
    text = "the cat sat. the dog sat. " * 100 + "an owl flew. "
    torch.manual_seed(0)
    vocabulary = WordVocabulary(text, size=5)
    model = LanguageModel.of_size(vocabulary, 32, tied=True)
    fit(model, text, valid=text, steps=20, tokens=30_000)
    assert model.write("the cat", 6, temperature=0) == "the cat sat. the dog sat."
    costs = model.losses("the owl sat.")  # " owl" is spelled
    assert costs.shape == (1, len(vocabulary.encode("the owl sat.")) - 1)
    assert model.nats(text) < 0.5


def test_temperature_and_generator_may_be_given_by_position():
    model = LanguageModel.of_size(5, 8)
    dice = torch.Generator().manual_seed(3)
    by_position = model.generate(torch.tensor([1, 2]), 9, 0.7, dice)
    by_name = model.generate(torch.tensor([1, 2]), 9, temperature=0.7, seed=3)
    assert torch.equal(by_position, by_name)
