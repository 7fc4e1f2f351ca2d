"""Tasks whose answer depends on something long ago, made up on the spot.

Each function takes a `torch.Generator`, or a seed for a new one (`counting` draws
nothing), and returns tensors on the CPU, batch first, so that a run gives the same
numbers on every device.
"""

import torch
from torch import Tensor

from .generators import as_generator

# -- the adding problem -----------------------------------------------------


def adding(
    batch: int, time: int, generator: torch.Generator | int
) -> tuple[Tensor, Tensor]:
    """Two of many numbers are marked: what is their sum?

    Returns x float32 [batch, time, 2] and the target float32 [batch]. Channel 0
    holds numbers uniform on [0, 1), channel 1 is 1 at one step of the first
    half and at one step of the second, else 0. Always answering 1, the mean,
    has a mean squared error of 1/6 = 0.1667.

    This is the form used since Le, Jaitly and Hinton 2015 (sec. 4.1). The
    original (Hochreiter and Schmidhuber 1997, experiment 4) differs: numbers
    from -1 to 1, markers 1, 0 and -1 (at both ends), the first mark among the
    first ten steps, the second in the first half, lengths from T to 1.1 T, and
    the target 0.5 + (X1 + X2) / 4. Errors of the two are not comparable.
    """
    if batch < 1 or time < 2:
        raise ValueError(
            f"adding needs batch >= 1 and time >= 2, got batch={batch}, time={time}"
        )
    generator = as_generator(generator)
    half = time // 2
    numbers = torch.rand(batch, time, generator=generator)
    first = torch.randint(0, half, (batch, 1), generator=generator)
    second = torch.randint(half, time, (batch, 1), generator=generator)
    marks = torch.zeros(batch, time)
    marks.scatter_(1, torch.cat([first, second], dim=1), 1.0)
    return torch.stack([numbers, marks], dim=2), (numbers * marks).sum(dim=1)


# -- recall of one symbol ---------------------------------------------------


def recall(
    batch: int,
    lag: int,
    generator: torch.Generator | int,
    *,
    symbols: int = 8,
    distractors: int = 4,
) -> tuple[Tensor, Tensor]:
    """One symbol is shown, and `lag` steps later asked for.

    symbols:     how many different ones there are to remember
    distractors: how many different inputs fill the steps between, each drawn
                 at random; with 1 they are a blank

    Returns x float32 [batch, lag + 1, symbols + distractors + 1], one-hot, and
    the symbol int64 [batch]. Step 0 shows the symbol, steps 1 to lag - 1 the
    distractors, and step lag the question (the last channel), where the answer
    is due. Symbols are as equally frequent as the batch allows, so a constant
    answer is right in 1 of `symbols` cases. An own task, in the manner of
    experiment 2 of Hochreiter and Schmidhuber 1997.
    """
    if min(batch, lag, symbols, distractors) < 1:
        raise ValueError(
            "recall needs batch, lag, symbols and distractors >= 1, got "
            f"{batch}, {lag}, {symbols} and {distractors}"
        )
    generator = as_generator(generator)
    target = _balanced(batch, symbols, generator)
    between = torch.randint(distractors, (batch, lag - 1), generator=generator)
    question = torch.full((batch, 1), symbols + distractors)
    numbers = torch.cat([target[:, None], symbols + between, question], dim=1)
    x = torch.nn.functional.one_hot(numbers, symbols + distractors + 1)
    return x.float(), target


# -- parity and counting: what a longer sequence asks of a network -----------


def parity(
    batch: int, time: int, generator: torch.Generator | int
) -> tuple[Tensor, Tensor]:
    """After every bit: is the number of ones so far odd?

    Returns x float32 [batch, time, 2], one-hot bits, 0 and 1 equally likely, and
    the target int64 [batch, time], 1 for odd. Guessing is right half of the time,
    and every bit counts: to change one changes all later answers.
    """
    if batch < 1 or time < 1:
        raise ValueError(
            f"parity needs batch >= 1 and time >= 1, got batch={batch}, time={time}"
        )
    bits = torch.randint(2, (batch, time), generator=as_generator(generator))
    return torch.nn.functional.one_hot(bits, 2).float(), bits.cumsum(1) % 2


def counting(longest: int) -> tuple[Tensor, Tensor]:
    """All words a^n b^n for n = 1 .. longest: where do the b end?

    Returns x float32 [longest, 2 longest + 1, 3], one-hot: a mark (channel 0), n
    times a, n times b, then zeros; and the next symbol, int64 [longest,
    2 longest + 1]: 0 the mark, that is the end, 1 a, 2 b. Asked for is only what
    is certain: a after the mark, and from the first b on. Elsewhere the target is
    -100, which the cross entropy of torch leaves out.

    The language is one of those of Gers and Schmidhuber 2001.
    """
    if longest < 1:
        raise ValueError(f"counting needs longest >= 1, got {longest}")
    x = torch.zeros(longest, 2 * longest + 1, 3)
    target = torch.full(x.shape[:2], -100)
    x[:, 0, 0], target[:, 0] = 1, 1
    for row, n in enumerate(range(1, longest + 1)):
        x[row, 1 : n + 1, 1] = x[row, n + 1 : 2 * n + 1, 2] = 1
        target[row, n + 1 : 2 * n], target[row, 2 * n] = 2, 0
    return x, target


# -- agreement of subject and verb ------------------------------------------

SINGULAR = ("key", "box", "lamp", "cabinet", "window", "door")
PLURAL = ("keys", "boxes", "lamps", "cabinets", "windows", "doors")
PREPOSITIONS = ("to", "by", "of", "near", "under", "behind")
ADJECTIVES = ("old", "small", "red", "broken")
MATERIALS = ("glass", "wood", "iron")
VERBS = ("is", "are")
WORDS = (
    "the", *SINGULAR, *PLURAL, *PREPOSITIONS, *ADJECTIVES, *MATERIALS, "here", *VERBS
)  # fmt: skip
_FIRST = {
    group[0]: WORDS.index(group[0])
    for group in (SINGULAR, PLURAL, PREPOSITIONS, ADJECTIVES, MATERIALS, VERBS)
}


def agreement(
    batch: int, distance: int, generator: torch.Generator | int
) -> tuple[Tensor, Tensor]:
    """The keys to the old cabinet by the window ...: is, or are?

    distance: words between the subject and its verb

    Returns the words before the verb, int64 [batch, distance + 2], and the verb,
    int64 [batch], as numbers in `WORDS` (`to_text` reads them). A sentence is
    "the", the subject, and phrases that fill the distance: "of glass", "by the
    window", "to the old cabinets". The number of a noun in a phrase, and how
    many phrases there are, do not depend on the subject: whoever overlooks the
    subject is right half of the time. Half of the subjects are plural (of an
    odd batch, as nearly as can be).

    An own grammar for the question of Linzen, Dupoux and Goldberg 2016.
    """
    if batch < 1 or distance < 0:
        raise ValueError(
            "agreement needs batch >= 1 and distance >= 0, got "
            f"batch={batch}, distance={distance}"
        )
    generator = as_generator(generator)
    plural = _balanced(batch, 2, generator).bool()
    # Every row is at its own place in its own phrase: `size` is the number of
    # words of the phrase, `place` how many of them are there already.
    size = place = torch.zeros(batch, dtype=torch.long)
    sizes, places = [], []
    for left in range(distance, 0, -1):
        # One word may not be left over for the next phrase.
        fitting = [n for n in (2, 3, 4) if left == n or left >= n + 2] or [1]
        choice = torch.randint(len(fitting), (batch,), generator=generator)
        begins = place == size
        size = torch.where(begins, torch.tensor(fitting)[choice], size)
        place = torch.where(begins, 0, place)
        sizes.append(size)
        places.append(place)
        place = place + 1

    def draw(group: tuple[str, ...], columns: int = distance) -> Tensor:
        shape = (batch, columns)
        return _FIRST[group[0]] + torch.randint(len(group), shape, generator=generator)

    the = torch.full((batch, 1), WORDS.index("the"))
    subject = torch.where(plural[:, None], draw(PLURAL, 1), draw(SINGULAR, 1))
    words = torch.cat([the, subject], dim=1)
    if distance:
        size, place = torch.stack(sizes, dim=1), torch.stack(places, dim=1)
        plurals = torch.rand(batch, distance, generator=generator) < 0.5
        noun = torch.where(plurals, draw(PLURAL), draw(SINGULAR))
        phrase = torch.where(place == size - 1, noun, draw(ADJECTIVES))
        phrase = torch.where(place == 1, the, phrase)
        phrase = torch.where((size == 2) & (place == 1), draw(MATERIALS), phrase)
        phrase = torch.where(place == 0, draw(PREPOSITIONS), phrase)
        phrase = torch.where(size == 1, WORDS.index("here"), phrase)
        words = torch.cat([words, phrase], dim=1)
    return words, _FIRST["is"] + plural.long()


def to_text(words: Tensor) -> list[str]:
    """Sentences as text, from their numbers [batch, time] or [time]."""
    rows = torch.atleast_2d(words).tolist()
    return [" ".join(WORDS[number] for number in row) for row in rows]


# -- how long ago was the last spike? ---------------------------------------


def delays(
    batch: int,
    time: int,
    generator: torch.Generator | int,
    *,
    intervals: tuple[int, ...] = (10, 15),
) -> tuple[Tensor, Tensor]:
    """Spikes, and at each one the question how long ago the last one was.

    intervals: the numbers of steps from one spike to the next that occur; each
        interval is drawn anew, all equally likely

    Returns x float32 [batch, time, 1], which is 1 at a spike and else 0, and the
    target int64 [batch, time]: at a spike, which of `intervals` has just ended (its
    place, 0 or above); at other steps -100, which losses leave out. The first
    interval begins before the first step. An own, small form of measuring spike
    delays, after Gers, Schraudolph and Schmidhuber 2002.
    """
    if batch < 1 or time < 1 or len(intervals) < 2 or min(intervals) < 1:
        raise ValueError(
            "delays needs batch and time >= 1 and at least 2 intervals, each >= 1, "
            f"got batch={batch}, time={time}, intervals={intervals}"
        )
    generator = as_generator(generator)
    shape = (batch, time // min(intervals) + 1)
    which = torch.randint(len(intervals), shape, generator=generator)
    spikes = torch.tensor(intervals)[which].cumsum(dim=1) - 1
    row, k = (spikes < time).nonzero(as_tuple=True)
    target = torch.full((batch, time), -100)
    target[row, spikes[row, k]] = which[row, k]
    return (target >= 0).float()[..., None], target


# -- what all of them need --------------------------------------------------


def _balanced(batch: int, classes: int, generator: torch.Generator) -> Tensor:
    # The random start keeps small batches from favouring the first classes.
    start = torch.randint(classes, (1,), generator=generator)
    return (torch.randperm(batch, generator=generator) + start) % classes
