"""What both models of speech do with sounds: features, batches, training."""

from torch import Tensor

from ...datasets.batches import pad
from ...datasets.speech import Utterance
from ...datasets.splits import every_tenth
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
        rows, held_out = every_tenth(len(utterances))
        valid = [utterances[k] for k in held_out]
        utterances = [utterances[k] for k in rows]
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


def steps(example) -> int:
    return len(example[0])


def padded(examples, change=None) -> tuple[Tensor, Tensor]:
    """The features of examples (features, target), each changed first, and lengths."""
    return pad([x if change is None else change(x) for x, _ in examples])


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
