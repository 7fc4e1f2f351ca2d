"""Models of music in several voices: all notes of a frame at once, or voice by voice.

from lstmbook.datasets.music import chorales
train, valid = chorales("train", resolution=2), chorales("valid", resolution=2)
model = VoiceModel.of_size(VoiceTokens.of(train + valid), 256).fit(train, valid)
scores.write(model.compose(64, seed=1), "chorale.mid")
lb.save(model, "chorales.safetensors")

`FrameModel`, `VoiceModel` and `VoiceChain` say what a frame costs in nats by the same
`frame_costs(pieces)`, each given the frames before it and that the piece goes on.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from ..cells import LSTMCell
from ..datasets.batches import ByLength
from ..datasets.voices import (
    PIANO,
    Piece,
    VoiceTokens,
    from_piano_roll,
    piano_roll,
    room,
    transpose,
)
from ..modes import evaluating
from ..recurrent import Recurrent, Stack
from ..search import probabilities
from ..states import index
from .language import LanguageModel
from .ngram import NGram

LEFT_OUT = -100  # what the loss does not count, as in torch


class FrameModel(nn.Module):
    """The notes of the next frame, each by itself: Bernoulli given the frames before.

    layer: any layer with a state to carry, whose input_size is the number of keys
    keys: (lowest, highest) MIDI number
    dropout: share of the layer's output set to zero in training

        logits, state = model(roll, state=None, lengths=None)
        roll [batch, time, keys] -> logits [batch, time, keys] of the frame after

    The first frame is predicted from an empty one. A frame's cost is the sum of the
    costs of its keys, silent ones too: the probability of a set of notes, which sums
    to one over all sets. But given the past the keys know nothing of one another.
    Source: the "RNN" of Boulanger-Lewandowski et al. 2012, here with an LSTM.
    """

    def __init__(self, layer: nn.Module, keys=PIANO, dropout: float = 0.0):
        super().__init__()
        self.keys = tuple(keys)
        count = self.keys[1] - self.keys[0] + 1
        if layer.input_size != count:
            raise ValueError(
                f"the layer takes {layer.input_size} features, keys={self.keys} are "
                f"{count}: make its input_size that"
            )
        self.layer, self.dropout = layer, nn.Dropout(dropout)
        self.output = nn.Linear(layer.output_size, count)

    @classmethod
    def of_size(
        cls, hidden_size: int = 256, layers: int = 1, keys=PIANO, spec="lstm",
        dropout: float = 0.0, forget_bias: float | None = 1.0,
    ):  # fmt: skip
        """The usual model: `layers` LSTMs of one size. Arguments as in `LSTMCell`."""
        sizes = [keys[1] - keys[0] + 1] + [hidden_size] * (layers - 1)
        stack = [
            Recurrent(LSTMCell(n, hidden_size, spec, forget_bias=forget_bias))
            for n in sizes
        ]
        layer = stack[0] if layers == 1 else Stack(*stack, dropout=dropout)
        return cls(layer, keys, dropout)

    def forward(self, roll: Tensor, state=None, lengths=None):
        y, state = self.layer(roll, state, lengths)
        return self.output(self.dropout(y)), state

    def fit(self, pieces, valid, **options):
        """Train on pieces; options as in `VoiceModel.fit`. Returns the model."""
        return _fit(self, pieces, valid, compass=self.keys, loss=frame_loss, **options)

    @torch.no_grad()
    def frame_costs(self, pieces, batch_size: int = 32) -> list[Tensor]:
        """What each frame of each piece cost, in nats: a list of float32 [time]."""
        found = []
        for x, y, rows in _batches(self, pieces, batch_size):
            with evaluating(self):
                logits, _ = self(x)
            cost = _key_costs(logits, y.to(logits.device)).sum(2).cpu()
            found += [c[: len(p)] for c, p in zip(cost, rows, strict=True)]
        return found

    def nats(self, pieces, **options) -> float:
        """Mean cost of a frame in nats, over all frames of all pieces."""
        return _mean(self.frame_costs(pieces, **options))

    @torch.no_grad()
    def compose(
        self, frames: int, *, temperature: float = 1.0, like: Piece | None = None,
        seed: int | None = None, **about,
    ) -> Piece:  # fmt: skip
        """Draw a piece, each key of a frame by itself.

        temperature: logits are divided by it; 0 takes keys that are likelier than not
        like: a piece to go on from; its frames are not part of what is returned
        about: resolution, meter and so on of the `Piece`
        """
        _check_composing(frames, temperature)
        generator = _generator(seed)
        device, state = self.output.weight.device, None
        given = torch.zeros(1, 1, self.output.out_features)
        if like is not None:
            given = torch.cat([given, piano_roll(like, self.keys)[None]], 1)
        drawn = []
        with evaluating(self):
            for _ in range(frames):
                logits, state = self(given.to(device), state)
                z = logits[:, -1:].cpu()
                p = (z > 0).float() if temperature == 0 else (z / temperature).sigmoid()
                given = torch.bernoulli(p, generator=generator)
                drawn.append(given[0, 0])
        return from_piano_roll(torch.stack(drawn), self.keys, **about)

    def example(self, piece: Piece) -> tuple[Tensor, Tensor]:
        """A piece as (what is read, what is predicted), both [time, keys]."""
        roll = piano_roll(piece, self.keys)
        return F.pad(roll[:-1], (0, 0, 1, 0)), roll

    def config(self) -> dict:
        return {
            "layer": self.layer,
            "keys": list(self.keys),
            "dropout": self.dropout.p,
        }


class VoiceModel(LanguageModel):
    """A language model of voices: in each frame soprano, alto, tenor, bass in turn.

    vocabulary: `VoiceTokens`; the other arguments as in `LanguageModel`

        P(frame | past) = P(s | past) P(a | past, s) P(t | past, s, a) P(b | ...)

    Symbols that cannot stand behind a symbol, another voice's, have probability 0.
    So the probabilities of all rows of voices sum to one in each frame; where
    different rows sound the same (a unison, two voices exchanged), the probability
    of the sound is their sum, and the cost reported here is above that of the sound.
    """

    def __init__(self, vocabulary: VoiceTokens, layer, dropout=0.0, tied=False):
        super().__init__(vocabulary, layer, dropout, tied)
        self.register_buffer("allowed", vocabulary.followers(), persistent=False)

    def forward(self, ids: Tensor, state=None, lengths=None):
        logits, state = super().forward(ids, state, lengths)
        return logits.masked_fill(~self.allowed[ids], -torch.inf), state

    def fit(self, pieces, valid, **options):
        """Train on pieces, each from its beginning to its end.

        pieces, valid: lists of `Piece`. The weights with the lowest loss on `valid`
            are kept, `checks` (10) looks in all
        augment: each time it is read, a piece is transposed by chance, as far as the
            compass of the model and `semitones` (5) allow; not the held-out ones
        epochs: passes over the pieces (20); batch_size: pieces in a batch (16)
        learning_rate: at its top (4e-3); it falls to zero along a cosine
        patience: stop after so many looks without a better one
        seed: of the order, the transpositions and torch's random numbers
        progress, and options for `lstmbook.training.trainer`

        Returns the model, in evaluation mode. What happened is in
        `model.training_record`: {"updates": made, "valid": [(update, loss), ...]}.
        """
        from ..training import sequence_loss

        compass = self.vocabulary.compass
        return _fit(self, pieces, valid, compass=compass, loss=sequence_loss, **options)

    def encode(self, pieces) -> Tensor:
        """One stream of symbols for all pieces, or for ids, as in `LanguageModel`."""
        if isinstance(pieces, Piece):
            pieces = [pieces]
        if isinstance(pieces, list | tuple) and pieces and isinstance(pieces[0], Piece):
            return self.vocabulary.stream(pieces)
        if isinstance(pieces, str):
            raise ValueError("the model reads pieces of music, not text")
        return super().encode(pieces)

    @torch.no_grad()
    def voice_costs(self, pieces, batch_size: int = 32) -> list[Tensor]:
        """What each voice of each frame cost, in nats: a list of [time, voices].

        Given that the piece goes on: that it ends is a symbol of the model, and is
        neither counted nor among the choices here.
        """
        found, V = [], self.vocabulary.voices
        for x, y, rows in _batches(self, pieces, batch_size):
            with evaluating(self):
                logits, _ = self(x)
            logits[:, :, self.vocabulary.boundary] = -torch.inf
            y = y.where(y != self.vocabulary.boundary, LEFT_OUT)
            cost = F.cross_entropy(
                logits.mT, y.to(logits.device), reduction="none", ignore_index=LEFT_OUT
            ).cpu()
            found += [
                c[: len(p) * V].view(-1, V) for c, p in zip(cost, rows, strict=True)
            ]
        return found

    def frame_costs(self, pieces, batch_size: int = 32) -> list[Tensor]:
        """What each frame of each piece cost, in nats: a list of float32 [time]."""
        return [cost.sum(1) for cost in self.voice_costs(pieces, batch_size)]

    def nats(self, pieces, **options) -> float:
        """Mean cost of a frame in nats, over all frames of all pieces."""
        return _mean(self.frame_costs(pieces, **options))

    def compose(
        self, frames: int | None = 64, *, longest: int = 1000, seed: int | None = None,
        temperature: float = 1.0, top_k=None, top_p=None, **about,
    ) -> Piece:  # fmt: skip
        """Draw a piece.

        frames: how many; None lets the model end it, after `longest` at the latest
        temperature, top_k, top_p: as in `lstmbook.search.probabilities`
        about: resolution, sharps, meter and so on of the `Piece`
        """
        _check_composing(longest if frames is None else frames, temperature)
        cut = (temperature, top_k, top_p)
        ids = self._draw(frames or longest, None, 1, cut, seed, ends=frames is None)
        return self.vocabulary.decode(ids[0], **about)

    def harmonise(
        self, melody: Piece, *, particles: int = 64, temperature: float = 1.0,
        seed: int | None = None,
    ) -> Piece:  # fmt: skip
        """Draw the lower voices under a given first voice.

        melody: a piece, of which the first voice is read
        particles: how many harmonies are carried along side by side

        The model sings from left to right: with the melody put in by force (one
        particle) each frame's harmony knows the melody so far and nothing of what
        comes, which is not what the model says about harmonies of this melody. With
        more particles, those to which the next note of the melody comes as a
        surprise die out and the others multiply, in proportion to what they gave
        it (a bootstrap particle filter; Gordon et al. 1993). Towards infinitely
        many, what is drawn follows P(lower voices | whole melody).
        """
        given = self._melody(melody)
        _check_composing(len(melody), temperature)
        if particles < 1:
            raise ValueError(f"particles={particles}: at least 1")
        cut = (temperature, None, None)
        ids = self._draw(len(melody), given, particles, cut, seed)
        return self.vocabulary.decode(ids[0], like=melody)

    @torch.no_grad()
    def best_harmony(self, melody: Piece, width: int = 16) -> Piece:
        """The likeliest lower voices under a given first voice, by beam search.

        Given the melody, the likeliest harmony is the one with which the whole frame
        sequence is likeliest, so here nothing is approximated but the search: with a
        `width` that keeps everything it is exact.
        """
        given = self._melody(melody)
        if width < 1:
            raise ValueError(f"width={width}: at least 1")
        voices, ids, state = self.vocabulary.voices, self._start(1), None
        written, total = torch.zeros(1, 0, dtype=torch.int64), torch.zeros(1)
        with evaluating(self):
            for n in range(len(melody) * voices):
                log_p, state = self._next(ids, state)
                if n % voices == 0:
                    symbol = given[n // voices].expand(len(ids))
                    total = total + log_p[:, given[n // voices]]
                else:
                    total = (total[:, None] + log_p).flatten()
                    k = min(width, int((total > -torch.inf).sum()))
                    total, at = total.topk(k)
                    parent, symbol = at // log_p.shape[1], at % log_p.shape[1]
                    written, state = written[parent], index(state, self._rows(parent))
                written = torch.cat([written, symbol[:, None]], 1)
                ids = symbol[:, None]
        return self.vocabulary.decode(written[total.argmax()], like=melody)

    @torch.no_grad()
    def _draw(self, frames, given, particles, cut, seed, ends=False) -> Tensor:
        """Symbols [particles, frames * voices], with the first voice given or not."""
        generator, voices = _generator(seed), self.vocabulary.voices
        ids, state = self._start(particles), None
        written = torch.zeros(particles, 0, dtype=torch.int64)
        with evaluating(self):
            for n in range(frames * voices):
                log_p, state = self._next(ids, state, ends)
                p = probabilities(log_p, *cut)
                if given is not None and n % voices == 0:
                    symbol = given[n // voices].expand(particles)
                    if particles > 1 and n:
                        weight = log_p[:, symbol[0]] / (cut[0] or 1)
                        weight = weight - (log_p / (cut[0] or 1)).logsumexp(1)
                        chosen = torch.multinomial(
                            weight.softmax(0), particles, True, generator=generator
                        )
                        written = written[chosen]
                        state = index(state, self._rows(chosen))
                else:
                    symbol = torch.multinomial(p, 1, generator=generator)[:, 0]
                    if ends and int(symbol[0]) == self.vocabulary.boundary:
                        break
                written = torch.cat([written, symbol[:, None]], 1)
                ids = symbol[:, None]
        return written

    def _start(self, rows: int) -> Tensor:
        return torch.full((rows, 1), self.vocabulary.boundary)

    def _rows(self, rows: Tensor) -> Tensor:
        return rows.to(self.embedding.weight.device)

    def _next(self, ids: Tensor, state, ends: bool = False):
        """Log-probabilities [rows, V] of the next symbol, on the CPU, and the state."""
        logits, state = self(ids.to(self.embedding.weight.device), state)
        logits = logits[:, -1].float().cpu()
        if not ends:
            logits[:, self.vocabulary.boundary] = -torch.inf
        return logits.log_softmax(1), state

    def _melody(self, melody: Piece) -> Tensor:
        """The symbols [time] of a first voice."""
        tokens = self.vocabulary
        alone = VoiceTokens(tokens.compass[:1], tokens.holds)
        return alone.encode(melody.voice(0))  # the first voice has the same symbols

    def example(self, piece: Piece) -> tuple[Tensor, Tensor]:
        """A piece as (what is read, what is predicted): ids [time * voices + 1]."""
        stream = self.vocabulary.stream([piece])
        return stream[:-1], stream[1:]


class VoiceChain:
    """A Markov chain over the same symbols as `VoiceModel`: the honest baseline.

    order: symbols looked at, the predicted one among them; all lower orders too
    vocabulary: `VoiceTokens`

    An interpolated Kneser-Ney model (`NGram`) of all pieces in a row. What it gives
    to other voices' symbols is shared out again, as in `VoiceModel`.
    """

    def __init__(self, order: int, vocabulary: VoiceTokens):
        self.vocabulary, self.model = vocabulary, NGram(order, len(vocabulary))

    def fit(self, pieces):
        """Count in pieces. Returns the chain."""
        self.model.fit(self.vocabulary.stream(pieces))
        return self

    def frame_costs(self, pieces, order: int | None = None) -> list[Tensor]:
        """What each frame of each piece cost, in nats: a list of [time]."""
        found, tokens = [], self.vocabulary
        for piece in pieces:
            ids = tokens.stream([piece]).numpy()
            cost = np.zeros((len(piece), tokens.voices))
            for voice in range(tokens.voices):
                at = np.arange(len(piece)) * tokens.voices + voice + 1
                symbols = tokens.symbols(voice).numpy()
                p = self.model.among(ids, at, symbols, order)
                of_it = p[np.arange(len(at)), ids[at] - symbols[0]]
                cost[:, voice] = -np.log(of_it / p.sum(1))
            found.append(torch.from_numpy(cost).float().sum(1))
        return found

    def nats(self, pieces, order: int | None = None) -> float:
        """Mean cost of a frame in nats, over all frames of all pieces."""
        return _mean(self.frame_costs(pieces, order))

    def compose(
        self, frames: int = 64, *, order: int | None = None, seed: int | None = None,
        **about,
    ) -> Piece:  # fmt: skip
        """Draw a piece; about: resolution, sharps, meter and so on of the `Piece`."""
        _check_composing(frames, 1.0)
        generator, tokens = np.random.default_rng(seed), self.vocabulary
        ids = [tokens.boundary]
        for n in range(frames * tokens.voices):
            symbols = tokens.symbols(n % tokens.voices).numpy()
            p = self.model.probabilities(ids[-self.model.order :], order)[symbols]
            ids.append(int(generator.choice(symbols, p=p / p.sum())))
        return tokens.decode(ids, **about)


def frame_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Nats a frame: the costs of all keys together; frames of -100 are left out.

    logits, target: [batch, time, keys]
    """
    frames = (target[:, :, 0] != LEFT_OUT).sum()
    return _key_costs(logits, target).sum() / frames


def _key_costs(logits: Tensor, target: Tensor) -> Tensor:
    kept = target != LEFT_OUT
    cost = F.binary_cross_entropy_with_logits(
        logits, target.where(kept, 0), reduction="none"
    )
    return cost.where(kept, 0)


def _mean(costs: list[Tensor]) -> float:
    return float(torch.cat(costs).double().mean())


def _fit(
    model, pieces, valid, *, compass, loss, augment: bool = False, semitones: int = 5,
    epochs: float = 20, batch_size: int = 16, learning_rate: float = 4e-3,
    patience: int | None = None, checks: int = 10, seed: int | None = None,
    progress: bool = True, **options,
):  # fmt: skip
    """Train either model; what the arguments mean stands in `VoiceModel.fit`."""
    from ..training import fit_and_keep_best

    pieces, valid = list(pieces), list(valid)
    if not pieces or not valid:
        raise ValueError(
            f"{len(pieces)} pieces to train on and {len(valid)} to validate on: give "
            "at least one of each"
        )
    for piece in [*pieces, *valid]:
        model.example(piece)  # a note that does not fit raises now, not in an hour
    if seed is not None:
        torch.manual_seed(seed)

    def collate(rows):
        if augment:
            rows = [_anywhere(piece, compass, semitones) for piece in rows]
        return _pad([model.example(piece) for piece in rows])

    loaders = [
        DataLoader(part, collate_fn=one, batch_sampler=ByLength(
            map(len, part), batch_size, shuffle))
        for part, one, shuffle in (
            (pieces, collate, True),
            (valid, lambda rows: _pad([model.example(p) for p in rows]), False),
        )
    ]  # fmt: skip
    made, history = fit_and_keep_best(
        model, *loaders, math.ceil(epochs * len(loaders[0])),
        learning_rate=learning_rate, loss=loss, checks=checks, patience=patience,
        progress=progress, **options,
    )  # fmt: skip
    model.training_record = {"updates": made, "valid": history}
    return model.eval()


def _anywhere(piece: Piece, compass, semitones: int) -> Piece:
    free = room(piece, compass)
    free = range(max(free.start, -semitones), min(free.stop, semitones + 1))
    return transpose(piece, free[int(torch.randint(len(free), ()))], compass)


def _pad(examples) -> tuple[Tensor, Tensor]:
    x, y = zip(*examples, strict=True)
    return pad_sequence(list(x), True, 0), pad_sequence(list(y), True, LEFT_OUT)


def _batches(model, pieces, batch_size: int):
    """(x, y, pieces) for a model to look at, x on its device, in their order."""
    if not len(pieces):
        raise ValueError("there are no pieces to measure")
    device = next(model.parameters()).device
    for k in range(0, len(pieces), batch_size):
        rows = pieces[k : k + batch_size]
        x, y = _pad([model.example(p) for p in rows])
        yield x.to(device), y, rows


def _generator(seed: int | None):
    return None if seed is None else torch.Generator().manual_seed(seed)


def _check_composing(frames: int, temperature: float):
    if frames < 1:
        raise ValueError(f"frames={frames}: at least 1")
    if not temperature >= 0:
        raise ValueError(f"temperature={temperature}: it must be 0 or more")
