"""What a frame costs is a proper probability, and harmonies fit their melody."""

import itertools
import math

import pytest
import torch

import lstmbook as lb
from lstmbook.cells import LSTMCell
from lstmbook.datasets.voices import REST, Piece, VoiceTokens, transpose
from lstmbook.models.music import FrameModel, VoiceChain, VoiceModel, frame_loss
from lstmbook.recurrent import Recurrent

R = REST
TOKENS = VoiceTokens([(62, 63), (60, 61)], holds=False)  # 3 symbols a voice, 7 in all
ROWS = list(itertools.product([R, 62, 63], [R, 60, 61]))


def pieces(count, frames=12, seed=0):
    g = torch.Generator().manual_seed(seed)
    at = torch.randint(len(ROWS), (count, frames), generator=g)
    return [Piece.of([ROWS[k] for k in row]) for row in at.tolist()]


def voice_model(tokens=TOKENS, seed=0, size=8, scale=3):
    torch.manual_seed(seed)
    model = VoiceModel.of_size(tokens, size).eval()
    with torch.no_grad():  # far from uniform, so that a mistake shows
        for weight in model.parameters():
            weight.mul_(scale)
    return model


def chances(model, past):
    """Of each row of voices as the next frame after some frames."""
    rows = [Piece.of([*past, row]) for row in ROWS]
    return [math.exp(-float(c[-1])) for c in model.frame_costs(rows)]


@pytest.mark.parametrize("past", [[], [(62, R)], [(62, 60), (63, 60), (63, 61)]])
def test_voice_by_voice_the_rows_of_a_frame_sum_to_one(past):
    assert sum(chances(voice_model(), past)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("order", [1, 2, 4, None])
@pytest.mark.parametrize("past", [[], [(62, R)], [(62, 60), (63, 60), (63, 61)]])
def test_in_a_chain_the_rows_of_a_frame_sum_to_one(past, order):
    chain = VoiceChain(5, TOKENS).fit(pieces(6))
    rows = [Piece.of([*past, row]) for row in ROWS]
    total = sum(math.exp(-float(c[-1])) for c in chain.frame_costs(rows, order))
    assert total == pytest.approx(1, abs=1e-5)


def test_key_by_key_the_sets_of_a_frame_sum_to_one():
    torch.manual_seed(0)
    model = FrameModel.of_size(6, keys=(60, 63)).eval()
    sets = [s for n in range(5) for s in itertools.combinations(range(60, 64), n)]
    rows = [Piece.of_frames([[60, 62], [61], s]) for s in sets]
    total = sum(math.exp(-float(c[-1])) for c in model.frame_costs(rows))
    assert len(sets) == 16 and total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("holds", [False, True])
def test_the_chances_of_keys_are_those_of_all_frames_counted(holds):
    tokens = VoiceTokens([(62, 63), (61, 62)], holds=holds)
    model, past = voice_model(tokens, scale=2), [(62, 61), (63, 61)]
    rows = list(itertools.product(*(tokens.symbols(v).tolist() for v in (0, 1))))
    before = tokens.encode(Piece.of(past))
    wanted = torch.zeros(4)  # keys 60 to 63
    for row in rows:
        now = torch.cat([before, torch.tensor(row)])
        logits, _ = model(torch.cat([torch.zeros(1).long(), now])[None])
        logits[:, :, tokens.boundary] = -torch.inf
        log_p = logits[0].log_softmax(1)[torch.arange(len(now)), now]
        sounds = {n for n in tokens.decode(now).pitch[-1].tolist() if n != R}
        for n in sounds:
            wanted[n - 60] += log_p[-2:].detach().sum().exp()
    piece = Piece.of([*past, (62, 61)])
    found = model.key_chances(piece, 4000, keys=(60, 63), seed=1)
    assert found.shape == (3, 4)
    assert torch.allclose(found[2], wanted, atol=0.03)
    assert wanted[1:].min() > 0.05  # a mistake would show


def test_a_frame_model_can_start_at_how_often_each_key_sounds():
    model = FrameModel.of_size(4, keys=(60, 63))
    some = [Piece.of_frames([[60, 61], [61], [61]])]
    assert model.start_at(some) is model
    torch.nn.init.zeros_(model.output.weight)
    logits, _ = model(torch.zeros(1, 2, 4))
    wanted = torch.tensor([1.5, 3.5, 0.5, 0.5]) / 4
    assert torch.allclose(logits.sigmoid(), wanted.expand(1, 2, 4))


def test_a_frame_costs_the_sum_of_its_voices_and_the_whole_is_the_chain_rule():
    model, [piece] = voice_model(), pieces(1)
    [costs] = model.voice_costs([piece])
    assert costs.shape == (12, 2)
    ids, state, total = torch.zeros(1, 1, dtype=torch.int64), None, 0.0
    for n, symbol in enumerate(TOKENS.encode(piece)):
        logits, state = model(ids, state)
        own = TOKENS.symbols(n % 2)
        log_p = logits[0, -1, own].detach().log_softmax(0)
        total -= float(log_p[symbol - own[0]])
        ids = symbol.view(1, 1)
    assert float(costs.sum()) == pytest.approx(total, rel=1e-5)
    assert model.nats([piece]) == pytest.approx(total / 12, rel=1e-5)


@pytest.mark.parametrize("kind", ["voices", "frames", "chain"])
def test_a_piece_costs_the_same_alone_and_among_others(kind):
    many = [*pieces(3, 5), *pieces(2, 9, seed=1), *pieces(1, 1, seed=2)]
    torch.manual_seed(0)
    model = {
        "voices": voice_model(),
        "frames": FrameModel.of_size(6, keys=(60, 63)).eval(),
        "chain": VoiceChain(4, TOKENS).fit(many),
    }[kind]
    together = model.frame_costs(many)
    alone = [model.frame_costs([p])[0] for p in many]
    for a, b, piece in zip(together, alone, many, strict=True):
        assert a.shape == (len(piece),)
        torch.testing.assert_close(a, b)
    assert model.nats(many) == pytest.approx(float(torch.cat(alone).mean()), rel=1e-5)


def test_symbols_of_other_voices_have_no_probability():
    model, [piece] = voice_model(), pieces(1)
    x, y = model.example(piece)
    p = model(x[None])[0][0].softmax(-1).detach()
    for n, row in enumerate(p[:-1]):
        outside = torch.ones(len(TOKENS), dtype=torch.bool)
        outside[TOKENS.symbols(n % 2)] = False
        outside[TOKENS.boundary] = n % 2 == 1 or n == 0
        assert row[outside].sum() == 0 and row.sum() == pytest.approx(1, abs=1e-6)
    assert y[-1] == TOKENS.boundary and p[-1, y[-1]] > 0


def test_the_frame_model_reads_the_frame_before_and_no_more():
    torch.manual_seed(0)
    model = FrameModel.of_size(6, keys=(60, 63)).eval()
    a = Piece.of_frames([[60], [61], [62], [63]])
    b = Piece.of_frames([[60], [61], [60], [63]])
    one, other = (model.frame_costs([p])[0] for p in (a, b))
    assert torch.equal(one[:2], other[:2]) and one[3] != other[3]


def test_frame_loss_counts_frames_and_leaves_padding_out():
    logits, target = torch.zeros(2, 3, 5), torch.ones(2, 3, 5)
    target[1, 1:] = -100
    logits[1, 1:] = 50.0
    assert float(frame_loss(logits, target)) == pytest.approx(5 * math.log(2))


def counterpoint_rule(count, frames, seed):
    """The lower voice sings what the upper one sang a frame ago, two notes lower."""
    g = torch.Generator().manual_seed(seed)
    upper = torch.randint(62, 64, (count, frames), generator=g)
    lower = torch.cat([torch.full((count, 1), 60), upper[:, :-1] - 2], 1)
    return [Piece.of(p) for p in torch.stack([upper, lower], 2)]


def test_training_finds_a_rule_between_the_voices():
    train, valid = counterpoint_rule(60, 10, 0), counterpoint_rule(10, 10, 1)
    torch.manual_seed(0)
    model = VoiceModel.of_size(TOKENS, 16)
    model.fit(train, valid, epochs=25, learning_rate=0.03, progress=False, seed=0)
    # the upper voice is a coin, the lower one follows from it
    upper, lower = torch.cat(model.voice_costs(valid)).mean(0)
    assert float(upper) == pytest.approx(math.log(2), abs=0.1) and float(lower) < 0.1
    best = model.training_record["valid"]
    assert len(best) == 10 and min(v for _, v in best) < 0.5
    melody = valid[0]
    assert model.best_harmony(melody, width=4) == melody
    assert model.harmonise(melody, particles=4, seed=0).voice(0) == melody.voice(0)


def test_training_the_frame_model_finds_a_repeated_pattern():
    piece = Piece.of_frames([[60], [61, 63]] * 6)
    torch.manual_seed(0)
    model = FrameModel.of_size(16, keys=(60, 63))
    model.fit([piece] * 16, [piece], epochs=60, batch_size=8, learning_rate=0.03,
              progress=False, seed=0)  # fmt: skip
    assert model.nats([piece]) < 0.2 < 4 * math.log(2)
    again = model.compose(6, temperature=0, like=piece)
    assert again.frames() == piece.frames()[:6]


def test_transposing_by_chance_stays_in_the_compass_and_is_seeded():
    wide = VoiceTokens([(60, 66), (55, 61)], holds=False)
    train = [Piece.of([[62, 57], [63, 58]])] * 8

    def run(**options):
        torch.manual_seed(0)
        model = VoiceModel.of_size(wide, 4)
        model.fit(train, train[:1], epochs=3, batch_size=2, progress=False, **options)
        return torch.cat([p.flatten() for p in model.parameters()])

    plain, moved = run(seed=1), run(augment=True, seed=1)
    assert torch.equal(moved, run(augment=True, seed=1))
    assert not torch.equal(plain, moved)
    torch.manual_seed(0)
    model = VoiceModel.of_size(wide, 8).fit(
        train, train[:1], epochs=60, augment=True, semitones=2, batch_size=8,
        learning_rate=0.03, progress=False, seed=0,
    )  # fmt: skip
    # keys that were only ever reached by transposing are as likely as the written
    near = [model.nats([transpose(train[0], k)]) for k in (-2, -1, 0, 1, 2)]
    assert max(near) < 1.5 < model.nats([Piece.of([[66, 55], [60, 61]])])


def brute_force(model, melody):
    """Every harmony of a melody and its probability given the melody."""
    lower = list(itertools.product([R, 60, 61], repeat=len(melody)))
    every = [Piece.of(list(zip(melody, row, strict=True))) for row in lower]
    joint = torch.stack([-c.sum() for c in model.frame_costs(every)]).double().exp()
    return every, joint / joint.sum()


def test_a_beam_that_keeps_all_finds_the_likeliest_harmony():
    for seed in range(4):
        model, melody = voice_model(seed=seed), [62, 63, 62]
        every, p = brute_force(model, melody)
        best = model.best_harmony(Piece.of([[n] for n in melody]), width=27)
        assert best == every[int(p.argmax())]


def test_many_particles_draw_from_the_harmonies_given_the_whole_melody():
    tokens, melody = TOKENS, [62, 63]
    piece = Piece.of([[n] for n in melody])
    model = voice_model(seed=6, size=12, scale=6)
    every, p = brute_force(model, melody)
    given = model._melody(piece)
    ids = model._draw(2, given, 20_000, (1.0, None, None), seed=1)
    found = torch.zeros(len(every), dtype=torch.float64)
    for k, one in enumerate(every):
        found[k] = (ids == tokens.encode(one)).all(1).double().mean()
    assert float((found - p).abs().sum()) < 0.05
    # with one particle each the melody that comes is not looked at
    blind = torch.zeros(len(every), dtype=torch.float64)
    x = torch.stack([model.example(q)[0] for q in every])
    logits = model(x)[0].detach().double()
    logits[:, :, tokens.boundary] = -torch.inf
    log_p = logits.log_softmax(-1)
    for k, one in enumerate(every):
        symbols = tokens.encode(one)
        blind[k] = sum(log_p[k, n, symbols[n]] for n in (1, 3)).exp()
    assert float(blind.sum()) == pytest.approx(1, abs=1e-5)
    assert float((blind - p).abs().sum()) > 1


def test_pieces_are_composed_as_long_as_asked_and_seeded():
    model = voice_model()
    piece = model.compose(9, seed=4, resolution=2, sharps=-1)
    assert len(piece) == 9 and piece.resolution == 2 and piece.sharps == -1
    assert piece == model.compose(9, seed=4, resolution=2)
    assert piece != model.compose(9, seed=5, resolution=2)
    lengths = {len(model.compose(None, longest=50, seed=k)) for k in range(8)}
    assert len(lengths) > 2 and max(lengths) <= 50
    chain = VoiceChain(3, TOKENS).fit(pieces(4))
    several = model.compose(9, seed=4, pieces=3, resolution=2)
    assert [len(p) for p in several] == [9, 9, 9] and several[0].resolution == 2
    assert several[0] != several[1]
    assert model.compose(9, seed=4, pieces=1) == [model.compose(9, seed=4)]
    assert chain.compose(7, seed=1) == chain.compose(7, seed=1)
    assert len(chain.compose(7, order=2, seed=1)) == 7


def test_pieces_drawn_side_by_side_end_when_the_model_ends_them():
    model = voice_model(seed=2)
    drawn = model.compose(None, longest=40, seed=0, pieces=4000)
    chance = {}  # of an end behind each first frame
    for row in ROWS:
        x = torch.tensor([[TOKENS.boundary, *TOKENS.encode(Piece.of([row])).tolist()]])
        p = model(x)[0].detach()[0, -1].softmax(0)
        chance[row] = float(p[TOKENS.boundary])
    wanted = sum(chance[tuple(p.pitch[0].tolist())] for p in drawn) / len(drawn)
    assert sum(len(p) == 1 for p in drawn) / len(drawn) == pytest.approx(
        wanted, abs=0.03
    )
    assert max(map(len, drawn)) <= 40


def test_what_is_composed_follows_the_probabilities():
    model = voice_model(seed=2)
    p = chances(model, [])
    ids = model._draw(1, None, 20_000, (1.0, None, None), seed=0)
    for row, wanted in zip(ROWS, p, strict=True):
        share = (ids == TOKENS.encode(Piece.of([row]))).all(1).double().mean()
        assert float(share) == pytest.approx(wanted, abs=0.015)
    # by voices: first the likeliest above, then the likeliest below it
    above = torch.tensor(p).view(3, 3)
    best = above[above.sum(1).argmax()].argmax() + 3 * above.sum(1).argmax()
    assert model.compose(1, temperature=0) == Piece.of([ROWS[int(best)]])


def test_five_lines_outside_the_book(tmp_path):
    pytest.importorskip("music21")
    from lstmbook import scores

    tunes = [Piece.of([[60 + n, 48], [62 + n, 50]], resolution=2) for n in range(3)]
    for n, one in enumerate(tunes):
        scores.write(one, tmp_path / f"{n}.musicxml")

    found = [scores.read(p, resolution=2) for p in sorted(tmp_path.glob("*.musicxml"))]
    model = VoiceModel.of_size(VoiceTokens.of(found, margin=3), hidden_size=8)
    model.fit(found[1:], found[:1], augment=True, epochs=1, progress=False)
    path = scores.write(model.compose(8, seed=3, resolution=2), tmp_path / "new.mid")
    lb.save(model, tmp_path / "mine.safetensors")

    assert found == tunes and path.stat().st_size > 50
    again = lb.load(tmp_path / "mine.safetensors")
    assert again.compose(8, seed=3) == model.compose(8, seed=3)
    harmony = again.harmonise(found[0].voice(0), particles=4, seed=1)
    assert harmony.voice(0) == found[0].voice(0) and harmony.voices == 2


@pytest.mark.parametrize("kind", ["voices", "frames"])
def test_a_saved_model_is_the_same_model(tmp_path, kind):
    many = pieces(2)
    torch.manual_seed(0)
    model = voice_model() if kind == "voices" else FrameModel.of_size(
        6, layers=2, keys=(60, 63)).eval()  # fmt: skip
    path = lb.save(model, tmp_path / "model.safetensors")
    back = lb.load(path)
    for a, b in zip(model.frame_costs(many), back.frame_costs(many), strict=True):
        assert torch.equal(a, b)
    assert back.compose(5, seed=1) == model.compose(5, seed=1)


def test_what_does_not_fit_is_refused():
    model, chain = voice_model(), VoiceChain(3, TOKENS)
    high = Piece.of([[72, 60]], name="high")
    with pytest.raises(ValueError, match="high, frame 0: voice 0 has the note 72"):
        model.fit([high], [high])
    with pytest.raises(ValueError, match="0 pieces to train on and 1"):
        model.fit([], pieces(1))
    with pytest.raises(ValueError, match="no pieces to measure"):
        model.nats([])
    with pytest.raises(ValueError, match="voice 0 has the note 72"):
        model.harmonise(high)
    for call in (model.compose, chain.compose):
        with pytest.raises(ValueError, match="frames=0"):
            call(0)
    with pytest.raises(ValueError, match="counted nothing"):
        chain.nats(pieces(1))
    with pytest.raises(ValueError, match="pieces=0"):
        model.compose(4, pieces=0)
    with pytest.raises(ValueError, match="particles=0"):
        model.harmonise(pieces(1)[0], particles=0)
    with pytest.raises(ValueError, match="width=0"):
        model.best_harmony(pieces(1)[0], width=0)
    with pytest.raises(ValueError, match="not text"):
        model.write("Once upon a time")
    with pytest.raises(ValueError, match=r"takes 5 features, keys=\(60, 63\) are 4"):
        FrameModel(Recurrent(LSTMCell(5, 4)), (60, 63))
    with pytest.raises(ValueError, match="note 72; the roll has the keys 60 to 63"):
        FrameModel.of_size(4, keys=(60, 63)).nats([high])
