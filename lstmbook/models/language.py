"""Language models: which symbol comes next, a character or a word.

from lstmbook.datasets.text import Vocabulary, read_text
text = read_text("book.txt")
model = LanguageModel.of_size(Vocabulary(text), hidden_size=256).fit(text)
print(model.write("Once upon a time", 300, temperature=0.8))
lb.save(model, "book.safetensors")       # lb.load(...) gives it back, words and all
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from ..cells import LSTMCell
from ..datasets.text import stream_batches
from ..modes import evaluating
from ..recurrent import Recurrent, Stack
from ..search import sample


class LanguageModel(nn.Module):
    """Embedding, a layer over time, and one linear layer to the symbols.

    vocabulary: a `Vocabulary` (characters) or `WordVocabulary` with V symbols; or
        only V, for a model that is used with ids and never sees a text
    layer: any layer with a state to carry, `Recurrent` or `Stack`;
        its input_size is the width E of the embedding
    dropout: share of the embedding and of the output set to zero in training
    tied: the last layer uses the embedding's matrix again, so that a symbol is
        one vector; layer.output_size must be E then (Press and Wolf 2017;
        Inan et al. 2017)

        logits, state = model(ids, state=None, lengths=None)
        ids [batch, time] -> logits [batch, time, V]
    """

    def __init__(
        self, vocabulary, layer: nn.Module, dropout: float = 0.0, tied: bool = False
    ):
        super().__init__()
        self.vocabulary = None if isinstance(vocabulary, int) else vocabulary
        size = vocabulary if isinstance(vocabulary, int) else len(vocabulary)
        self.embedding = nn.Embedding(size, layer.input_size)
        self.layer = layer
        self.tied = tied
        if tied and layer.output_size != layer.input_size:
            raise ValueError(
                f"tied=True needs a layer as wide at its end as the embedding: it "
                f"takes {layer.input_size} and gives {layer.output_size}"
            )
        if tied:
            # Rows of length about 1, so that the first logits are not large.
            nn.init.normal_(self.embedding.weight, std=layer.input_size**-0.5)
            self.output_bias = nn.Parameter(torch.zeros(size))
        else:
            self.output = nn.Linear(layer.output_size, size)
        self.dropout = nn.Dropout(dropout)

    @classmethod
    def of_size(
        cls, vocabulary, hidden_size: int, layers: int = 1,
        embedding_size: int | None = None, spec="lstm", dropout: float = 0.0,
        tied: bool = False, forget_bias: float | None = 1.0,
    ):  # fmt: skip
        """The usual model: `layers` LSTMs of one size, dropout everywhere.

        embedding_size: 64 unless given, and hidden_size when tied
        spec: a name in `PRESETS` or an `LSTMSpec`
        forget_bias: where the forget gates start, as in `LSTMCell`; 0 did better on
            plain text than 1, which is for longer lags
        """
        embedding_size = embedding_size or (hidden_size if tied else 64)
        sizes = [embedding_size] + [hidden_size] * layers
        stack = [
            Recurrent(LSTMCell(n, hidden_size, spec, forget_bias=forget_bias))
            for n in sizes[:-1]
        ]
        layer = stack[0] if layers == 1 else Stack(*stack, dropout=dropout)
        return cls(vocabulary, layer, dropout, tied)

    def forward(self, ids: Tensor, state=None, lengths=None):
        x = self.dropout(self.embedding(ids))
        y, state = self.layer(x, state, lengths)
        y = self.dropout(y)
        if self.tied:
            return F.linear(y, self.embedding.weight, self.output_bias), state
        return self.output(y), state

    def fit(
        self, text, valid=None, *, tokens: int | None = None, epochs: float = 5,
        batch_size: int = 32, steps: int = 128, learning_rate: float = 4e-3,
        carry: bool = True, patience: int | None = None, checks: int = 10,
        seed: int | None = None, progress: bool = True, **options,
    ):  # fmt: skip
        """Train on one long text by truncated back-propagation through time.

        text: a string, or ids [N]
        valid: the same, held out; the last tenth of `text` unless given. The
            weights with the lowest loss on it are kept, `checks` looks in all
        tokens: how many symbols are read in training, rounded up to whole updates
            and looks; `epochs` times the text unless given. The learning rate falls
            to zero along a cosine meanwhile
        batch_size, steps: rows read side by side and steps that a gradient goes
            back; the state is carried from chunk to chunk unless `carry=False`
        patience: stop after so many looks without a better one
        seed: of torch's random numbers (dropout); the weights exist already
        options: for `lstmbook.training.trainer` (clip, checkpoint, precision ...)

        Returns the model, in evaluation mode. What happened is in
        `model.training_record`: {"tokens": read, "valid": [(tokens, nats), ...]}.
        """
        from ..training import fit_and_keep_best

        ids = self.encode(text)
        if valid is None:
            cut = len(ids) - len(ids) // 10
            ids, valid = ids[:cut], ids[cut:]
        batches = stream_batches(ids, batch_size, steps)
        valid = self.encode(valid)
        if len(valid) < 2:
            raise ValueError(
                f"{len(valid)} symbols to validate on are too few: give a longer text, "
                "or valid=..., a text held out"
            )
        rows = max(1, min(batch_size, len(valid) // (steps + 1)))
        held_out = stream_batches(valid, rows, steps)
        updates = math.ceil((tokens or epochs * len(ids)) / (batch_size * steps))
        if seed is not None:
            torch.manual_seed(seed)
        loaders = [DataLoader(b, batch_size=None) for b in (batches, held_out)]
        made, history = fit_and_keep_best(
            self, *loaders, updates, learning_rate=learning_rate, stateful=carry,
            checks=checks, patience=patience, progress=progress, **options,
        )  # fmt: skip
        per_update = batch_size * steps  # the end of an epoch counts as a whole one
        self.training_record = {
            "tokens": made * per_update,
            "valid": [(step * per_update, nats) for step, nats in history],
        }
        return self.eval()

    @torch.no_grad()
    def losses(self, text, *, rows: int = 1, steps: int = 512, carry: bool = True):
        """What each symbol cost, in nats: [rows, (N - 1) // rows], on the CPU.

        text: a string, or ids [N]; each symbol but the first is predicted
        rows: pieces read side by side, each from the initial state: more is
            faster, and forgets what was before a piece once a piece
        carry: False starts from the initial state every `steps` symbols
        """
        device, state, costs = self.embedding.weight.device, None, []
        with evaluating(self):
            for x, y in stream_batches(self.encode(text), rows, steps):
                logits, state = self(x.to(device), state if carry else None)
                cost = F.cross_entropy(logits.mT, y.to(device), reduction="none")
                costs.append(cost.cpu())
        return torch.cat(costs, 1)

    def nats(self, text, **options) -> float:
        """Mean cost of a symbol in nats; options as in `losses`."""
        return float(self.losses(text, **options).double().mean())

    def generate(
        self, prompt: Tensor, steps: int, temperature: float = 1.0, generator=None,
        **options,
    ) -> Tensor:  # fmt: skip
        """Read a prompt of ids [time], then draw `steps` ids: [steps].

        temperature, generator, and in options top_k, top_p or seed: as in
            `lstmbook.search.sample`
        """
        return sample(
            self, prompt, steps, temperature=temperature, generator=generator, **options
        )

    def write(self, prompt: str, length: int = 200, **options) -> str:
        """The prompt and `length` symbols more, as text; options as in `generate`."""
        ids = self.encode(prompt)
        if len(ids) == 0:
            raise ValueError("the prompt is empty: give the model something to go on")
        written = sample(self, ids, length, **options)
        return self.vocabulary.decode(torch.cat([ids, written]))

    def encode(self, text) -> Tensor:
        """The ids [N] of a text; ids pass through, once they are seen to fit."""
        if isinstance(text, str):
            if self.vocabulary is None:
                raise ValueError(
                    "the model was built with the size of a vocabulary only: give it "
                    "the vocabulary, LanguageModel(Vocabulary(text), ...), or ids"
                )
            return self.vocabulary.encode(text)
        ids, size = torch.as_tensor(text), self.embedding.num_embeddings
        if ids.is_floating_point():
            raise ValueError(f"the ids are {ids.dtype}: give integers, or a string")
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < size:
            raise ValueError(
                f"the ids go from {int(ids.min())} to {int(ids.max())}, the model has "
                f"{size} symbols: 0 to {size - 1}"
            )
        return ids

    def config(self) -> dict:
        vocabulary = self.vocabulary
        return {
            "vocabulary": self.embedding.num_embeddings
            if vocabulary is None
            else vocabulary,
            "layer": self.layer,
            "dropout": self.dropout.p,
            "tied": self.tied,
        }
