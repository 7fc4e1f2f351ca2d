"""CTC against its definition: every path of small sounds, summed."""

import itertools
import math

import numpy as np
import pytest
import torch

from lstmbook.ctc import (
    LetterModel,
    WordModel,
    align,
    best_path,
    collapse,
    labellings,
    loss,
    prefix_search,
    steps_needed,
)
from lstmbook.datasets.vocabulary import Vocabulary


def sound(time=5, symbols=3, seed=0, sharp=1.5):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(time, symbols, generator=g, dtype=torch.float64) * sharp
    return x.log_softmax(1)


def test_runs_are_merged_before_blanks_are_dropped():
    assert collapse([1, 1, 0, 1, 2, 0]) == [1, 1, 2]
    assert collapse([0, 0]) == [] and collapse([2, 2, 2]) == [2]
    assert steps_needed([]) == 0 and steps_needed([1, 1, 2, 2, 2]) == 8


def test_all_labellings_together_have_probability_one():
    found = labellings(sound())
    assert sum(map(math.exp, found.values())) == pytest.approx(1)
    # in five steps: what needs at most five
    want = {
        w for n in range(6) for w in itertools.product((1, 2), repeat=n)
        if steps_needed(w) <= 5
    }  # fmt: skip
    assert set(found) == want


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_the_sum_over_all_paths(seed):
    log_p = sound(seed=seed)
    for labels, log_probability in labellings(log_p).items():
        target = torch.tensor([labels], dtype=torch.int64).reshape(1, -1)
        assert loss(log_p[None], target).item() == pytest.approx(
            -log_probability, abs=1e-6
        )
        assert align(log_p, labels).log_probability == pytest.approx(
            log_probability, abs=1e-9
        )


def test_the_loss_of_padded_rows_is_that_of_each_alone():
    rows = [sound(6, 4, seed=1), sound(3, 4, seed=2), sound(5, 4, seed=3)]
    lengths = torch.tensor([6, 3, 5])
    wanted = [[1, 2, 2], [3], []]
    log_p = torch.full((3, 6, 4), -9.0, dtype=torch.float64)
    targets = torch.full((3, 3), -100)
    for k, (row, labels) in enumerate(zip(rows, wanted, strict=True)):
        log_p[k, : len(row)] = row
        targets[k, : len(labels)] = torch.tensor(labels)
    together = loss(log_p, targets, lengths)
    for k, labels in enumerate(wanted):
        want = -labellings(rows[k])[tuple(labels)]
        assert together[k].item() == pytest.approx(want, abs=1e-6)


def test_its_gradient_is_the_share_of_each_symbol_in_the_posterior():
    # Graves et al. 2006, eq. 16: d loss / d logits = y - what the labels say
    logits = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    labels = [1, 3, 3]
    log_p = logits.log_softmax(1)
    loss(log_p[None], torch.tensor([labels])).sum().backward()
    found = align(log_p, labels)
    share = torch.zeros(6, 4, dtype=torch.float64)
    share.index_add_(1, found.symbols, found.posterior)
    torch.testing.assert_close(logits.grad, log_p.detach().exp() - share)


@pytest.mark.parametrize("labels", [(), (1,), (2, 2), (1, 2, 1), (2, 1)])
def test_the_alignment_is_that_of_all_paths(labels):
    log_p = sound(5, 3, seed=7)
    found = align(log_p, labels)
    S = 2 * len(labels) + 1
    share, best, likeliest = np.zeros((5, S)), -np.inf, None
    for places in itertools.product(range(S), repeat=5):
        path = [int(found.symbols[s]) for s in places]
        # places may stay, move on, or skip a blank; what spells the labels remains
        moves = [b - a for a, b in itertools.pairwise(places)]
        if min(moves) < 0 or max(moves) > 2 or places[0] > 1 or places[-1] < S - 2:
            continue
        if any(m == 2 and path[t] == 0 for t, m in enumerate(moves)):
            continue
        if collapse(path) != list(labels):
            continue
        p = sum(float(log_p[t, s]) for t, s in enumerate(path))
        for t, s in enumerate(places):
            share[t, s] += math.exp(p)
        if p > best:
            best, likeliest = p, places
    share /= math.exp(found.log_probability)
    np.testing.assert_allclose(found.posterior.numpy(), share, atol=1e-12)
    assert tuple(found.path.tolist()) == likeliest
    together = found.forward + found.backward
    torch.testing.assert_close(
        together.logsumexp(1), torch.full((5,), found.log_probability).double()
    )
    assert found.of_labels().shape == (5, len(labels))


@pytest.mark.parametrize("seed", range(6))
def test_as_wide_as_there_are_beginnings_the_search_is_exact(seed):
    log_p = sound(5, 3, seed=seed, sharp=0.7)
    every = labellings(log_p)
    found = prefix_search(log_p, width=1000)
    assert {f.labels for f in found} == set(every)
    for f in found:
        assert f.log_probability == pytest.approx(every[f.labels], abs=1e-9)
        assert f.score == f.log_probability
    assert found[0].labels == max(every, key=every.get)
    greedy = tuple(best_path(log_p))
    assert found[0].log_probability >= every[greedy] - 1e-12


def test_the_likeliest_path_need_not_be_the_likeliest_labelling():
    # Two steps: blank 0.6, a 0.4. The path "--" has 0.36, the paths of "a" 0.64.
    log_p = torch.tensor([[0.6, 0.4], [0.6, 0.4]]).log()
    assert best_path(log_p) == []
    best, second = prefix_search(log_p, width=4)[:2]
    assert best.labels == (1,) and math.exp(best.log_probability) == pytest.approx(0.64)
    assert second.labels == () and second.log_probability < best.log_probability


def test_a_narrow_beam_never_says_more_than_the_truth():
    log_p = sound(6, 3, seed=3, sharp=0.5)
    every = labellings(log_p)
    for width in (1, 2, 5):
        found = prefix_search(log_p, width=width)
        assert len(found) <= width
        for f in found:
            assert f.log_probability <= every[f.labels] + 1e-9
    assert found[0].log_probability > -math.inf


def test_symbols_that_cannot_be_are_no_trouble():
    log_p = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 1, 0]]).log()
    [only] = prefix_search(log_p, width=8)
    assert only.labels == (1, 1) and only.log_probability == pytest.approx(0)
    found = align(log_p, [1, 1])
    assert torch.equal(found.path, torch.tensor([1, 2, 3]))
    assert torch.isfinite(found.posterior).all()
    with pytest.raises(ValueError, match=r"probability 0"):
        align(log_p, [2])


class Grammar:
    """Adds what a table says for each symbol and each end."""

    def next(self, labels):
        return np.array([0.0, -0.5 * len(labels), 1.0 - len(labels)])

    def end(self, labels):
        return 0.3 * len(labels)


@pytest.mark.parametrize(("weight", "bonus"), [(0.0, 0.7), (1.0, 0.0), (0.6, -0.4)])
def test_with_a_language_model_the_exact_search_ranks_by_the_whole_score(weight, bonus):
    log_p = sound(5, 3, seed=2)
    model = Grammar()

    def score(labels, p):
        said = sum(model.next(labels[:k])[s] for k, s in enumerate(labels))
        return p + weight * (said + model.end(labels)) + bonus * len(labels)

    found = prefix_search(
        log_p, width=1000, language_model=model, weight=weight, bonus=bonus
    )
    want = {labels: score(labels, p) for labels, p in labellings(log_p).items()}
    assert {f.labels for f in found} == set(want)
    for f in found:
        assert f.score == pytest.approx(want[f.labels], abs=1e-9)
    assert found[0].labels == max(want, key=want.get)


def test_with_a_space_the_bonus_counts_words():
    log_p = sound(5, 3, seed=4)
    plain = {f.labels: f.score for f in prefix_search(log_p, width=1000)}
    for f in prefix_search(log_p, width=1000, bonus=0.25, space=2):
        words = "".join(" a"[s == 1] for s in f.labels).split()
        assert f.score == pytest.approx(plain[f.labels] + 0.25 * len(words))


def test_a_letter_model_turns_a_doubtful_letter():
    letters = Vocabulary(" abt")
    texts = [letters.encode(t) + 1 for t in ["tab", "tab tab", "bat tab", "tab bat"]]
    model = LetterModel(texts, 5, order=3)
    assert np.exp(model.next([])).sum() == pytest.approx(1)
    p = torch.full((3, 5), 0.02)
    for t, (a, b) in enumerate([("t", "b"), ("b", "a"), ("b", "a")]):
        p[t, letters.encode(a) + 1], p[t, letters.encode(b) + 1] = 0.48, 0.44
    log_p = (p / p.sum(1, keepdim=True)).log()

    def said(**options):
        best = prefix_search(log_p, width=64, **options)[0]
        return letters.decode(torch.tensor(best.labels) - 1)

    alone, helped = said(), said(language_model=model, weight=1.0, bonus=1.0)
    assert alone != helped
    assert helped in ("ta", "tab", "bat", "ba")


def test_a_letter_model_answers_from_its_last_symbols_only():
    model = LetterModel([[1, 2, 3], [3, 2, 1]], 5, order=3)
    wanted = np.log(model.model.probabilities([2, 3]))
    for said in ([2, 3], [1, 2, 3], (3, 1, 2, 3)):  # remembered after the first
        assert model.next(said) == pytest.approx(wanted)
    assert model.next([1, 3, 2]) != pytest.approx(wanted)
    with pytest.raises(ValueError, match="read-only"):
        model.next([2, 3])[0] = 0.0


def test_a_word_model_speaks_at_the_end_of_a_word():
    letters = Vocabulary(" abt")
    model = WordModel(["tab bat", "tab tab"], letters, order=2, unknown=-9)
    code = {c: int(letters.encode(c)) + 1 for c in " abt"}
    said = [code[c] for c in "tab"]
    assert model.next(said[:2])[code["b"]] == 0
    known = model.next(said)[code[" "]]
    assert -5 < known < 0 and (np.delete(model.next(said), code[" "]) == 0).all()
    assert model.next([code[c] for c in "tat"])[code[" "]] == -9
    assert model.next([*said, code[" "]])[code[" "]] == 0  # no word between
    p = model._after([])
    assert known == pytest.approx(math.log(p[model.numbers["tab"]]))
    whole = model.end(said)
    assert whole == pytest.approx(known + math.log(model._after(["tab"])[0]))


def test_batches_are_decoded_within_their_lengths():
    path = torch.tensor([[1, 1, 0, 2], [2, 0, 2, 1]])
    log_p = torch.nn.functional.one_hot(path, 3).double().log_softmax(2)
    assert best_path(log_p) == [[1, 2], [2, 2, 1]]
    assert best_path(log_p, torch.tensor([2, 3])) == [[1], [2, 2]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: loss(sound()[None], torch.tensor([[1, 1, 1, 1]])), "need 7 steps"),
        (lambda: loss(sound()[None], torch.tensor([[0]])), "labels go from 1 to 2"),
        (lambda: loss(sound()[None], torch.tensor([1])), "give integers"),
        (lambda: align(sound(), [1, 1, 1, 1]), "need 7 steps"),
        (lambda: align(sound(), [3]), "labels go from 1 to 2"),
        (lambda: prefix_search(sound(), width=0), "width=0"),
        (lambda: prefix_search(sound().exp()), "log_softmax"),
        (lambda: prefix_search(sound()[None]), "one sound"),
        (lambda: prefix_search(sound(), weight=-1.0), "weight=-1.0"),
        (lambda: prefix_search(sound(), space=3), "space=3"),
        (lambda: labellings(sound(30)), "more than a million"),
        (lambda: LetterModel([], 3), "no texts"),
        (lambda: WordModel([""], Vocabulary(" a")), "no words"),
    ],
)
def test_what_makes_no_sense_raises(call, words):
    with pytest.raises(ValueError, match=words):
        call()
