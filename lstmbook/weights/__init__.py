"""Small trained models that come with the package, and the command that made them.

model = lb.pretrained("shakespeare-characters")
print(model.write("**HAMLET**  \\n", 300, temperature=0.8, seed=1))

``python -m lstmbook.weights`` lists them; ``python -m lstmbook.weights NAME
--out FILE`` trains one again, with the same seed on the same data.
"""

import argparse
from pathlib import Path

from torch import nn

from .. import interop
from ..scale import seed_everything

FOLDER = Path(__file__).parent


def shakespeare_characters(tokens: int = 24_000_000, hidden_size: int = 304):
    """One LSTM of 304 on the characters of the 32 training plays.

    tokens: characters read in training, 4.67 million of them different places
    The weights kept are those with the lowest loss on the three validation plays.
    """
    from ..datasets.text import Vocabulary, shakespeare
    from ..models.language import LanguageModel

    text = {part: "\n".join(shakespeare(part).values()) for part in ("train", "valid")}
    seed_everything(0)
    model = LanguageModel.of_size(Vocabulary(text["train"]), hidden_size)
    return model.fit(
        text["train"], text["valid"], tokens=tokens, learning_rate=4e-3, checks=20
    )


def tiny_shakespeare(tokens: int = 14_000_000, hidden_size: int = 304):
    """One LSTM of 304 on Tiny Shakespeare, 14 times through its million."""
    return _tiny_shakespeare(tokens, hidden_size, dropout=0.15, forget_bias=0.0)


def tiny_shakespeare_counting(tokens: int = 15_400_000, hidden_size: int = 256):
    """One LSTM of 256 on Tiny Shakespeare; a cell of it counts along the line.

    Its forget gates started at 1: a higher loss, and a counter worth a look.
    """
    return _tiny_shakespeare(tokens, hidden_size, dropout=0.1, forget_bias=1.0)


def _tiny_shakespeare(tokens, hidden_size, **options):
    """The weights kept are those with the lowest loss on the validation text, as
    in the runs that they are compared with."""
    from ..datasets.text import Vocabulary, tiny_shakespeare
    from ..models.language import LanguageModel

    train, valid = tiny_shakespeare("train"), tiny_shakespeare("valid")
    seed_everything(0)
    model = LanguageModel.of_size(Vocabulary(train), hidden_size, **options)
    return model.fit(
        train, valid, tokens=tokens, batch_size=16, steps=64, learning_rate=6e-3
    )


def spelling_to_sound(words: int = 360_000, hidden_size: int = 128):
    """Letters to phonemes with attention, on the words of CMUdict.

    words: how many are read in training, 105,567 of them different ones
    The first way to say a word is learned. The weights kept are those with the lowest
    loss on the validation words.
    """
    from string import ascii_lowercase

    from ..datasets.cmudict import PHONEMES, pronunciations
    from ..datasets.vocabulary import SymbolVocabulary, Vocabulary
    from ..models.seq2seq import Seq2Seq

    train, valid = (
        [(w, ways[0]) for w, ways in pronunciations(part).items() if w.isalpha()]
        for part in ("train", "valid")
    )
    seed_everything(0)
    model = Seq2Seq.of_size(
        Vocabulary(ascii_lowercase), SymbolVocabulary(PHONEMES), hidden_size,
        attention="multiplicative", embedding_size=48,
    )  # fmt: skip
    return model.fit(
        train, valid, epochs=words / len(train), batch_size=128, learning_rate=4e-3
    )


def chorales(tokens: int = 1_400_000, hidden_size: int = 224):
    """One LSTM of 224 on Bach's chorales by eighths, voice by voice, without signs.

    tokens: symbols read in training, 0.13 million of them different places; every
        piece stands in the key without sharps or flats
    The weights kept are those with the lowest loss on the validation pieces.
    """
    from ..datasets import music
    from ..datasets.voices import VoiceTokens, without_signs
    from ..models.music import VoiceModel

    train, valid = (
        [without_signs(piece) for piece in music.chorales(part, resolution=2)]
        for part in ("train", "valid")
    )
    vocabulary = VoiceTokens.of([*train, *valid], margin=2)
    seed_everything(0)
    model = VoiceModel.of_size(vocabulary, hidden_size, dropout=0.2)
    return model.fit(
        train, valid, epochs=tokens / len(vocabulary.stream(train)), batch_size=8,
        learning_rate=6e-3, checks=20, seed=0,
    )  # fmt: skip


RECIPES = {
    "chorales": chorales,
    "shakespeare-characters": shakespeare_characters,
    "spelling-to-sound": spelling_to_sound,
    "tiny-shakespeare": tiny_shakespeare,
    "tiny-shakespeare-counting": tiny_shakespeare_counting,
}


def pretrained(name: str) -> nn.Module:
    """A model that comes with the package, on the CPU, in evaluation mode.

    Raises ValueError, with the names there are, for an unknown one.
    """
    if name not in RECIPES:
        raise ValueError(
            f"no pretrained model is called {name!r}; there are: {', '.join(RECIPES)}"
        )
    return interop.load(FOLDER / f"{name}.safetensors")


def main(arguments=None):
    """The command: list the models, or train one again."""
    parser = argparse.ArgumentParser(prog="python -m lstmbook.weights")
    parser.add_argument("name", nargs="?", choices=RECIPES, help="which one to train")
    parser.add_argument("--out", help="the file to write (default: NAME.safetensors)")
    parser.add_argument(
        "--tokens", type=int, help="how many symbols (or words, for sounds) to read"
    )
    given = parser.parse_args(arguments)
    if given.name is None:
        for name, recipe in RECIPES.items():
            print(f"{name}: {recipe.__doc__.splitlines()[0]}")
        return
    model = RECIPES[given.name](*([] if given.tokens is None else [given.tokens]))
    path = interop.save(model, given.out or f"{given.name}.safetensors")
    unit = next(iter(model.training_record))
    for count, nats in model.training_record["valid"]:
        print(f"{count:12,d} {unit}  {nats:.4f} nats on the validation data")
    print("wrote", path)
