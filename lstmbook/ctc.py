"""Connectionist temporal classification: labels without knowing when they are said.

A network says at each time step what it hears, one of V symbols or nothing, the
blank. A path is one symbol for each step; its labelling is what is left when runs
are merged and blanks dropped, in this order:  a a - a b -  ->  a a b.

    losses = loss(log_p, targets, lengths)              # F.ctc_loss, with checks
    best_path(log_p)                                    # the likeliest path, collapsed
    prefix_search(log_p, width=16)[0]                   # labellings, best first
    align(log_p, labels).posterior                      # what the loss sums over

log_p [time, V] are log-probabilities of one sound, from `log_softmax`. Symbol 0 is the
blank, everywhere. Source: Graves, Fernandez, Gomez and Schmidhuber 2006.
"""

import itertools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "BLANK",
    "Alignment",
    "Labelling",
    "LetterModel",
    "WordModel",
    "align",
    "best_path",
    "collapse",
    "labellings",
    "loss",
    "prefix_search",
    "steps_needed",
]

BLANK = 0
LEFT_OUT = -100  # fills up targets, as in `training.sequence_loss`


def collapse(path) -> list[int]:
    """The labelling of a path: runs merged, then blanks dropped.

    path: symbols [time]. The map B of Graves et al. 2006, sec. 3.1
    """
    return [int(s) for s, _ in itertools.groupby(map(int, path)) if s != BLANK]


def steps_needed(labels) -> int:
    """Fewest time steps in which labels can be said.

    One each, and a blank between two that are the same.
    """
    labels = [int(s) for s in labels]
    return len(labels) + sum(a == b for a, b in itertools.pairwise(labels))


def loss(log_p: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
    """-log p(labels | sound) in nats, for each row: [batch].

    log_p: [batch, time, V]
    targets: [batch, labels], 1 to V - 1, filled up with -100 at the end
    lengths: [batch], real steps of each row; all of them unless given

    `torch.nn.functional.ctc_loss` does the work. Raises ValueError where labels do
    not fit into the steps: the probability would be 0 and the loss infinite.
    Source: Graves et al. 2006, eq. 3 and 8.
    """
    B, T, V = log_p.shape
    if targets.dim() != 2 or len(targets) != B or targets.is_floating_point():
        raise ValueError(
            f"targets are {targets.dtype} {tuple(targets.shape)}: give integers "
            f"[{B}, labels] for log_p {tuple(log_p.shape)}"
        )
    if lengths is None:
        lengths = torch.full((B,), T)
    counts = (targets != LEFT_OUT).sum(1)
    if targets.device.type == "cpu":
        for k, (row, n, t) in enumerate(
            zip(targets.tolist(), counts.tolist(), lengths.tolist(), strict=True)
        ):
            _check_labels(row[:n], V, f"targets[{k}]")
            if steps_needed(row[:n]) > t:
                raise ValueError(
                    f"targets[{k}] has {n} labels, which need {steps_needed(row[:n])} "
                    f"steps (a blank parts two that are alike), and there are {t}"
                )
    flat = targets.masked_fill(targets == LEFT_OUT, 1)
    return F.ctc_loss(
        log_p.transpose(0, 1), flat, lengths.to(counts), counts,
        blank=BLANK, reduction="none",
    )  # fmt: skip


def labellings(log_p: Tensor) -> dict[tuple[int, ...], float]:
    """Every labelling and its log-probability, by going through all V^T paths.

    The definition (Graves et al. 2006, eq. 2 and 3), for sounds small enough.
    log_p: [time, V]. Raises ValueError beyond a million paths.
    """
    log_p = _one_sound(log_p)
    T, V = log_p.shape
    if V**T > 10**6:
        raise ValueError(f"{V}^{T} paths are more than a million: use prefix_search")
    found: dict[tuple[int, ...], list[float]] = {}
    for path in itertools.product(range(V), repeat=T):
        p = float(sum(log_p[t, s] for t, s in enumerate(path)))
        found.setdefault(tuple(collapse(path)), []).append(p)
    return {labels: float(np.logaddexp.reduce(ps)) for labels, ps in found.items()}


def best_path(log_p: Tensor, lengths: Tensor | None = None):
    """The likeliest symbol at each step, collapsed: greedy decoding.

    log_p: [time, V] gives a list of labels; [batch, time, V], with `lengths`
        [batch] where rows are padded, gives a list of such lists

    It is the labelling of the likeliest path, not the likeliest labelling: others may
    have more paths (Graves et al. 2006, sec. 3.2).
    """
    if log_p.dim() == 2:
        return best_path(log_p.unsqueeze(0))[0]
    if log_p.dim() != 3:
        raise ValueError(f"log_p has shape {tuple(log_p.shape)}: give [batch, time, V]")
    paths = log_p.argmax(2).tolist()
    ends = [log_p.shape[1]] * len(paths) if lengths is None else lengths.tolist()
    return [collapse(path[:end]) for path, end in zip(paths, ends, strict=True)]


class Labelling(NamedTuple):
    """What a search found.

    labels: symbols, 1 to V - 1
    log_probability: in nats, of all its paths that the search followed: at most, and
        with a wide beam just, the log-probability of the labelling
    score: what labellings are ranked by; the same without a language model
    """

    labels: tuple[int, ...]
    log_probability: float
    score: float


def prefix_search(
    log_p: Tensor, width: int = 16, *, language_model=None, weight: float = 1.0,
    bonus: float = 0.0, space: int | None = None,
) -> list[Labelling]:  # fmt: skip
    """The likeliest labellings, found by following `width` of their beginnings.

    log_p: [time, V] of one sound
    width: beginnings kept at each step
    language_model: anything with `next(labels) -> [V]`, what each symbol adds when
        it follows these labels, and `end(labels)`, what ending there adds; in nats.
        `LetterModel`, `WordModel`
    weight: alpha, of the language model
    bonus: beta, added for each symbol; with `space`, the number of the symbol that
        parts words, for each word. It makes up for what every symbol costs in a
        language model, which likes short sentences

    Returns up to `width` labellings, the best score first:
        log p(labels | sound) + weight * log p_LM(labels) + bonus * |labels|

    Paths that end in a blank and paths that end in the last symbol are counted
    apart, since only after a blank does the same symbol begin anew. As wide as there
    are beginnings the search is exact. Source: Graves et al. 2006, sec. 3.2 (with a
    queue in place of a beam); Hannun et al. 2014, algorithm 1.
    """
    if width < 1:
        raise ValueError(f"width={width}: at least one beginning is followed")
    if not weight >= 0:
        raise ValueError(f"weight={weight}: it must be 0 or more")
    log_p = _one_sound(log_p)
    V = log_p.shape[1]
    if space is not None and not 0 < space < V:
        raise ValueError(f"space={space}: a symbol from 1 to {V - 1}")
    extra = _Extra(language_model, weight, bonus, space, V)
    prefixes: list[tuple[int, ...]] = [()]
    blank, symbol = np.zeros(1), np.full(1, -np.inf)
    for now in log_p:
        last = np.array([p[-1] if p else BLANK for p in prefixes])
        total = np.logaddexp(blank, symbol)
        k = len(prefixes)
        # What stays as it is: a blank after anything, or the last symbol held on.
        stay_blank = total + now[BLANK]
        stay_symbol = np.where(last == BLANK, -np.inf, symbol + now[last])
        # What grows: any symbol; the same one as before only after a blank.
        grow = total[:, None] + now
        grow[:, BLANK] = -np.inf
        held = np.flatnonzero(last != BLANK)
        grow[held, last[held]] = blank[held] + now[last[held]]
        # A beginning that grows into another one of the beam is that one.
        at = {p: row for row, p in enumerate(prefixes)}
        for row, prefix in enumerate(prefixes):
            parent = at.get(prefix[:-1]) if prefix else None
            if parent is not None:
                grown = grow[parent, prefix[-1]]
                stay_symbol[row] = np.logaddexp(stay_symbol[row], grown)
                grow[parent, prefix[-1]] = -np.inf
        scores = np.concatenate([np.logaddexp(stay_blank, stay_symbol), grow.ravel()])
        if extra.used:
            scores[:k] += [extra.total(p) for p in prefixes]
            scores[k:] += np.stack([extra.grown(p) for p in prefixes]).ravel()
        best = np.argsort(-scores, kind="stable")[:width]
        best = best[scores[best] > -np.inf]
        stays = best < k
        rows, symbols = np.divmod(np.where(stays, 0, best - k), V)
        rows = np.where(stays, best, rows)
        blank = np.where(stays, stay_blank[rows], -np.inf)
        symbol = np.where(stays, stay_symbol[rows], grow[rows, symbols])
        prefixes = [
            prefixes[r] if stay else (*prefixes[r], int(s))
            for r, s, stay in zip(rows, symbols, stays, strict=True)
        ]
    found = [
        Labelling(p, float(q), float(q) + extra.total(p) + extra.ending(p))
        for p, q in zip(prefixes, np.logaddexp(blank, symbol), strict=True)
    ]
    return sorted(found, key=lambda f: -f.score)


class _Extra:
    """What language model and bonus add to beginnings, remembered for each."""

    def __init__(self, model, weight, bonus, space, symbols):
        self.model, self.weight, self.bonus = model, weight, bonus
        self.space, self.symbols = space, symbols
        self.used = model is not None or bonus != 0
        self._totals, self._grown = {(): 0.0}, {}

    def total(self, prefix) -> float:
        """Of all symbols of a beginning."""
        if not self.used:
            return 0.0
        if prefix not in self._totals:
            self._totals[prefix] = float(self.grown(prefix[:-1])[prefix[-1]])
        return self._totals[prefix]

    def grown(self, prefix) -> np.ndarray:
        """The totals of the beginnings that are one symbol longer: [V]."""
        if prefix not in self._grown:
            adds = np.zeros(self.symbols)
            if self.model is not None:
                given = np.asarray(self.model.next(prefix), dtype=np.float64)
                if given.shape != (self.symbols,):
                    raise ValueError(
                        f"the language model gave {given.shape} values after {prefix}, "
                        f"the sounds have {self.symbols} symbols"
                    )
                adds += self.weight * given
            if self.space is None:
                adds += self.bonus
            elif prefix and prefix[-1] != self.space:
                adds[self.space] += self.bonus
            self._grown[prefix] = self.total(prefix) + adds
        return self._grown[prefix]

    def ending(self, prefix) -> float:
        """Of ending here: the last word has no space behind it."""
        added = 0.0 if self.model is None else self.weight * self.model.end(prefix)
        if self.space is not None and prefix and prefix[-1] != self.space:
            added += self.bonus
        return added


class LetterModel:
    """A language model for `prefix_search`, from n-grams of its symbols.

    texts: the sentences to learn from, each as symbols 1 to V - 1
    symbols: V, the blank among them
    order: symbols looked at, the predicted one among them; see `NGram`

    Sentences begin and end with a mark of their own, so that it knows where one may
    stop.
    """

    def __init__(self, texts, symbols: int, order: int = 4):
        from .models.ngram import NGram

        texts = [[int(s) for s in text] for text in texts]
        for k, text in enumerate(texts):
            _check_labels(text, symbols, f"texts[{k}]")
        if not texts:
            raise ValueError("there are no texts to learn from")
        # The blank's number, which no text has, marks where a sentence ends.
        joined = [BLANK] + [s for text in texts for s in (*text, BLANK)]
        self.model = NGram(order, symbols).fit(joined)
        self.order = order
        self._known: dict[tuple[int, ...], np.ndarray] = {}  # a search asks often

    def next(self, labels) -> np.ndarray:
        """Log-probability of each symbol after these labels: [V]."""
        context = (BLANK, *labels)[-max(1, self.order - 1) :]
        if context not in self._known:
            found = np.log(self.model.probabilities(list(context)))
            found.flags.writeable = False
            self._known[context] = found
        return self._known[context]

    def end(self, labels) -> float:
        """Log-probability that the sentence ends after these labels."""
        return float(self.next(labels)[BLANK])


class WordModel:
    """A language model of whole words: it speaks when a word is over.

    texts: the sentences to learn from, strings with spaces between words
    vocabulary: of the letters, the space among them; letter k is symbol k + 1
    order: words looked at, the predicted one among them
    unknown: log-probability, in nats, of a word that no text has

    As in Hannun et al. 2014: letters cost nothing until the space after them.
    """

    def __init__(self, texts, vocabulary, order: int = 2, unknown: float = -12.0):
        from .models.ngram import NGram

        sentences = [text.split() for text in texts]
        words = sorted({word for sentence in sentences for word in sentence})
        if not words:
            raise ValueError("there are no words to learn from")
        self.vocabulary, self.order, self.unknown = vocabulary, order, unknown
        self.space = int(vocabulary.encode(" ")[0]) + 1
        # 0 is the mark between sentences, the last number an unknown word.
        self.numbers = {word: k for k, word in enumerate(words, 1)}
        joined = [0] + [n for s in sentences for n in (*map(self.numbers.get, s), 0)]
        self.model = NGram(order, len(words) + 2).fit(joined)

    def next(self, labels) -> np.ndarray:
        """What each symbol adds after these labels: [V]; only a space adds."""
        added = np.zeros(len(self.vocabulary) + 1)
        if labels and labels[-1] != self.space:
            *before, word = self._words(labels)
            added[self.space] = self._log_p(before, word)
        return added

    def end(self, labels) -> float:
        """What ending after these labels adds: the last word and the end itself."""
        words, added = self._words(labels), 0.0
        if labels and labels[-1] != self.space:
            added = self._log_p(words[:-1], words[-1])
        return added + float(np.log(self._after(words)[0]))

    def _words(self, labels) -> list[str]:
        return self.vocabulary.decode(torch.tensor(labels, dtype=int) - 1).split()

    def _log_p(self, before, word) -> float:
        if word not in self.numbers:
            return self.unknown
        return float(np.log(self._after(before)[self.numbers[word]]))

    def _after(self, words) -> np.ndarray:
        strange = len(self.numbers) + 1
        context = [0, *(self.numbers.get(w, strange) for w in words)]
        return self.model.probabilities(context[-max(1, self.order - 1) :])


class Alignment(NamedTuple):
    """How labels can lie over a sound; S = 2 labels + 1, blanks between and around.

    symbols: int64 [S], the labels with blanks
    forward: [time, S], log-probability of all beginnings of paths that are at symbol
        s at step t, alpha in Graves et al. 2006, eq. 5 to 7
    backward: [time, S], the same of all ends of paths from there on, the step itself
        not counted; Graves et al. count it in both (their eq. 9 to 11)
    posterior: [time, S], the share of the labelling's probability that passes
        there; each row sums to one
    path: int64 [time], places in `symbols` on the likeliest of the paths
    log_probability: of the labelling, -`loss`
    """

    symbols: Tensor
    forward: Tensor
    backward: Tensor
    posterior: Tensor
    path: Tensor
    log_probability: float

    def of_labels(self) -> Tensor:
        """The posterior of each label without the blanks: [time, labels]."""
        return self.posterior[:, 1::2]


def align(log_p: Tensor, labels) -> Alignment:
    """All paths of a labelling at once: forward, backward, posterior, the best one.

    log_p: [time, V] of one sound; labels: symbols, 1 to V - 1, maybe none
    Raises ValueError where the labels do not fit into the steps.
    Source: Graves et al. 2006, sec. 4.1.
    """
    log_p = _one_sound(log_p)
    T, V = log_p.shape
    labels = [int(s) for s in labels]
    _check_labels(labels, V, "labels")
    if steps_needed(labels) > T:
        raise ValueError(
            f"{len(labels)} labels need {steps_needed(labels)} steps (a blank parts "
            f"two that are alike), and there are {T}"
        )
    symbols = np.full(2 * len(labels) + 1, BLANK)
    symbols[1::2] = labels
    # From two places before one may come past a blank, but not from the same label.
    skip = np.zeros(len(symbols), dtype=bool)
    skip[3::2] = symbols[3::2] != symbols[1:-2:2]
    seen = log_p[:, symbols]

    def sweep(seen, skip, together):
        """What leads to each place, without the step itself: [time, S].

        together: a sum over the ways in, or the best of them
        """
        into = np.full(seen.shape, -np.inf)
        into[0, :2] = 0
        for t in range(1, len(seen)):
            before = into[t - 1] + seen[t - 1]
            ways = np.full((3, len(before)), -np.inf)
            ways[0] = before
            ways[1, 1:] = before[:-1]
            ways[2, 2:] = np.where(skip[2:], before[:-2], -np.inf)
            into[t] = together(ways)
        return into

    def add(ways):
        return np.logaddexp.reduce(ways, axis=0)

    forward = sweep(seen, skip, add) + seen
    # Read backward, a skip that led to a place leads from it.
    back = np.zeros_like(skip)
    back[2:] = skip[::-1][:-2]
    backward = sweep(seen[::-1, ::-1], back, add)[::-1, ::-1]
    total = np.logaddexp.reduce(forward[-1, -2:])
    if total == -np.inf:
        raise ValueError(f"the labels {labels} have probability 0 in this sound")
    best = sweep(seen, skip, lambda ways: ways.max(axis=0)) + seen
    path = np.zeros(T, dtype=np.int64)
    path[-1] = len(symbols) - 1
    if len(symbols) > 1 and best[-1, -2] > best[-1, -1]:
        path[-1] -= 1
    for t in range(T - 1, 0, -1):
        s = path[t]
        came = [s, s - 1, s - 2][: 1 + (s > 0) + (s > 1 and skip[s])]
        path[t - 1] = max(came, key=lambda place, row=best[t - 1]: row[place])
    return Alignment(
        torch.from_numpy(symbols),
        torch.from_numpy(forward),
        torch.from_numpy(np.ascontiguousarray(backward)),
        torch.from_numpy(np.exp(forward + backward - total)),
        torch.from_numpy(path),
        float(total),
    )


def _one_sound(log_p) -> np.ndarray:
    """float64 [time, V], once it is seen to be log-probabilities."""
    log_p = torch.as_tensor(log_p).detach().cpu().double().numpy()
    if log_p.ndim != 2 or 0 in log_p.shape or log_p.shape[1] < 2:
        raise ValueError(
            f"log_p has shape {log_p.shape}: give [time, V] of one sound, the blank "
            "and at least one symbol"
        )
    if np.isnan(log_p).any() or log_p.max() > 1e-3:
        raise ValueError(
            "log_p must be log-probabilities, 0 at most and never NaN: take log_softmax"
        )
    return log_p


def _check_labels(labels, symbols: int, name: str) -> None:
    wrong = [s for s in labels if not 0 < s < symbols]
    if wrong:
        raise ValueError(
            f"{name} has {wrong[0]}: labels go from 1 to {symbols - 1}, 0 is the blank"
        )
