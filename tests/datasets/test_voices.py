"""Voices on a grid: every form gives back what went in, and refuses what it cannot."""

import itertools

import pytest
import torch

from lstmbook.datasets.voices import (
    REST,
    Piece,
    VoiceTokens,
    from_piano_roll,
    piano_roll,
    resample,
    room,
    transpose,
    without_signs,
)

R = REST
# Two voices over four sixteenths: a repeated note, a held one, a rest in between.
PITCH = torch.tensor([[72, 60], [72, 60], [R, 62], [74, R], [74, R]])
ATTACK = torch.tensor([[1, 1], [1, 0], [0, 1], [1, 0], [0, 0]]).bool()


@pytest.fixture
def piece():
    return Piece(PITCH, ATTACK, resolution=4, name="two", sharps=1)


def random_piece(seed, frames=40, voices=4):
    """Runs of notes and rests, some of them struck again."""
    g = torch.Generator().manual_seed(seed)
    pitch = torch.full((frames, voices), REST)
    attack = torch.zeros(frames, voices, dtype=torch.bool)
    for v in range(voices):
        t = 0
        while t < frames:
            n = int(torch.randint(1, 5, (), generator=g))
            note = int(torch.randint(-2, 8, (), generator=g))
            pitch[t : t + n, v] = REST if note < 0 else 72 - 9 * v + note
            attack[t, v] = note >= 0
            t += n
    return Piece(pitch, attack, resolution=4)


@pytest.mark.parametrize("seed", range(5))
def test_tokens_give_back_the_piece(seed):
    piece = random_piece(seed)
    tokens = VoiceTokens.of([piece])
    ids = tokens.encode(piece)
    assert ids.shape == (4 * len(piece),)
    assert tokens.decode(ids, like=piece) == piece
    assert not ((ids == 0) | (ids >= len(tokens))).any()


def test_tokens_written_out_by_hand(piece):
    tokens = VoiceTokens([(72, 74), (60, 62)])
    # voice 0: rest 1, hold 2, pitches 3 to 5; voice 1: rest 6, hold 7, pitches 8 to 10
    assert len(tokens) == 11
    assert tokens.encode(piece).tolist() == [3, 8, 3, 7, 1, 10, 5, 6, 2, 7]
    bare = VoiceTokens([(72, 74), (60, 62)], holds=False)
    assert bare.encode(piece).tolist() == [2, 6, 2, 6, 1, 8, 4, 5, 4, 5]


def test_without_holds_the_pitches_stay_and_repeated_notes_are_one(piece):
    tokens = VoiceTokens.of([piece], holds=False)
    back = tokens.decode(tokens.encode(piece), like=piece)
    assert torch.equal(back.pitch, piece.pitch) and back != piece
    assert back == Piece.of(piece.pitch, resolution=4)


def test_the_melody_alone_is_tokens_of_one_voice(piece):
    melody = piece.voice(0)
    tokens = VoiceTokens.of([melody])
    assert tokens.encode(melody).tolist() == [3, 3, 1, 5, 2]
    assert tokens.decode(tokens.encode(melody), like=melody) == melody


def test_a_hold_at_the_beginning_holds_silence():
    tokens = VoiceTokens([(60, 62)])
    found = tokens.decode([2, 2, 3, 2])
    assert found.pitch[:, 0].tolist() == [R, R, 60, 60]
    assert found.attack[:, 0].tolist() == [False, False, True, False]


def test_a_stream_has_boundaries_between_pieces_and_at_both_ends(piece):
    tokens = VoiceTokens.of([piece])
    stream = tokens.stream([piece, piece])
    one = tokens.encode(piece).tolist()
    assert stream.tolist() == [0, *one, 0, *one, 0]


def test_followers_allow_every_real_stream_and_no_voice_out_of_turn():
    pieces = [random_piece(k) for k in range(3)]
    tokens = VoiceTokens.of(pieces)
    allowed, stream = tokens.followers(), tokens.stream(pieces)
    assert allowed[stream[:-1], stream[1:]].all()
    assert allowed.any(1).all() and not allowed[0, 0]
    for voice, other in itertools.product(range(4), repeat=2):
        block = allowed[tokens.symbols(voice)][:, tokens.symbols(other)]
        assert bool(block.all()) == bool(block.any()) == (other == (voice + 1) % 4)
    assert allowed[:, 0].nonzero()[:, 0].tolist() == tokens.symbols(3).tolist()


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([3, 8, 3], "no whole frames of 2 voices"),
        ([], "no whole frames"),
        ([8, 3], "symbol 8 in frame 0 does not belong to voice 0"),
        ([3, 11], "symbol 11 in frame 0 does not belong to voice 1"),
        ([3, 5], "symbol 5 .* voice 1"),
    ],
)
def test_symbols_out_of_order_are_refused(ids, words):
    tokens = VoiceTokens([(72, 74), (60, 62)])
    with pytest.raises(ValueError, match=words):
        tokens.decode(torch.tensor(ids, dtype=torch.int64))


def test_notes_that_have_no_symbol_are_named(piece):
    with pytest.raises(ValueError, match=r"two, frame 3: voice 0 has the note 74"):
        VoiceTokens([(70, 73), (60, 62)]).encode(piece)
    with pytest.raises(ValueError, match="two has 2 voices, these tokens are for 1"):
        VoiceTokens([(70, 75)]).encode(piece)
    with pytest.raises(ValueError, match=r"\[1, 2\] voices"):
        VoiceTokens.of([piece, piece.voice(0)])
    with pytest.raises(ValueError, match="voice 0 has no note"):
        VoiceTokens.of([Piece.of([[R], [R]])])
    with pytest.raises(ValueError, match="lowest, highest"):
        VoiceTokens([(62, 60)])


def test_a_piano_roll_is_the_set_of_what_sounds(piece):
    roll = piano_roll(piece)
    assert roll.shape == (5, 88) and roll.sum() == 7
    assert [(row.nonzero()[:, 0] + 21).tolist() for row in roll] == piece.frames()
    back = from_piano_roll(roll, resolution=4)
    assert back.frames() == piece.frames()
    with pytest.raises(ValueError, match=r"two has the note 72; .* 73 to 80"):
        piano_roll(piece, (73, 80))
    with pytest.raises(ValueError, match=r"\(5, 88\): give \[time, 3\]"):
        from_piano_roll(roll, (60, 62))


def test_a_unison_is_one_key():
    assert piano_roll(Piece.of([[60, 60]])).sum() == 1


def test_sets_of_notes_and_rows_of_voices_are_one_to_one():
    # every set of at most three notes of six has a row of its own, and comes back
    sets = [s for n in range(4) for s in itertools.combinations(range(60, 66), n)]
    piece = Piece.of_frames(sets, voices=3)
    assert [tuple(f) for f in piece.frames()] == sets
    assert len({tuple(row) for row in piece.pitch.tolist()}) == len(sets)


@pytest.mark.parametrize(
    ("notes", "row"),
    [
        ([60, 64, 67, 72], [72, 67, 64, 60]),
        ([60, 64, 72], [72, 64, R, 60]),
        ([72, 60], [72, R, R, 60]),
        ([60], [60, R, R, R]),
        ([60, 60], [60, R, R, R]),
        ([], [R, R, R, R]),
    ],
)
def test_a_set_of_notes_goes_to_the_outer_voices_first(notes, row):
    assert Piece.of_frames([notes]).pitch.tolist() == [row]


def test_more_notes_than_voices_are_refused():
    with pytest.raises(ValueError, match="frame 1 has 5 notes for 4 voices"):
        Piece.of_frames([[60], [60, 61, 62, 63, 64]])


def test_transposition_and_back_is_the_piece(piece):
    up = transpose(piece, 5)
    assert (up.pitch - piece.pitch)[piece.pitch != R].unique().tolist() == [5]
    assert torch.equal(up.pitch == R, piece.pitch == R)
    assert transpose(up, -5) == piece and transpose(up, -5).sharps == piece.sharps
    # G major (1 sharp) a tone up is A major (3), a fourth up C major (0)
    assert transpose(piece, 2).sharps == 3 and up.sharps == 0
    assert transpose(piece, -1).sharps == 6  # F sharp


def test_transposition_keeps_to_the_compass(piece):
    compass = [(70, 76), (58, 64)]
    assert room(piece, compass) == range(-2, 3)
    for k in room(piece, compass):
        VoiceTokens(compass).encode(transpose(piece, k, compass))
    for k in (-3, 3):
        with pytest.raises(ValueError, match="leaves its compass"):
            transpose(piece, k, compass)
    assert room(piece) == range(21 - 60, 108 - 74 + 1)


def test_a_coarser_grid_takes_what_sounds_and_remembers_what_was_struck():
    pitch = torch.tensor([[60, 72], [60, 72], [60, 74], [60, 72], [60, R], [60, R]])
    attack = torch.tensor([[1, 1], [0, 0], [0, 1], [1, 1], [0, 0], [0, 0]]).bool()
    found = resample(Piece(pitch, attack, resolution=4), 2)
    assert found.pitch.tolist() == [[60, 72], [60, 74], [60, R]]
    # the low note was struck again between the second frame and the third
    assert found.attack.tolist() == [[True, True], [False, True], [True, False]]
    assert found.resolution == 2
    with pytest.raises(ValueError, match="divisor of the piece's 4"):
        resample(Piece(pitch, attack, resolution=4), 3)


@pytest.mark.parametrize(
    ("pitch", "attack", "words"),
    [
        ([[60]], [[False]], "frame 0, voice 0: pitch 60 after -1 with attack False"),
        ([[60], [61]], [[True], [False]], "frame 1.* pitch 61 after 60"),
        ([[R]], [[True]], "a rest has no attack"),
        ([[128]], [[True]], "0 to 127"),
        ([[-2]], [[True]], "0 to 127"),
        ([[60.0]], [[True]], "integers and bool"),
        ([60], [True], r"give \[time, voices\]"),
        ([[60, 62]], [[True]], r"\(1, 2\) and attack \(1, 1\)"),
    ],
)
def test_a_piece_that_cannot_be_sung_is_refused(pitch, attack, words):
    with pytest.raises(ValueError, match=words):
        Piece(torch.tensor(pitch), torch.tensor(attack))


def test_pieces_are_equal_when_their_notes_are(piece):
    assert piece == Piece(PITCH, ATTACK, resolution=4)
    assert piece != Piece(PITCH, ATTACK, resolution=2)
    assert piece != transpose(piece, 1)


@pytest.mark.parametrize("sharps", range(-6, 7))
def test_without_signs_the_tonic_of_a_major_key_is_c(sharps):
    tonic = 60 + 7 * sharps % 12
    piece = Piece.of([[tonic], [tonic + 4]], sharps=sharps)
    moved = without_signs(piece)
    assert moved.sharps == 0 and int(moved.pitch[0, 0]) % 12 == 0
    assert abs(int(moved.pitch[0, 0]) - tonic) <= 6
