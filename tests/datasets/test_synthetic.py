"""What the made-up tasks promise: the right answer, and no shortcut to it."""

import pytest
import torch

from lstmbook.datasets.synthetic import (
    ADJECTIVES,
    MATERIALS,
    PLURAL,
    PREPOSITIONS,
    SINGULAR,
    VERBS,
    WORDS,
    adding,
    agreement,
    counting,
    delays,
    parity,
    recall,
    to_text,
)

TASKS = [
    lambda generator: adding(16, 30, generator),
    lambda generator: recall(16, 30, generator),
    lambda generator: parity(16, 30, generator),
    lambda generator: agreement(16, 30, generator),
    lambda generator: delays(16, 30, generator),
]
NAMES = ["adding", "recall", "parity", "agreement", "delays"]


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_a_seed_gives_the_same_batch_and_a_generator_moves_on(task):
    (x, y), (again_x, again_y) = task(7), task(7)
    assert torch.equal(x, again_x) and torch.equal(y, again_y)
    assert not torch.equal(x, task(8)[0])
    generator = torch.Generator().manual_seed(7)
    assert torch.equal(x, task(generator)[0])
    assert not torch.equal(x, task(generator)[0])


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_the_global_generator_is_neither_used_nor_moved(task):
    torch.manual_seed(1)
    first, state = task(7)[0], torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(first, task(7)[0])
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: adding(4, 1, 0),
        lambda: adding(0, 10, 0),
        lambda: recall(4, 0, 0),
        lambda: recall(4, 5, 0, distractors=0),
        lambda: parity(0, 5, 0),
        lambda: parity(4, 0, 0),
        lambda: counting(0),
        lambda: agreement(4, -1, 0),
        lambda: delays(0, 30, 0),
        lambda: delays(4, 30, 0, intervals=(10,)),
        lambda: delays(4, 30, 0, intervals=(0, 10)),
    ],
)
def test_sizes_that_do_not_fit_raise(wrong):
    with pytest.raises(ValueError, match="got"):
        wrong()


# -- adding -----------------------------------------------------------------


@pytest.mark.parametrize("time", [2, 7, 100])
def test_adding_marks_one_number_in_each_half_and_asks_for_their_sum(time):
    x, target = adding(200, time, 0)
    assert x.shape == (200, time, 2) and target.shape == (200,)
    assert x.dtype == target.dtype == torch.float32
    numbers, marks = x.unbind(dim=2)
    assert numbers.min() >= 0 and numbers.max() < 1
    assert set(marks.unique().tolist()) <= {0.0, 1.0}
    assert (marks[:, : time // 2].sum(dim=1) == 1).all()
    assert (marks[:, time // 2 :].sum(dim=1) == 1).all()
    torch.testing.assert_close(target, (numbers * marks).sum(dim=1))


def test_adding_marks_every_step_of_a_half():
    marks = adding(5000, 10, 0)[0][..., 1].mean(dim=0)
    torch.testing.assert_close(marks, torch.full((10,), 0.2), atol=0.03, rtol=0)


def test_adding_the_mean_has_an_error_of_one_sixth():
    _, target = adding(200_000, 4, 0)
    assert ((target - 1) ** 2).mean().item() == pytest.approx(1 / 6, abs=2e-3)


# -- recall -----------------------------------------------------------------


@pytest.mark.parametrize("lag", [1, 2, 20])
@pytest.mark.parametrize("distractors", [1, 4])
def test_recall_shows_one_symbol_then_others_then_asks(lag, distractors):
    x, target = recall(80, lag, 0, symbols=8, distractors=distractors)
    assert x.shape == (80, lag + 1, 8 + distractors + 1)
    assert x.dtype == torch.float32 and target.dtype == torch.int64
    assert torch.equal(x.sum(dim=2), torch.ones(80, lag + 1))
    shown = x.argmax(dim=2)
    assert torch.equal(shown[:, 0], target)
    between = shown[:, 1:-1]
    assert ((between >= 8) & (between < 8 + distractors)).all()
    assert (shown[:, -1] == 8 + distractors).all()


def test_recall_has_each_symbol_equally_often():
    for seed in range(5):
        assert (recall(64, 3, seed)[1].bincount() == 8).all()
    first = torch.cat([recall(1, 1, seed)[1] for seed in range(200)])
    assert len(first.unique()) == 8


def test_recall_distractors_say_nothing_about_the_symbol():
    x, target = recall(40_000, 3, 0, symbols=2, distractors=3)
    seen = x[:, 1].argmax(dim=1)
    shares = torch.stack([target[seen == d].float().mean() for d in seen.unique()])
    torch.testing.assert_close(shares, torch.full((3,), 0.5), atol=0.02, rtol=0)


# -- parity and counting ----------------------------------------------------


def test_parity_turns_at_every_one_and_at_no_zero():
    x, odd = parity(50, 30, 0)
    assert x.shape == (50, 30, 2) and x.dtype == torch.float32
    assert odd.shape == (50, 30) and odd.dtype == torch.int64
    assert torch.equal(x.sum(2), torch.ones(50, 30))
    before = torch.cat([torch.zeros(50, 1, dtype=torch.int64), odd[:, :-1]], 1)
    assert torch.equal(x[..., 1].bool(), odd != before)


def test_parity_cannot_be_guessed_from_a_bit():
    x, odd = parity(20_000, 3, 0)
    shares = [odd[x[:, 2, b] == 1, 2].float().mean() for b in (0, 1)]
    torch.testing.assert_close(torch.stack(shares), torch.full((2,), 0.5), atol=0.02,
                               rtol=0)  # fmt: skip


def test_counting_asks_for_the_end_and_not_for_the_first_b():
    x, target = counting(3)
    assert x.shape == (3, 7, 3) and target.shape == (3, 7)
    read = ["".join("Sab"[k] for k in row.argmax(1)) for row in x[:, :, :]]
    assert read[2] == "Saaabbb"
    assert target.tolist() == [
        [1, -100, 0, -100, -100, -100, -100],
        [1, -100, -100, 2, 0, -100, -100],
        [1, -100, -100, -100, 2, 2, 0],
    ]
    assert x[0, 3:].abs().sum() == 0  # padding


# -- delays -----------------------------------------------------------------


@pytest.mark.parametrize("intervals", [(10, 15), (15, 10), (1, 2, 7)])
def test_delays_asks_at_every_spike_for_the_interval_that_ends_there(intervals):
    x, target = delays(40, 100, 0, intervals=intervals)
    assert x.shape == (40, 100, 1) and target.shape == (40, 100)
    assert x.dtype == torch.float32 and target.dtype == torch.int64
    for spikes, answers in zip(x[..., 0], target, strict=True):
        at = spikes.nonzero()[:, 0]
        assert (spikes[at] == 1).all() and (answers[spikes == 0] == -100).all()
        ends = torch.cat([torch.tensor([-1]), at])
        found = [intervals[k] for k in answers[at].tolist()]
        assert ends.diff().tolist() == found
        assert 100 - 1 - at[-1] <= max(intervals)  # none is left out at the end


def test_delays_has_all_intervals_equally_often():
    answers = delays(400, 300, 0, intervals=(2, 3, 4))[1]
    shares = answers[answers >= 0].bincount() / (answers >= 0).sum()
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3), atol=0.01, rtol=0)


def test_delays_may_end_before_the_first_spike():
    x, target = delays(3, 4, 0)
    assert not x.any() and (target == -100).all()


# -- agreement --------------------------------------------------------------


def test_agreement_has_about_thirty_words_all_different():
    assert len(WORDS) == len(set(WORDS)) == 29


@pytest.mark.parametrize("distance", [0, 1, 2, 3, 4, 5, 6, 17, 40])
def test_agreement_sentences_are_grammatical_and_fill_the_distance(distance):
    words, verb = agreement(100, distance, 3)
    assert words.shape == (100, distance + 2) and verb.shape == (100,)
    assert words.dtype == verb.dtype == torch.int64
    nouns = {*SINGULAR, *PLURAL}
    for sentence, right in zip(to_text(words), to_text(verb[:, None]), strict=True):
        the, subject, *rest = sentence.split()
        assert the == "the" and subject in nouns
        assert right == VERBS[subject in PLURAL]
        while rest and rest != ["here"]:
            assert rest.pop(0) in PREPOSITIONS
            if rest[0] in MATERIALS:
                rest.pop(0)
                continue
            assert rest.pop(0) == "the"
            if rest[0] in ADJECTIVES:
                rest.pop(0)
            assert rest.pop(0) in nouns
        assert rest == ([] if distance != 1 else ["here"])


def test_agreement_is_balanced():
    for seed in range(5):
        _, verb = agreement(64, 4, seed)
        assert (verb == WORDS.index("are")).sum() == 32
    alone = torch.cat([agreement(1, 0, seed)[1] for seed in range(50)])
    assert len(alone.unique()) == 2


def test_whoever_overlooks_the_subject_is_right_half_of_the_time():
    # A linear reader of everything but the subject: every word at every place,
    # and how many plural nouns and phrases there are. It learns nothing.
    def features(seed):
        words, verb = agreement(20_000, 8, seed)
        rest = torch.nn.functional.one_hot(words[:, 2:], len(WORDS)).double()
        x = torch.cat([rest.flatten(1), rest.sum(dim=1)], dim=1)
        return x, (verb == WORDS.index("are")).double() * 2 - 1

    x, y = features(0)
    weights = torch.linalg.lstsq(x, y[:, None], driver="gelsd").solution[:, 0]
    x, y = features(1)
    right = ((x @ weights > 0) == (y > 0)).double().mean().item()
    assert right == pytest.approx(0.5, abs=0.015)


def test_the_number_of_phrases_varies():
    words, _ = agreement(500, 12, 0)
    prepositions = torch.tensor([WORDS.index(word) for word in PREPOSITIONS])
    counts = torch.isin(words, prepositions).sum(dim=1)
    assert set(counts.unique().tolist()) == {3, 4, 5, 6}


def test_to_text_reads_one_sentence_or_many():
    words = torch.tensor([WORDS.index(word) for word in ("the", "keys", "are")])
    assert to_text(words) == ["the keys are"]
    assert to_text(torch.stack([words, words])) == ["the keys are"] * 2
