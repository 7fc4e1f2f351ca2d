"""Voice by voice: a frame's notes know one another."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ...datasets.voices import PIANO, REST, Piece, VoiceTokens, piano_roll
from ...modes import evaluating
from ...search import probabilities
from ...states import index
from ..language import LanguageModel
from .pieces import (
    LEFT_OUT,
    batches,
    check_composing,
    fit_pieces,
    generator_of,
    mean_nats,
)


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
        from ...training import sequence_loss

        compass = self.vocabulary.compass
        return fit_pieces(
            self, pieces, valid, compass=compass, loss=sequence_loss, **options
        )

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
        for x, y, rows in batches(self, pieces, batch_size):
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
        return mean_nats(self.frame_costs(pieces, **options))

    @torch.no_grad()
    def key_chances(
        self, piece: Piece, draws: int = 256, keys=PIANO, seed: int | None = None
    ) -> Tensor:
        """How likely each key is to sound in each frame, given the frames before.

        draws: how many frames are drawn at each place, as the model expects them
        keys: (lowest, highest) MIDI number

        The share of the draws in which the key sounds, float32 [time, keys], counted
        with one draw more, half of it with the key, so that nothing is impossible.
        The notes of a draw know one another; these shares do not say which of them
        come together, and are all that a `FrameModel` could know.
        """
        tokens, generator = self.vocabulary, generator_of(seed)
        ids, state = tokens.stream([piece]), None
        found = []
        with evaluating(self):
            for t in range(len(piece)):
                row = torch.zeros(draws, dtype=torch.int64)
                some = None if state is None else index(state, self._rows(row))
                last = ids[t * tokens.voices].expand(draws, 1)
                pitch = torch.full((draws, tokens.voices), REST)
                for voice in range(tokens.voices):
                    log_p, some = self._next(last, some)
                    last = torch.multinomial(log_p.exp(), 1, generator=generator)
                    number = last[:, 0] - tokens.symbols(voice)[0]
                    low = tokens.compass[voice][0] - 1 - tokens.holds
                    held = piece.pitch[t - 1, voice] if t else REST
                    pitch[:, voice] = torch.where(number == 0, REST, number + low)
                    if tokens.holds:
                        pitch[number == 1, voice] = held
                rolls = piano_roll(Piece.of(pitch), keys)
                found.append((rolls.sum(0) + 0.5) / (draws + 1))
                read = ids[t * tokens.voices : (t + 1) * tokens.voices]
                _, state = self._next(read[None], state)
        return torch.stack(found)

    def compose(
        self, frames: int | None = 64, *, longest: int = 1000, seed: int | None = None,
        temperature: float = 1.0, top_k=None, top_p=None, pieces: int | None = None,
        **about,
    ) -> Piece | list[Piece]:  # fmt: skip
        """Draw a piece, or several side by side, which takes little longer.

        frames: how many; None lets the model end it, after `longest` at the latest
        temperature, top_k, top_p: as in `lstmbook.search.probabilities`
        pieces: how many; a list of so many comes back
        about: resolution, sharps, meter and so on of each `Piece`
        """
        check_composing(longest if frames is None else frames, temperature)
        if pieces is not None and pieces < 1:
            raise ValueError(f"pieces={pieces}: at least 1")
        cut, ends = (temperature, top_k, top_p), frames is None
        rows = self._draw(frames or longest, None, pieces or 1, cut, seed, ends)
        drawn = [self.vocabulary.decode(_to_its_end(r, self), **about) for r in rows]
        return drawn[0] if pieces is None else drawn

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
        check_composing(len(melody), temperature)
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
        """Symbols [particles, frames * voices], with the first voice given or not.

        ends: a row may end; it goes on with the next piece until all have ended
        """
        generator, voices = generator_of(seed), self.vocabulary.voices
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
                written = torch.cat([written, symbol[:, None]], 1)
                ids = symbol[:, None]
                if ends and (written == self.vocabulary.boundary).any(1).all():
                    break
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


def _to_its_end(ids: Tensor, model: VoiceModel) -> Tensor:
    """The symbols before the first boundary."""
    ends = (ids == model.vocabulary.boundary).nonzero()[:, 0]
    return ids[: int(ends[0])] if len(ends) else ids
