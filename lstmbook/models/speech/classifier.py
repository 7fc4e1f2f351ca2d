"""Which one of a few words a whole recording is."""

import torch
from torch import Tensor, nn

from ...audio import AudioFeatures
from ...recurrent import last_output
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

POOLINGS = ("mean", "last")


class SpeechClassifier(nn.Module):
    """Which one of a few words a whole recording is.

    classes: the words
    features: `AudioFeatures`, of this model alone: `fit` takes their means
    layer: a layer over time that reads features.output_size values a step
    pooling: "mean", of the layer's outputs over the real steps; or "last", the
        output after the last step (of two directions, after the last step of each)
    dropout: share of what was pooled set to zero in training

        logits, state = model(x, state=None, lengths=None)
        x [batch, time, features] -> logits [batch, classes]
    """

    def __init__(
        self, classes, features: AudioFeatures, layer: nn.Module, pooling: str = "mean",
        dropout: float = 0.0,
    ):  # fmt: skip
        super().__init__()
        self.classes = list(classes)
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ValueError(f"classes={self.classes}: give at least two, each once")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling={pooling!r}: choose one of {POOLINGS}")
        check_width(features, layer)
        self.features, self.layer, self.pooling = features, layer, pooling
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(layer.output_size, len(self.classes))

    @classmethod
    def of_size(
        cls, classes, features: AudioFeatures, hidden_size: int = 64, *,
        layers: int = 1, cell: str = "lstm", bidirectional: bool = False,
        pooling: str = "mean", dropout: float = 0.0,
    ):  # fmt: skip
        """The usual model; sizes as in `deep_layer`, dropout between layers too."""
        layer = deep_layer(
            features.output_size, hidden_size, layers, cell, bidirectional,
            dropout if layers > 1 else 0.0,
        )  # fmt: skip
        return cls(classes, features, layer, pooling, dropout)

    def forward(self, x: Tensor, state=None, lengths: Tensor | None = None):
        y, state = self.layer(x, state, lengths)
        if self.pooling == "last":
            pooled = last_output(state)
        elif lengths is None:
            pooled = y.mean(1)
        else:  # y is zero in the padding
            pooled = y.sum(1) / lengths.to(y).unsqueeze(1)
        return self.output(self.dropout(pooled)), state

    def fit(
        self, utterances, valid=None, *, epochs: float = 20, batch_size: int = 32,
        learning_rate: float = 4e-3, augment=None, patience: int | None = None,
        checks: int = 10, seed: int | None = None, progress: bool = True, **options,
    ):  # fmt: skip
        """Learn from recordings of a word each.

        utterances: `Utterance`s, or pairs (sound, word); what a sound may be says
            `AudioFeatures`. At the first fit the features take their means from these
        valid: the same, held out; every tenth of them unless given. The weights with
            the lowest loss on it are kept, `checks` looks in all
        learning_rate: at its top; it falls to zero along a cosine
        augment: a function of features [time, features], applied each time that a
            training example is drawn: `lstmbook.audio.mask`
        patience: stop after so many looks without a better one
        seed: of the order of the batches and of torch's random numbers; the weights
            exist already
        options: for `lstmbook.training.trainer` (clip, checkpoint, precision ...)

        Returns the model, in evaluation mode. What happened is in
        `model.training_record`: {"updates": made, "valid": [(update, nats), ...]}.
        """
        from ...training import fit_by_length

        train, held_out = parts(self, utterances, valid, self._target)

        def collate(examples, training):
            x, lengths = padded(examples, augment if training else None)
            return x, torch.tensor([e[1] for e in examples]), lengths

        return fit_by_length(
            self, train, held_out, collate, epochs=epochs, batch_size=batch_size,
            steps=steps, seed=seed, learning_rate=learning_rate, patience=patience,
            checks=checks, progress=progress, **options,
        )  # fmt: skip

    @torch.no_grad()
    def probabilities(self, sounds, batch_size: int = 256) -> Tensor:
        """Of each class: [classes] for one sound, [N, classes] for a list."""
        one, x = features_of(self, sounds)
        found = [
            self(batch, None, lengths)[0].softmax(1).cpu()
            for batch, lengths in batches(self, x, batch_size)
        ]
        return torch.cat(found)[0] if one else torch.cat(found)

    def predict(self, sounds, batch_size: int = 256):
        """The likeliest word of one sound, or those of a list."""
        best = self.probabilities(sounds, batch_size).argmax(-1)
        if best.dim() == 0:
            return self.classes[int(best)]
        return [self.classes[k] for k in best.tolist()]

    def accuracy(self, utterances) -> float:
        """The share of recordings whose word is the likeliest one."""
        sounds, words = sounds_and_texts(utterances)
        found = self.predict(list(sounds))
        return sum(a == b for a, b in zip(found, words, strict=True)) / len(words)

    @torch.no_grad()
    def over_time(self, sound) -> Tensor:
        """What it would say had the recording ended at each step: [time, classes].

        Probabilities; the last row is `probabilities(sound)`. Each beginning is read
        by itself, so that a bidirectional model does not hear what is to come (a
        frame sees half its window ahead, and deltas four frames).
        """
        _, [x] = features_of(self, sound)
        beginnings = [x[:t] for t in range(1, len(x) + 1)]
        found = [
            self(batch, None, lengths)[0].softmax(1).cpu()
            for batch, lengths in batches(self, beginnings, 64)
        ]
        return torch.cat(found)

    def config(self) -> dict:
        return {
            "classes": self.classes,
            "features": self.features,
            "layer": self.layer,
            "pooling": self.pooling,
            "dropout": self.dropout.p,
        }

    def _target(self, utterance, x, k) -> int:
        word = utterance[1]
        if word not in self.classes:
            raise ValueError(f"example {k} is {word!r}, not one of {self.classes}")
        return self.classes.index(word)
