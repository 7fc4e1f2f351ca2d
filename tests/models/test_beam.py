"""Greedy and beam search against all sequences, one by one."""

import itertools

import pytest
import torch
from torch import nn

from lstmbook.models.language import LanguageModel
from lstmbook.search import Hypothesis, beam_search, greedy, length_penalty

V, END = 3, 1


def random_model(seed, symbols=V, cell="lstm"):
    """An LSTM with a state to carry, sharp enough that no two sequences tie."""
    torch.manual_seed(seed)
    model = LanguageModel.of_size(symbols, 5, embedding_size=4).double().eval()
    for weight in model.parameters():
        nn.init.normal_(weight, std=1.5)
    return model


@torch.no_grad()
def by_teacher_forcing(model, prompt, symbols):
    """The log-probability of symbols after a prompt, in one call."""
    ids = torch.cat([prompt, torch.tensor(symbols)])
    log_p = model(ids[None, :-1])[0][0].log_softmax(1)
    return float(sum(log_p[len(prompt) - 1 + k, s] for k, s in enumerate(symbols)))


def all_sequences(model, prompt, max_length, min_length=0, penalty=0.0, symbols=V):
    """Every sequence by its score, the best first."""
    rest = [s for s in range(symbols) if s != END]
    found = []
    for n in range(max_length + 1):
        for body in itertools.product(rest, repeat=n):
            if n < max_length and n >= min_length:
                whole = (*body, END)
            elif n == max_length:
                whole = body
            else:
                continue
            p = by_teacher_forcing(model, prompt, list(whole))
            found.append((p / ((5 + len(whole)) / 6) ** penalty, p, body, len(whole)))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("min_length", [0, 2])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_as_wide_as_everything_is_the_exhaustive_search(
    seed, min_length, penalty
):
    model, max_length = random_model(seed), 4
    prompts = torch.tensor([[0, 2], [2, 2], [1, 0]])
    found = beam_search(
        model, prompts, end=END, max_length=max_length, min_length=min_length,
        width=200, penalty=penalty,
    )  # fmt: skip
    for prompt, beams in zip(prompts, found, strict=True):
        want = all_sequences(model, prompt, max_length, min_length, penalty)
        assert len(beams) == len(want)
        for beam, (score, p, body, length) in zip(beams, want, strict=True):
            assert beam.ids.tolist() == list(body)
            assert beam.score == pytest.approx(score, abs=1e-9)
            assert beam.log_probability == pytest.approx(p, abs=1e-9)
            assert beam.ended == (length == len(body) + 1)


@pytest.mark.parametrize("seed", range(6))
def test_a_beam_of_one_is_greedy(seed):
    model = random_model(seed, symbols=6)
    prompts = torch.randint(6, (4, 3), generator=torch.Generator().manual_seed(seed))
    options = {"end": END, "max_length": 9}
    for a, [b] in zip(
        greedy(model, prompts, **options),
        beam_search(model, prompts, width=1, **options),
        strict=True,
    ):
        assert torch.equal(a.ids, b.ids) and a.ended == b.ended
        assert a.log_probability == pytest.approx(b.log_probability)


@pytest.mark.parametrize("width", [1, 2, 3, 7])
@pytest.mark.parametrize("seed", range(3))
def test_the_score_is_the_models_own(seed, width):
    model = random_model(seed, symbols=6)
    prompts = torch.tensor([[0, 2], [5, 3]])
    found = beam_search(model, prompts, end=END, max_length=8, width=width, penalty=0.7)
    for prompt, beams in zip(prompts, found, strict=True):
        assert len(beams) == width
        assert [b.score for b in beams] == sorted([b.score for b in beams])[::-1]
        assert len({tuple(b.ids.tolist()) for b in beams}) == width
        for beam in beams:
            whole = beam.ids.tolist() + [END] * beam.ended
            p = by_teacher_forcing(model, prompt, whole)
            assert beam.log_probability == pytest.approx(p)
            assert beam.score == pytest.approx(p / ((5 + len(whole)) / 6) ** 0.7)
            assert END not in beam.ids and (beam.ended or len(beam.ids) == 8)


@pytest.mark.parametrize("width", [1, 4])
def test_rows_of_a_batch_are_what_they_are_alone(width):
    model = random_model(0, symbols=6)
    prompts = torch.randint(6, (5, 2), generator=torch.Generator().manual_seed(1))
    together = beam_search(model, prompts, end=END, max_length=10, width=width)
    for prompt, beams in zip(prompts, together, strict=True):
        [alone] = beam_search(model, prompt[None], end=END, max_length=10, width=width)
        for a, b in zip(alone, beams, strict=True):
            assert torch.equal(a.ids, b.ids)
            assert a.score == pytest.approx(b.score)


class Table(nn.Module):
    """Probabilities of the next symbol by what was written; even ones elsewhere."""

    def __init__(self, symbols, table):
        super().__init__()
        self.table, self.symbols = table, symbols
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, ids, state=None):
        past = ids[:, 1:] if state is None else torch.cat([state, ids], 1)
        even = [1 / self.symbols] * self.symbols
        p = [self.table.get(tuple(row), even) for row in past.tolist()]
        return torch.tensor(p, dtype=torch.double).log()[:, None], past


def best_of(model, width, max_length):
    [beams] = beam_search(
        model,
        torch.tensor([[0]]),
        end=END,
        max_length=max_length,
        width=width,
        penalty=0,
    )
    return beams[0].ids.tolist(), round(float(torch.tensor(beams[0].score).exp()), 6)


def test_greedy_misses_what_a_beam_of_two_finds():
    # Symbol 2 looks best at first and leads nowhere; symbol 0 ends well.
    model = Table(3, {(): [0.4, 0.0, 0.6], (0,): [0.05, 0.9, 0.05]})
    [g] = greedy(model, torch.tensor([[0]]), end=END, max_length=2)
    assert g.ids[0] == 2 and g.log_probability < -1.6
    assert best_of(model, 2, 2) == ([0], 0.36)


def test_a_wider_beam_may_find_less():
    # Not a fault: the two rivals that a beam of two follows push out the prefix
    # that a beam of one keeps, and which ends well.
    third = 1 / 3
    model = Table(
        4,
        {
            (): [0.5, 0.0, 0.4, 0.1],
            (0,): [0.36, 0.0, 0.32, 0.32],
            (2,): [0.5, 0.0, 0.5, 0.0],
            (0, 0): [0.0, 1.0, 0.0, 0.0],
            (2, 0): [third, 0.0, third, third],
            (2, 2): [third, 0.0, third, third],
        },
    )
    assert best_of(model, 1, 3) == ([0, 0], 0.18)
    assert best_of(model, 2, 3)[1] == pytest.approx(0.2 / 3, abs=1e-6)
    assert best_of(model, 9, 3) == ([0, 0], 0.18)


def test_alpha_favours_longer_sequences():
    # All symbols are alike, so every further one costs log 3.
    def length(penalty):
        return len(
            beam_search(
                Table(3, {}), torch.tensor([[0]]), end=END, max_length=4, width=300,
                penalty=penalty,
            )[0][0].ids
        )  # fmt: skip

    assert length(0) == length(0.6) == 0 and length(5) >= 3
    penalty = length_penalty(torch.tensor([1.0, 7.0]), 0.5)
    torch.testing.assert_close(penalty, torch.tensor([1.0, 2**0.5]))


def test_the_ctx_of_a_row_stays_with_the_row():
    class Reads(nn.Module):
        """The next symbol is the number in the row's ctx, and then the end."""

        def __init__(self):
            super().__init__()
            self.sharp = nn.Parameter(torch.tensor(4.0))

        def forward(self, ids, state, ctx):
            (memory,) = ctx
            assert len(memory) == len(ids)
            state = torch.zeros(len(ids), 1) if state is None else state
            want = torch.where(state[:, 0] < 2, memory[:, 0], END)
            logits = nn.functional.one_hot(want, 7)[:, None] * self.sharp
            return logits, state + 1

    ctx = (torch.tensor([[3], [6], [4]]),)
    prompt = torch.zeros(3, 1, dtype=torch.long)
    options = {"end": END, "max_length": 5, "ctx": ctx}
    beams = beam_search(Reads(), prompt, width=9, **options)
    assert [b[0].ids.tolist() for b in beams] == [[3, 3], [6, 6], [4, 4]]
    assert [g.ids.tolist() for g in greedy(Reads(), prompt, **options)] == [
        [3, 3], [6, 6], [4, 4],
    ]  # fmt: skip


@pytest.mark.parametrize("search", [greedy, beam_search])
@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_left_as_it_was_and_no_gradient_is_kept(search, training):
    model = random_model(0).train(training)
    found = search(model, torch.tensor([[0]]), end=END, max_length=3)
    assert model.training is training
    best = found[0] if search is greedy else found[0][0]
    assert isinstance(best, Hypothesis) and not best.ids.requires_grad


@pytest.mark.parametrize("search", [greedy, beam_search])
@pytest.mark.parametrize(
    ("prompt", "options", "words"),
    [
        (torch.tensor([0]), {}, r"int64 \[1\].*\[batch, time\]"),
        (torch.zeros(1, 0).long(), {}, r"\[1, 0\]"),
        (torch.zeros(1, 2), {}, "float32"),
        (torch.tensor([[0]]), {"end": 3}, "end=3.*0 to 2"),
        (torch.tensor([[0]]), {"end": -1}, "end=-1"),
        (torch.tensor([[0]]), {"max_length": 0}, "max_length=0"),
        (torch.tensor([[0]]), {"min_length": 4}, "min_length=4"),
    ],
)
def test_bad_arguments_raise_and_say_why(search, prompt, options, words):
    with pytest.raises(ValueError, match=words):
        search(random_model(0), prompt, **({"end": END, "max_length": 4} | options))


def test_a_beam_has_a_width_and_a_penalty():
    prompt = torch.tensor([[0]])
    with pytest.raises(ValueError, match="width=0"):
        beam_search(random_model(0), prompt, end=END, max_length=4, width=0)
    with pytest.raises(ValueError, match="penalty=-1"):
        beam_search(random_model(0), prompt, end=END, max_length=4, penalty=-1)
