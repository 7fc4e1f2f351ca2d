"""Training with Lightning: one task, one trainer with the book's defaults."""

import copy
import logging
import math
import sys
import warnings

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tqdm import tqdm

from .datasets.batches import ByLength
from .states import detach, tree_map


def sequence_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross entropy in nats over all steps; -100 in target is left out.

    logits: [batch, time, classes] or [batch, classes]; target: without the last axis.
    """
    return F.cross_entropy(logits.flatten(0, -2), target.flatten())


class Task(L.LightningModule):
    """A model, its loss and its metrics.

    model: called as model(x) or model(x, state, lengths), gives (output, state)
    loss: function (output, target) -> number; cross entropy unless given
    metrics: {name: torchmetrics.Metric}, computed on the validation data from
        (output, target)
    learning_rate: of Adam, or give `optimizer`: parameters -> torch optimizer, or
        Lightning's dictionary of an optimizer and a schedule
    stateful: consecutive batches continue one another (truncated back-propagation
        through time): the state is carried on, detached, apart for training and
        validation, cleared when an epoch starts, and kept in the checkpoint

    A batch is (x, target) or (x, target, lengths); x is what the model takes, a
    tensor or a NamedTuple of tensors. Raises FloatingPointError as
    soon as the loss is not finite, before it can reach the weights.
    """

    def __init__(
        self, model: nn.Module, loss=sequence_loss, *, metrics=None,
        learning_rate: float = 3e-3, optimizer=None, stateful: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.model, self.loss, self.stateful = model, loss, stateful
        self.metrics = nn.ModuleDict(metrics or {})
        self.learning_rate, self.optimizer = learning_rate, optimizer
        self.states = {"train": None, "valid": None}

    def forward(self, x, state=None, lengths=None):
        return self.model(x, state, lengths)

    def _loss(self, batch, kind: str):
        x, target, *lengths = batch
        state = self.states[kind] if self.stateful else None
        if state is not None:
            state = tree_map(lambda s: s.to(target.device), state)
        output, state = self(x, state, *lengths)
        if self.stateful:
            self.states[kind] = detach(state)
        loss = self.loss(output, target)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the {kind} loss is {loss.item()} at step {self.global_step}: lower "
                "the learning rate, clip the gradient, or look for NaN in the data"
            )
        return loss, output, target

    def training_step(self, batch, index):
        loss, _, _ = self._loss(batch, "train")
        self.log("loss", loss, batch_size=len(batch[1]))
        return loss

    def validation_step(self, batch, index):
        loss, output, target = self._loss(batch, "valid")
        self.log("valid_loss", loss, batch_size=len(batch[1]))
        for name, metric in self.metrics.items():
            metric(output, target)
            self.log(f"valid_{name}", metric, batch_size=len(batch[1]))

    def on_train_epoch_start(self):
        self.states["train"] = None

    def on_validation_epoch_start(self):
        self.states["valid"] = None

    def on_save_checkpoint(self, checkpoint):
        checkpoint["carried_states"] = {
            kind: None if s is None else [t.cpu() for t in _leaves(s)]
            for kind, s in self.states.items()
        }

    def on_load_checkpoint(self, checkpoint):
        # The structure comes from the model, so that a checkpoint holds tensors
        # only and loads with weights_only=True.
        for kind, tensors in checkpoint.get("carried_states", {}).items():
            self.states[kind] = None if tensors is None else self._restore(tensors)

    def _restore(self, tensors):
        layer = self.model.layer
        parts = iter(tensors)
        cells = [r.cell for r in getattr(layer, "layers", [layer])]
        states = tuple(c.State(*(next(parts) for _ in c.State._fields)) for c in cells)
        return states if hasattr(layer, "layers") else states[0]

    def configure_optimizers(self):
        if self.optimizer is not None:
            return self.optimizer(self.parameters())
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)


def _leaves(state):
    if isinstance(state, torch.Tensor):
        return [state]
    return [t for part in state for t in _leaves(part)]


def cosine(
    learning_rate: float, steps: int, *, warmup: int = 0, optimizer=torch.optim.Adam
):
    """An optimizer for `Task` whose rate rises, then falls along a cosine to zero.

    learning_rate: at the top; steps: updates in all, `warmup` of them rising
    Source of the schedule: Loshchilov and Hutter 2017, eq. 5, without restarts.
    """

    def factor(step):
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        return 0.5 * (1 + math.cos(math.pi * done))

    def build(parameters):
        built = optimizer(parameters, lr=learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(built, factor)
        return [built], [{"scheduler": schedule, "interval": "step"}]

    return build


class KeepBest(Callback):
    """Early stopping in memory: the weights of the lowest valid_loss are put back.

    patience: validations without a new lowest one before the training stops;
        None never stops it early, and only puts the best weights back

    After the fit, `best` is the lowest valid_loss and `history` lists them all.
    """

    def __init__(self, patience: int | None = None):
        self.patience, self.best, self.history = patience, math.inf, []
        self._weights, self._since = None, 0

    def on_validation_end(self, trainer, module):
        loss = float(trainer.callback_metrics["valid_loss"])
        self.history.append((trainer.global_step, loss))
        if loss < self.best:
            self.best, self._since = loss, 0
            self._weights = copy.deepcopy(module.model.state_dict())
            return
        self._since += 1
        if self.patience is not None and self._since >= self.patience:
            trainer.should_stop = True

    def on_train_end(self, trainer, module):
        if self._weights is not None:
            module.model.load_state_dict(self._weights)


class ProgressBar(Callback):
    """A text bar on stdout, a line an epoch, with the losses behind it."""

    def __init__(self):
        self.bar = None

    def on_train_epoch_start(self, trainer, module):
        self.bar = tqdm(
            total=trainer.num_training_batches,
            desc=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            if trainer.max_epochs and trainer.max_epochs > 0
            else f"epoch {trainer.current_epoch + 1}",
            file=sys.stdout,
            ncols=79,
            mininterval=0.5,
            ascii=" -",
            bar_format="{desc} |{bar}| {n_fmt}/{total_fmt}{postfix}",
        )

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        self.bar.update()
        self._show(trainer)

    def on_validation_end(self, trainer, module):
        if self.bar is not None:
            self._show(trainer)

    def on_train_epoch_end(self, trainer, module):
        self._show(trainer)
        self.bar.close()
        self.bar = None

    def on_exception(self, trainer, module, exception):
        if self.bar is not None:
            self.bar.close()

    def _show(self, trainer):
        values = {k: f"{float(v):.3f}" for k, v in trainer.callback_metrics.items()}
        self.bar.set_postfix(values, refresh=False)


def fit_and_keep_best(
    model: nn.Module, train, valid, updates: int, *, learning_rate: float,
    loss=sequence_loss, stateful: bool = False, checks: int = 10,
    patience: int | None = None, progress: bool = True, **options,
):  # fmt: skip
    """Train with a falling learning rate; the weights of the best look stay.

    model, loss: as for `Task`; train, valid: data loaders
    updates: how many, rounded up to whole looks; `checks` looks at `valid` in all
    patience: stop after so many looks without a better one
    options: for `trainer`

    Returns (updates made, [(update, valid loss), ...]).
    """
    model.train()  # Lightning leaves the mode as it was: no dropout in a second fit
    between = math.ceil(updates / checks)
    updates = math.ceil(updates / between) * between  # the last look is at the end
    task = Task(
        model, loss, stateful=stateful,
        optimizer=cosine(learning_rate, updates, warmup=min(20, updates // 10)),
    )  # fmt: skip
    best = KeepBest(patience)
    trainer(
        max_steps=updates, progress=progress, check_val_every_n_epoch=None,
        val_check_interval=between,
        callbacks=[best, *options.pop("callbacks", ())], **options,
    ).fit(task, train, valid)  # fmt: skip
    return task.global_step, best.history


def fit_by_length(
    model: nn.Module, train, valid, collate, *, epochs: float, batch_size: int,
    steps=len, seed: int | None = None, network: nn.Module | None = None, **options,
):  # fmt: skip
    """Train on lists of examples, in batches of about one length; gives the model.

    collate: function (examples, training) -> batch; training is False for `valid`
    steps: the length of an example, by which batches are put together
    seed: of the order of the batches and of torch's random numbers (dropout)
    network: what is called with a batch, where it is not the model itself
    options: for `fit_and_keep_best`

    The model ends in evaluation mode. What happened is in `model.training_record`:
    {"updates": made, "valid": [(update, loss), ...]}.
    """
    if seed is not None:
        torch.manual_seed(seed)
    loaders = [
        DataLoader(
            part, collate_fn=lambda rows, training=training: collate(rows, training),
            batch_sampler=ByLength(map(steps, part), batch_size, shuffle=training),
        )
        for part, training in ((train, True), (valid, False))
    ]  # fmt: skip
    updates = math.ceil(epochs * len(loaders[0]))
    made, history = fit_and_keep_best(network or model, *loaders, updates, **options)
    model.training_record = {"updates": made, "valid": history}
    return model.eval()


def trainer(
    *, max_epochs: int | None = None, max_steps: int = -1, clip: float | None = 1.0,
    checkpoint=None, progress: bool = True, callbacks=(), **options,
) -> L.Trainer:  # fmt: skip
    """A Lightning trainer with the book's defaults.

    max_epochs, max_steps: when to stop, whichever comes first
    clip: the gradient's norm is cut to this (Pascanu et al. 2013); None for none
    checkpoint: a folder; the last and the best state (lowest valid_loss, or the
        last loss without validation) go there. Continue with
        `trainer(...).fit(task, data, ckpt_path=folder / "last.ckpt")`
    progress: a text bar on stdout
    callbacks, options: passed on to lightning.Trainer (precision, strategy, ...)

    CUDA when there is one, else the CPU; nothing is printed but the bar.
    """
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*have no `val_dataloader`.*")
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
    warnings.filterwarnings("ignore", message=".*litlogger.*|.*tensorboard.*")
    callbacks = list(callbacks)
    if progress:
        callbacks.append(ProgressBar())
    if checkpoint is not None:
        callbacks.append(
            ModelCheckpoint(checkpoint, filename="best", monitor="valid_loss",
                            save_last=True, save_top_k=1, enable_version_counter=False)
        )  # fmt: skip
    defaults = {
        "accelerator": "gpu" if torch.cuda.is_available() else "cpu",
        "devices": 1,
        "logger": False,
        "enable_model_summary": False,
        "enable_progress_bar": False,
        "enable_checkpointing": checkpoint is not None,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 1,
    }
    if max_epochs is None and max_steps == -1:
        raise ValueError("say when to stop: max_epochs=... or max_steps=...")
    return L.Trainer(
        max_epochs=-1 if max_epochs is None else max_epochs,
        max_steps=max_steps,
        gradient_clip_val=clip,
        callbacks=callbacks,
        **(defaults | options),
    )
