"""What is said in a recording, learned without alignments."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ... import ctc
from ...audio import AudioFeatures
from ...datasets.vocabulary import SymbolVocabulary
from .layers import deep_layer
from .sounds import (
    batches,
    check_width,
    features_of,
    padded,
    parts,
    sounds_and_texts,
    steps,
)


class ErrorRates(NamedTuple):
    """word, character: edits over what was said; wrong: share of texts not right."""

    word: float
    character: float
    wrong: float


class SpeechRecogniser(nn.Module):
    """What is said in a recording: features, a deep layer, and CTC.

    vocabulary: of V - 1 symbols, `Vocabulary` for letters or `SymbolVocabulary` for
        words; the symbol k of it is k + 1 here, since 0 is the blank
    features, layer: as in `SpeechClassifier`
    dropout: share of the layer's output set to zero in training

        log_p, state = model(x, state=None, lengths=None)
        x [batch, time, features] -> log_p [batch, time, V]

    Source: Graves et al. 2006, sec. 3; deep and bidirectional as in Graves, Mohamed
    and Hinton 2013.
    """

    def __init__(
        self, vocabulary, features: AudioFeatures, layer: nn.Module,
        dropout: float = 0.0,
    ):  # fmt: skip
        super().__init__()
        check_width(features, layer)
        self.vocabulary, self.features, self.layer = vocabulary, features, layer
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(layer.output_size, len(vocabulary) + 1)

    @classmethod
    def of_size(
        cls, vocabulary, features: AudioFeatures, hidden_size: int = 96, *,
        layers: int = 2, cell: str = "lstm", bidirectional: bool = True,
        dropout: float = 0.0,
    ):  # fmt: skip
        """The usual model; sizes as in `deep_layer`, dropout between layers too."""
        layer = deep_layer(
            features.output_size, hidden_size, layers, cell, bidirectional,
            dropout if layers > 1 else 0.0,
        )  # fmt: skip
        return cls(vocabulary, features, layer, dropout)

    def forward(self, x: Tensor, state=None, lengths: Tensor | None = None):
        y, state = self.layer(x, state, lengths)
        logits = self.output(self.dropout(y))
        # Under autocast in half precision a long text's loss would be lost.
        dtype = torch.promote_types(logits.dtype, torch.float32)
        return logits.log_softmax(2, dtype), state

    def fit(
        self, utterances, valid=None, *, framewise: bool = False, epochs: float = 20,
        batch_size: int = 16, learning_rate: float = 4e-3, augment=None,
        patience: int | None = None, checks: int = 10, seed: int | None = None,
        progress: bool = True, **options,
    ):  # fmt: skip
        """Learn from recordings and their texts.

        utterances: `Utterance`s, or pairs (sound, text)
        framewise: learn the symbol of each step by cross entropy, as before CTC: a
            word's own within its span, the blank between. For vocabularies of words,
            and utterances that have spans. What it then says at a step is no part of
            a path: read it with width=1
        valid, epochs, batch_size, learning_rate, augment, patience, checks, seed,
        progress, options: as in `SpeechClassifier.fit`; the loss is in nats for a
            whole text, or for a step when framewise

        Returns the model, in evaluation mode, with its `training_record`. Raises
        ValueError for a text with more symbols than its sound has steps.
        """
        from ...training import fit_by_length

        target = self._frames if framewise else self._labels
        train, held_out = parts(self, utterances, valid, target)

        def collate(examples, training):
            x, lengths = padded(examples, augment if training else None)
            targets = pad_sequence([e[1] for e in examples], True, ctc.LEFT_OUT)
            return (x, targets, lengths) if framewise else (Sounds(x, lengths), targets)

        if not framewise:
            options |= {"loss": _ctc_loss, "network": _WithLengths(self)}
        return fit_by_length(
            self, train, held_out, collate, epochs=epochs, batch_size=batch_size,
            steps=steps, seed=seed, learning_rate=learning_rate, patience=patience,
            checks=checks, progress=progress, **options,
        )  # fmt: skip

    @torch.no_grad()
    def log_probabilities(self, sounds, batch_size: int = 64):
        """What it hears at each step: [time, V] of one sound, a list for a list."""
        one, x = features_of(self, sounds)
        found = []
        for batch, lengths in batches(self, x, batch_size):
            log_p = self(batch, None, lengths)[0].cpu()
            found += [row[:n] for row, n in zip(log_p, lengths.tolist(), strict=True)]
        return found[0] if one else found

    def transcribe(self, sounds, width: int = 1, *, batch_size: int = 64, **options):
        """The text of one sound, or the texts of a list.

        sounds: each a path, samples, features or an `Utterance`
        width: of the prefix search; 1 takes the best path (greedy)
        options: for `lstmbook.ctc.prefix_search` (language_model, weight, bonus,
            space)
        """
        if width < 1:
            raise ValueError(f"width={width}: at least one beginning is followed")
        if width == 1 and options:
            raise ValueError(
                f"width=1 takes the best path, which has no {', '.join(options)}: give "
                "a wider search"
            )
        found = self.log_probabilities(sounds, batch_size)
        one = isinstance(found, Tensor)
        texts = []
        for log_p in [found] if one else found:
            if width == 1:
                texts.append(self.text(ctc.best_path(log_p)))
            else:
                texts.append(self.text(ctc.prefix_search(log_p, width, **options)[0]))
        return texts[0] if one else texts

    def align(self, sound, text: str) -> ctc.Alignment:
        """Where in a sound the symbols of a text are, as the model hears it."""
        return ctc.align(self.log_probabilities(sound), self.labels(text).tolist())

    def error_rates(self, utterances, width: int = 1, **options) -> ErrorRates:
        """Word and character error rates; options as in `transcribe`.

        Edits over all texts divided by the words, or characters, of all texts
        (torchmetrics); above 1 is possible.
        """
        from torchmetrics.functional.text import char_error_rate, word_error_rate

        sounds, texts = sounds_and_texts(utterances)
        if not any(text.split() for text in texts):
            raise ValueError("all texts are empty: there is nothing to divide by")
        found = self.transcribe(list(sounds), width, **options)
        return ErrorRates(
            float(word_error_rate(found, texts)),
            float(char_error_rate(found, texts)),
            sum(a != b for a, b in zip(found, texts, strict=True)) / len(texts),
        )

    def labels(self, text: str) -> Tensor:
        """The symbols of a text, 1 to V - 1, int64 [labels]."""
        words = isinstance(self.vocabulary, SymbolVocabulary) and isinstance(text, str)
        return self.vocabulary.encode(text.split() if words else text) + 1

    def text(self, labels) -> str:
        """The text of symbols 1 to V - 1, or of a `Labelling`."""
        labels = labels.labels if isinstance(labels, ctc.Labelling) else labels
        ids = torch.as_tensor(labels, dtype=torch.int64) - 1
        decoded = self.vocabulary.decode(ids)
        return decoded if isinstance(decoded, str) else " ".join(decoded)

    def config(self) -> dict:
        return {
            "vocabulary": self.vocabulary,
            "features": self.features,
            "layer": self.layer,
            "dropout": self.dropout.p,
        }

    def _labels(self, utterance, x, k) -> Tensor:
        labels = self.labels(utterance[1])
        needed = ctc.steps_needed(labels)
        if needed > len(x):
            raise ValueError(
                f"example {k}, {utterance[1]!r}, needs {needed} steps and its sound "
                f"has {len(x)}: take a smaller hop or stack, or longer symbols (words)"
            )
        return labels

    def _frames(self, utterance, x, k) -> Tensor:
        labels = self.labels(utterance[1])
        spans = utterance[3] if len(utterance) > 3 else ()
        if len(spans) != len(labels):
            raise ValueError(
                f"example {k}, {utterance[1]!r}, has {len(labels)} symbols and "
                f"{len(spans)} spans: framewise learning needs a span for each symbol"
            )
        target = torch.full((len(x),), ctc.BLANK)
        step = self.features.step
        for label, (begin, end) in zip(labels, spans, strict=True):
            target[math.ceil(begin / step) : math.ceil(end / step)] = label
        return target


class Sounds(NamedTuple):
    """A batch of sounds: x [batch, time, features] and their lengths [batch]."""

    x: Tensor
    lengths: Tensor


class _WithLengths(nn.Module):
    """A recogniser as `Task` calls it, for a loss that has to know the lengths."""

    def __init__(self, model: SpeechRecogniser):
        super().__init__()
        self.model = model

    def forward(self, sounds: Sounds, state=None, lengths=None):
        log_p, state = self.model(sounds.x, state, sounds.lengths)
        return (log_p, sounds.lengths), state


def _ctc_loss(output, targets) -> Tensor:
    log_p, lengths = output
    return ctc.loss(log_p, targets, lengths).mean()
