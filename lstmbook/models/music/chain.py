"""Counting what follows what, voice by voice: the baseline."""

import numpy as np
import torch
from torch import Tensor

from ...datasets.voices import Piece, VoiceTokens
from ..ngram import NGram
from .pieces import check_composing, mean_nats


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
        return mean_nats(self.frame_costs(pieces, order))

    def compose(
        self, frames: int = 64, *, order: int | None = None, seed: int | None = None,
        **about,
    ) -> Piece:  # fmt: skip
        """Draw a piece; about: resolution, sharps, meter and so on of the `Piece`."""
        check_composing(frames, 1.0)
        generator, tokens = np.random.default_rng(seed), self.vocabulary
        ids = [tokens.boundary]
        for n in range(frames * tokens.voices):
            symbols = tokens.symbols(n % tokens.voices).numpy()
            p = self.model.probabilities(ids[-self.model.order :], order)[symbols]
            ids.append(int(generator.choice(symbols, p=p / p.sum())))
        return tokens.decode(ids, **about)
