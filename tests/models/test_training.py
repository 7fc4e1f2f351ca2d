"""The task and the trainer: learning, carrying state, stopping, going on."""

import math

import pytest
import torch
from torch.utils.data import DataLoader

import lstmbook as lb
from lstmbook.models.language import LanguageModel
from lstmbook.training import KeepBest, Task, cosine, sequence_loss, trainer


def chunks(n=6, batch=4, steps=5, seed=0):
    ids = torch.randint(7, (batch, n * steps + 1),
                        generator=torch.Generator().manual_seed(seed))  # fmt: skip
    return [
        (
            ids[:, k * steps : (k + 1) * steps],
            ids[:, k * steps + 1 : (k + 1) * steps + 1],
        )
        for k in range(n)
    ]


def loader(batches):
    return DataLoader(batches, batch_size=None, shuffle=False)


def model(seed=0):
    torch.manual_seed(seed)
    return LanguageModel.of_size(7, 16, layers=2, embedding_size=8)


def fit(task, batches, **options):
    run = trainer(progress=False, **options)
    run.fit(task, loader(batches), loader(batches[:2]))
    return run


def test_a_small_batch_can_be_learned_by_heart():
    task = Task(model(), learning_rate=1e-2)
    batches = chunks(n=2, steps=8)
    before = float(sequence_loss(task.model(batches[0][0])[0], batches[0][1]))
    fit(task, batches, max_epochs=120)
    after = float(sequence_loss(task.model(batches[0][0])[0], batches[0][1]))
    assert before == pytest.approx(math.log(7), abs=0.2)
    assert after < 0.2


class Spy(torch.nn.Module):
    """Counts the steps it has seen in its state."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, x, state=None, lengths=None):
        count = torch.zeros(1, 1) if state is None else state.h
        self.seen.append((self.training, int(count)))
        logits = torch.zeros(*x.shape, 7) + self.weight
        return logits, lb.RNNState(count + 1)


def test_state_is_carried_apart_for_training_and_validation_and_cleared_each_epoch():
    spy = Spy()
    fit(Task(spy, stateful=True), chunks(n=3), max_epochs=2)
    training = [count for train, count in spy.seen if train]
    validation = [count for train, count in spy.seen if not train]
    assert training == [0, 1, 2, 0, 1, 2]
    assert validation == [0, 1, 0, 1]


def test_without_stateful_every_batch_begins_anew():
    spy = Spy()
    fit(Task(spy), chunks(n=3), max_epochs=1)
    assert {count for _, count in spy.seen} == {0}


def test_the_carried_state_is_detached():
    task = Task(model(), stateful=True)
    task._loss(chunks()[0], "train")
    assert not task.states["train"][0].c.requires_grad
    loss, *_ = task._loss(chunks()[1], "train")
    loss.backward()


def test_a_run_can_be_resumed_and_ends_where_an_unbroken_one_does(tmp_path):
    batches = chunks()
    whole = Task(model(), stateful=True)
    fit(whole, batches, max_epochs=4)
    first = Task(model(), stateful=True)
    fit(first, batches, max_epochs=2, checkpoint=tmp_path)
    again = Task(model(seed=9), stateful=True)
    run = trainer(progress=False, max_epochs=4, checkpoint=tmp_path)
    run.fit(
        again, loader(batches), loader(batches[:2]), ckpt_path=tmp_path / "last.ckpt"
    )
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert {p.name for p in tmp_path.glob("*.ckpt")} == {"best.ckpt", "last.ckpt"}


def test_the_carried_state_is_in_the_checkpoint(tmp_path):
    task = Task(model(), stateful=True)
    fit(task, chunks(), max_epochs=1, checkpoint=tmp_path)
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["carried_states"]
    again = Task(model(), stateful=True)
    again.on_load_checkpoint({"carried_states": saved})
    for a, b in zip(task.states["train"], again.states["train"], strict=True):
        torch.testing.assert_close(a.c, b.c)


def test_a_loss_that_is_not_finite_stops_the_run():
    def broken(output, target):
        return output.sum() * float("nan")

    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        fit(Task(model(), broken), chunks(), max_epochs=1)


def test_metrics_are_computed_on_the_validation_data():
    from torchmetrics.text import Perplexity

    task = Task(model(), metrics={"perplexity": Perplexity()})
    run = fit(task, chunks(), max_epochs=1)
    loss = float(run.callback_metrics["valid_loss"])
    got = float(run.callback_metrics["valid_perplexity"])
    assert got == pytest.approx(math.exp(loss), rel=1e-3)


def test_the_gradient_is_clipped():
    norms = []

    class Watch(Task):
        def on_before_optimizer_step(self, optimizer):
            norms.append(torch.nn.utils.get_total_norm(
                [p.grad for p in self.parameters()]))  # fmt: skip

        def configure_gradient_clipping(self, *args, **kwargs):
            super().configure_gradient_clipping(*args, **kwargs)
            norms.append(torch.nn.utils.get_total_norm(
                [p.grad for p in self.parameters()]))  # fmt: skip

    fit(Watch(model(), lambda o, t: 100 * sequence_loss(o, t)), chunks(), max_epochs=1)
    assert max(norms[0::2]) > 1 or max(norms) > 1
    assert min(norms) <= 1.001


def test_padding_marked_in_the_target_is_left_out_of_the_loss():
    logits = torch.randn(2, 4, 7)
    target = torch.randint(7, (2, 4))
    padded = target.clone()
    padded[1, 2:] = -100
    kept = torch.cat([logits[0], logits[1, :2]]), torch.cat([target[0], target[1, :2]])
    torch.testing.assert_close(sequence_loss(logits, padded), sequence_loss(*kept))


def test_the_trainer_asks_when_to_stop():
    with pytest.raises(ValueError, match="max_epochs"):
        trainer()


def test_the_progress_bar_is_one_line_an_epoch_on_stdout(capfd):
    run = trainer(max_epochs=2)
    run.fit(Task(model()), loader(chunks()), loader(chunks()[:2]))
    out, err = capfd.readouterr()
    assert err == ""
    lines = [line.split("\r")[-1] for line in out.strip().split("\n")]
    assert len(lines) == 2
    assert "epoch 2/2" in lines[1] and "6/6" in lines[1] and "valid_loss" in lines[1]


def test_generating_is_seeded_and_leaves_the_mode_alone():
    m = model().train()
    prompt = torch.tensor([1, 2, 3])
    a, b = (
        m.generate(prompt, 20, generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    )
    assert torch.equal(a, b) and len(a) == 20 and m.training
    assert a.max() < 7


def test_a_cold_sample_is_the_likeliest_character():
    m = model().eval()
    prompt = torch.tensor([1, 2, 3])
    (first,) = m.generate(prompt, 1, temperature=1e-4)
    assert first == m(prompt[None])[0][0, -1].argmax()


@pytest.mark.parametrize(
    ("prompt", "options", "words"),
    [
        (torch.zeros(0, dtype=torch.long), {}, "at least one"),
        (torch.zeros(2, 3, 1, dtype=torch.long), {}, r"\[2, 3, 1\]"),
        (torch.tensor([1]), {"temperature": -1}, "0 or more"),
    ],
)
def test_bad_prompts_raise(prompt, options, words):
    with pytest.raises(ValueError, match=words):
        model().generate(prompt, 3, **options)


def rates(steps, warmup):
    """The learning rate of each update, as the optimizer has it."""
    weight = torch.nn.Parameter(torch.zeros(1))
    (optimizer,), (schedule,) = cosine(0.4, steps, warmup=warmup)([weight])
    assert schedule["interval"] == "step"
    found = []
    for _ in range(steps + 3):
        found.append(optimizer.param_groups[0]["lr"])
        weight.grad = torch.ones(1)
        optimizer.step()
        schedule["scheduler"].step()
    return found


def test_the_rate_rises_and_falls_along_a_cosine_to_zero():
    found = rates(14, 4)
    assert found[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert found[9] == pytest.approx(0.2)  # half of the way down
    assert found[4:14] == sorted(found[4:14], reverse=True) and found[13] > 0
    assert found[14:] == pytest.approx([0, 0, 0])


def test_without_warm_up_the_rate_begins_at_the_top():
    assert rates(10, 0)[0] == 0.4 and rates(10, 0)[5] == pytest.approx(0.2)
    assert rates(1, 0)[0] == 0.4


def test_the_trainer_takes_a_step_of_the_cosine_every_update():
    task = Task(model(), optimizer=cosine(0.01, 12, optimizer=torch.optim.SGD))
    fit(task, chunks(n=6), max_epochs=1)
    assert task.optimizers().param_groups[0]["lr"] == pytest.approx(0.005)


class Given(Task):
    """Has the validation losses that it is given; its weight counts the epochs."""

    def __init__(self, losses):
        super().__init__(Spy(), optimizer=lambda p: torch.optim.SGD(p, lr=0.0))
        self.given = iter(losses)

    def training_step(self, batch, index):
        loss = super().training_step(batch, index)
        with torch.no_grad():
            self.model.weight += 1
        return loss

    def validation_step(self, batch, index):
        self.log("valid_loss", torch.tensor(next(self.given)), batch_size=1)


def run_given(losses, patience):
    task, best = Given(losses), KeepBest(patience)
    run = trainer(progress=False, max_epochs=len(losses), callbacks=[best])
    run.fit(task, loader(chunks(n=1)), loader(chunks(n=1)))
    return best, float(task.model.weight.detach())


def test_the_weights_of_the_lowest_loss_are_put_back():
    losses = [3.0, 2.0, 1.0, 5.0, 1.5]
    best, weight = run_given(losses, None)
    assert weight == 3 and best.best == 1.0
    assert best.history == list(enumerate(losses, start=1))


def test_patience_counts_from_the_last_lowest_loss_and_stops():
    best, weight = run_given([3.0, 4.0, 2.0, 2.0, 2.5, 0.5], 2)
    assert [loss for _, loss in best.history] == [3.0, 4.0, 2.0, 2.0, 2.5]
    assert weight == 3 and best.best == 2.0


def test_the_last_weights_stay_when_they_are_the_best():
    best, weight = run_given([3.0, 2.0, 1.0], 1)
    assert weight == 3 and len(best.history) == 3
