"""Drawing symbols: the probabilities by brute force, the draws by their numbers."""

import math

import pytest
import torch
from torch import nn

from lstmbook.models.language import LanguageModel
from lstmbook.search import probabilities, sample


class CountsUp(nn.Module):
    """After symbol n comes n + 1, with a certainty that is given."""

    def __init__(self, symbols=7, certainty=50.0):
        super().__init__()
        self.certainty = nn.Parameter(torch.tensor(certainty))
        self.symbols, self.modes = symbols, []

    def forward(self, ids, state=None):
        self.modes.append(self.training)
        following = nn.functional.one_hot((ids + 1) % self.symbols, self.symbols)
        read = ids.shape[1] + (0 if state is None else state)
        return following * self.certainty, read


class Fixed(nn.Module):
    """The same logits [V] after everything."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.as_tensor(logits))

    def forward(self, ids, state=None):
        return self.logits.expand(*ids.shape, -1), None


def by_hand(logits, temperature=1.0, top_k=None, top_p=None):
    """The definition, a symbol at a time."""
    if temperature == 0:
        top_k, temperature = 1, 1.0
    weights = [math.exp(x / temperature) for x in logits]
    order = sorted(range(len(logits)), key=lambda n: (-logits[n], n))
    if top_k is not None:
        order = order[:top_k]
    total = sum(weights[n] for n in order)
    kept, together = [], 0.0
    for n in order:
        if top_p is not None and together >= top_p:
            break
        kept.append(n)
        together += weights[n] / total
    total = sum(weights[n] for n in kept)
    return [weights[n] / total if n in kept else 0.0 for n in range(len(logits))]


@pytest.mark.parametrize("temperature", [0, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("top_k", [None, 1, 3, 6, 40])
@pytest.mark.parametrize("top_p", [None, 0.001, 0.5, 0.9, 1.0])
def test_probabilities_are_the_definition(temperature, top_k, top_p):
    logits = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0))
    p = probabilities(logits, temperature, top_k, top_p)
    assert p.shape == logits.shape
    torch.testing.assert_close(p.sum(-1), torch.ones(4, 5))
    for row, found in zip(logits.view(-1, 6), p.view(-1, 6), strict=True):
        want = by_hand(row.tolist(), temperature, top_k, top_p)
        torch.testing.assert_close(found, torch.tensor(want), atol=1e-6, rtol=1e-5)


def test_among_equals_the_lower_numbers_stay():
    logits = torch.tensor([1.0, 2.0, 2.0, 2.0, 2.0])
    assert probabilities(logits, top_k=2).tolist() == [0, 0.5, 0.5, 0, 0]
    assert probabilities(logits, temperature=0).tolist() == [0, 1, 0, 0, 0]
    assert probabilities(torch.zeros(4), top_p=0.5).tolist() == [0.5, 0.5, 0, 0]


def test_the_nucleus_has_at_least_its_share_and_always_one_symbol():
    logits = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()
    for top_p, size in ((0.01, 1), (0.45, 1), (0.6, 2), (0.8, 3), (0.95, 4)):
        assert (probabilities(logits, top_p=top_p) > 0).sum() == size


def test_the_temperature_sharpens_and_flattens():
    logits = torch.tensor([1.0, 0.0, -1.0])
    largest = [float(probabilities(logits, t)[0]) for t in (0, 0.1, 0.5, 1, 2, 100)]
    assert largest == sorted(largest, reverse=True)
    assert largest[0] == 1 and largest[-1] == pytest.approx(1 / 3, abs=0.01)


def test_logits_are_left_as_they_were():
    logits = torch.randn(3, 5)
    before = logits.clone()
    probabilities(logits, 0.5, 2, 0.5)
    assert torch.equal(logits, before)


def test_a_model_that_counts_is_followed():
    found = sample(CountsUp(), torch.tensor([2, 3]), 6, temperature=0)
    assert found.tolist() == [4, 5, 6, 0, 1, 2] and found.dtype == torch.int64
    rows = sample(CountsUp(), torch.tensor([[2, 3], [6, 0]]), 3, seed=0)
    assert rows.tolist() == [[4, 5, 6], [1, 2, 3]]


def test_the_prompt_is_read_once_and_then_a_symbol_a_step():
    read = []

    class Watch(CountsUp):
        def forward(self, ids, state=None):
            read.append((ids.shape[1], state))
            return super().forward(ids, state)

    sample(Watch(), torch.tensor([1, 2, 3]), 3, temperature=0)
    assert read == [(3, None), (1, 3), (1, 4)]


def test_one_seed_one_text_and_another_seed_another():
    model, prompt = Fixed(torch.zeros(9)), torch.tensor([0])
    a, b, c = (sample(model, prompt, 40, seed=s) for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    generator = torch.Generator().manual_seed(1)
    assert torch.equal(sample(model, prompt, 40, generator=generator), a)
    assert not torch.equal(sample(model, prompt, 40, generator=generator), a)


def test_a_seed_leaves_torchs_own_random_numbers_alone():
    torch.manual_seed(0)
    want = torch.rand(3)
    torch.manual_seed(0)
    sample(Fixed(torch.zeros(9)), torch.tensor([0]), 5, seed=1)
    assert torch.equal(torch.rand(3), want)


def test_rows_of_a_batch_are_what_they_are_alone():
    torch.manual_seed(0)
    model = LanguageModel.of_size(9, 16).eval()
    nn.init.normal_(model.output.weight, std=2)
    prompts = torch.randint(9, (4, 5))
    rows = sample(model, prompts, 12, temperature=0)
    for prompt, row in zip(prompts, rows, strict=True):
        assert torch.equal(sample(model, prompt, 12, temperature=0), row)


@pytest.mark.parametrize("cut", [{}, {"top_k": 3}, {"top_p": 0.7}, {"temperature": 2}])
def test_draws_are_as_frequent_as_their_probabilities(cut):
    logits = torch.tensor([0.0, 1.0, -1.0, 0.5, 0.2])
    draws = sample(Fixed(logits), torch.zeros(1, dtype=torch.long), 5000, seed=0, **cut)
    p = probabilities(logits, **cut)
    count = draws.bincount(minlength=5)
    assert (count[p == 0] == 0).all()
    want = 5000 * p[p > 0]
    chi_square = float(((count[p > 0] - want) ** 2 / want).sum())
    assert chi_square < 18.5  # 4 degrees of freedom: 1 in 1000 by chance


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_left_as_it_was_and_evaluation_meanwhile(training):
    model = CountsUp().train(training)
    sample(model, torch.tensor([1]), 3)
    assert model.training is training and model.modes == [False] * 3
    with pytest.raises(RuntimeError):
        sample(model, torch.tensor([1.5]), 3)
    assert model.training is training


def test_no_steps_give_no_symbols():
    assert sample(CountsUp(), torch.tensor([1]), 0).shape == (0,)
    assert sample(CountsUp(), torch.tensor([[1], [2]]), 0).shape == (2, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": -0.5}, "temperature=-0.5"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_p": 0}, "top_p=0"),
        ({"top_p": 1.5}, "top_p=1.5"),
    ],
)
def test_options_that_make_no_sense_raise(options, words):
    with pytest.raises(ValueError, match=words):
        probabilities(torch.zeros(3), **options)
    with pytest.raises(ValueError, match=words):
        sample(CountsUp(), torch.tensor([1]), 0, **options)


def test_bad_prompts_steps_and_seeds_raise():
    for prompt in (torch.zeros(0), torch.zeros(2, 0), torch.zeros(1, 1, 1)):
        with pytest.raises(ValueError, match=r"prompt has shape \["):
            sample(CountsUp(), prompt.long(), 3)
    with pytest.raises(ValueError, match="steps=-1"):
        sample(CountsUp(), torch.tensor([1]), -1)
    with pytest.raises(ValueError, match="not both"):
        sample(CountsUp(), torch.tensor([1]), 1, seed=1, generator=torch.Generator())
