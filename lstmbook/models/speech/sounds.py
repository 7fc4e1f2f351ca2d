"""What both models of speech do with sounds: features, batches, training."""

import math

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from ...datasets.batches import ByLength
from ...datasets.speech import Utterance
from ...modes import evaluating


def check_width(features, layer) -> None:
    if layer.input_size != features.output_size:
        raise ValueError(
            f"the layer reads {layer.input_size} values a step, the features have "
            f"{features.output_size}: make them agree, or use of_size"
        )


def sounds_and_texts(utterances):
    """Sounds and texts of utterances or pairs, at least one."""
    utterances = list(utterances)
    if not utterances:
        raise ValueError("there are no utterances: give at least one")
    return [u[0] for u in utterances], [u[1] for u in utterances]


def parts(model, utterances, valid, target):
    """[(features, target), ...] to train on and to validate on."""
    utterances = list(utterances)
    if valid is None:
        valid = utterances[::10]
        utterances = [u for k, u in enumerate(utterances) if k % 10]
    valid = list(valid)
    if not utterances or not valid:
        raise ValueError(
            f"{len(utterances)} examples to train on and {len(valid)} to validate on: "
            "give at least one of each"
        )
    if not model.features.fitted:
        model.features.fit(u[0] for u in utterances)
    found = []
    for part in (utterances, valid):
        examples = []
        for k, utterance in enumerate(part):
            x = model.features(utterance[0])
            examples.append((x, target(utterance, x, k)))
        found.append(examples)
    return found


def train_model(
    model, network, train, valid, collate, augment, epochs, batch_size, seed, **options
):
    """What both models do once examples are features; returns the model."""
    from ...training import fit_and_keep_best

    if seed is not None:
        torch.manual_seed(seed)
    loaders = [
        DataLoader(
            part, collate_fn=lambda e, change=change: collate(e, change),
            batch_sampler=ByLength([len(x) for x, _ in part], batch_size, shuffle),
        )
        for part, shuffle, change in ((train, True, augment), (valid, False, None))
    ]  # fmt: skip
    updates = math.ceil(epochs * len(loaders[0]))
    made, history = fit_and_keep_best(network, *loaders, updates, **options)
    model.training_record = {"updates": made, "valid": history}
    return model.eval()


def pad(features, change=None) -> tuple[Tensor, Tensor]:
    if change is not None:
        features = [change(x) for x in features]
    lengths = torch.tensor([len(x) for x in features])
    return pad_sequence(list(features), batch_first=True), lengths


def features_of(model, sounds):
    """Whether one sound was given, and the features of each: a list [time, size]."""
    if not model.features.fitted:
        raise RuntimeError(f"{type(model).__name__} is not fitted yet; call fit(...)")
    one = not isinstance(sounds, list | tuple) or isinstance(sounds, Utterance)
    sounds = [sounds] if one else list(sounds)
    if not sounds:
        raise ValueError("there are no sounds: give at least one")
    return one, [
        model.features(s[0] if isinstance(s, Utterance) else s) for s in sounds
    ]


def batches(model, features, batch_size):
    """(x, lengths) on the model's device, the model in evaluation mode meanwhile."""
    device = model.output.weight.device
    with evaluating(model):
        for start in range(0, len(features), batch_size):
            x, lengths = pad(features[start : start + batch_size])
            yield x.to(device), lengths.to(device)
