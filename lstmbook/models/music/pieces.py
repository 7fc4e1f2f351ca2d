"""What the models of music have in common: batches of pieces, and the training."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...datasets.voices import Piece, room, transpose

LEFT_OUT = -100  # what the loss does not count, as in torch


def mean_nats(costs: list[Tensor]) -> float:
    """Over all frames of all pieces, so that a long piece counts for more."""
    return float(torch.cat(costs).double().mean())


def fit_pieces(
    model, pieces, valid, *, compass, loss, augment: bool = False, semitones: int = 5,
    epochs: float = 20, batch_size: int = 16, learning_rate: float = 4e-3,
    patience: int | None = None, checks: int = 10, seed: int | None = None,
    progress: bool = True, **options,
):  # fmt: skip
    """Train either model; what the arguments mean stands in `VoiceModel.fit`."""
    from ...training import fit_by_length

    pieces, valid = list(pieces), list(valid)
    if not pieces or not valid:
        raise ValueError(
            f"{len(pieces)} pieces to train on and {len(valid)} to validate on: give "
            "at least one of each"
        )
    for piece in [*pieces, *valid]:
        model.example(piece)  # a note that does not fit raises now, not in an hour

    def collate(rows, training):
        if training and augment:
            rows = [_anywhere(piece, compass, semitones) for piece in rows]
        return pad([model.example(piece) for piece in rows])

    return fit_by_length(
        model, pieces, valid, collate, epochs=epochs, batch_size=batch_size,
        seed=seed, learning_rate=learning_rate, loss=loss, checks=checks,
        patience=patience, progress=progress, **options,
    )  # fmt: skip


def _anywhere(piece: Piece, compass, semitones: int) -> Piece:
    free = room(piece, compass)
    free = range(max(free.start, -semitones), min(free.stop, semitones + 1))
    return transpose(piece, free[int(torch.randint(len(free), ()))], compass)


def pad(examples) -> tuple[Tensor, Tensor]:
    x, y = zip(*examples, strict=True)
    return pad_sequence(list(x), True, 0), pad_sequence(list(y), True, LEFT_OUT)


def batches(model, pieces, batch_size: int):
    """(x, y, pieces) for a model to look at, x on its device, in their order."""
    if not len(pieces):
        raise ValueError("there are no pieces to measure")
    device = next(model.parameters()).device
    for k in range(0, len(pieces), batch_size):
        rows = pieces[k : k + batch_size]
        x, y = pad([model.example(p) for p in rows])
        yield x.to(device), y, rows


def generator_of(seed: int | None):
    return None if seed is None else torch.Generator().manual_seed(seed)


def check_composing(frames: int, temperature: float):
    if frames < 1:
        raise ValueError(f"frames={frames}: at least 1")
    if not temperature >= 0:
        raise ValueError(f"temperature={temperature}: it must be 0 or more")
