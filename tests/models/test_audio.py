"""Features of sound: what is heard, what is scaled, what noise and masks do."""

import math

import numpy as np
import pytest
import torch

import lstmbook as lb
from lstmbook.audio import AudioFeatures, add_noise, mask, segment_means

librosa = pytest.importorskip("librosa")
soundfile = pytest.importorskip("soundfile")


def tone(hertz=1000, seconds=0.5, rate=8000, loud=0.5):
    t = torch.arange(int(seconds * rate)) / rate
    return loud * torch.sin(2 * math.pi * hertz * t)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_tone_is_loudest_in_its_band():
    features = AudioFeatures("log-mel", bands=30)
    centres = librosa.mel_frequencies(32, fmin=0, fmax=4000)[1:-1]
    for hertz in (300, 1000, 2500):
        x = features.frames(tone(hertz))
        loudest = centres[int(x[10:-10].mean(0).argmax())]
        assert abs(loudest - hertz) < 0.15 * hertz


def test_a_frame_is_where_the_sound_is():
    click = torch.zeros(4000)
    click[1600:1680] = 0.5
    x = AudioFeatures("log-mel", bands=20).frames(click)
    assert len(x) == 51  # every 80 samples, the first at 0
    assert int(x.sum(1).argmax()) in (20, 21)


def test_mfccs_are_librosas_and_deltas_are_slopes():
    wave = tone(700) + 0.1 * torch.randn(4000, generator=seeded())
    features = AudioFeatures("mfcc", size=12, bands=26, deltas=2)
    x = features.frames(wave)
    assert x.shape[1] == features.output_size == 36
    mel = librosa.feature.melspectrogram(
        y=wave.numpy(), sr=8000, n_fft=256, win_length=200, hop_length=80, n_mels=26
    )
    want = librosa.feature.mfcc(S=np.log(mel + 1e-8), n_mfcc=12).T
    inside = slice(3, -3)  # librosa pads in the same way, only here by hand
    np.testing.assert_allclose(x[inside, :12].numpy(), want[inside], atol=1e-3)
    ramp = torch.arange(20.0).unsqueeze(1) * torch.tensor([[1.0, -3.0]])
    slopes = AudioFeatures("ready", size=2, deltas=1).frames(ramp)[6:-6, 2:]
    torch.testing.assert_close(slopes, torch.tensor([[1.0, -3.0]]).expand(8, 2))


def test_scales_come_from_what_fit_was_given_and_stay():
    train = [torch.randn(50, 3, generator=seeded()) * 5 + 2]
    features = AudioFeatures("ready", size=3).fit(train)
    x = features(train[0])
    torch.testing.assert_close(x.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), torch.ones(3))
    mean = features.mean.clone()
    features(train[0] + 100)
    assert torch.equal(features.mean, mean)
    constant = AudioFeatures("ready", size=2).fit([torch.ones(4, 2)])
    assert torch.equal(constant(torch.ones(4, 2)), torch.zeros(4, 2))


def test_stacked_frames_stand_side_by_side_and_none_is_lost():
    x = torch.arange(14.0).reshape(7, 2)
    features = AudioFeatures("ready", size=2, stack=3)
    y = features(x)
    assert y.shape == (3, 6) and features.output_size == 6 and features.step == 3
    assert y[1].tolist() == [6, 7, 8, 9, 10, 11]
    assert y[2].tolist() == [12, 13, 12, 13, 12, 13]  # the last one fills up
    assert AudioFeatures(stack=2, hop=0.01).step == 160


def test_saved_and_loaded_they_are_the_same(tmp_path):
    wave = tone() + 0.05 * torch.randn(4000, generator=seeded())
    features = AudioFeatures("mfcc", bands=20, size=9, deltas=1, stack=2).fit([wave])
    again = lb.load(lb.save(features, tmp_path / "features.safetensors"))
    assert again.config() == features.config() and bool(again.fitted)
    assert torch.equal(again(wave), features(wave))


def test_a_file_is_read_at_the_rate_of_the_features(tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(800, rate=16000).numpy(), 16000)
    features = AudioFeatures("log-mel", rate=8000, bands=20)
    x, y = features(path), features(tone(800))
    assert x.shape == y.shape
    assert (x[5:-5].argmax(1) == y[5:-5].argmax(1)).all()


@pytest.mark.parametrize("snr", [20, 0, -5])
def test_noise_has_the_power_asked_for(snr):
    wave = tone()
    for noise in (None, torch.randn(700, generator=seeded(1))):
        noisy = add_noise(wave, snr, noise=noise, generator=seeded())
        found = 10 * math.log10(wave.square().mean() / (noisy - wave).square().mean())
        assert found == pytest.approx(snr, abs=1e-3)
        again = add_noise(wave, snr, noise=noise, generator=seeded())
        assert torch.equal(noisy, again)
        other = add_noise(wave, snr, noise=noise, generator=seeded(5))
        assert not torch.equal(noisy, other)


def test_masks_are_whole_bands_and_steps_of_limited_width():
    x, widest = torch.ones(40, 20), [0, 0]
    for seed in range(60):
        y = mask(x, bands=5, steps=12, share=0.25, generator=seeded(seed))
        steps, bands = (y == 0).all(1), (y == 0).all(0)
        assert (y == (~steps).float()[:, None] * (~bands).float()).all()
        for k, gone in enumerate((steps, bands)):
            at = gone.nonzero().flatten()
            widest[k] = max(widest[k], len(at))
            assert len(at) == 0 or int(at[-1] - at[0]) == len(at) - 1
    assert widest == [10, 5]  # a quarter of 40 steps, and 5 bands
    assert (x == 1).all()
    assert torch.equal(mask(x, generator=seeded(3)), mask(x, generator=seeded(3)))


def test_segment_means_are_of_one_size_for_any_length():
    x = torch.arange(8.0).unsqueeze(1).expand(8, 2)
    assert segment_means(x, 4).tolist() == [0.5, 0.5, 2.5, 2.5, 4.5, 4.5, 6.5, 6.5]
    assert segment_means(x[:2], 4).shape == (8,)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: AudioFeatures("fbank"), "kind='fbank'"),
        (lambda: AudioFeatures("mfcc", bands=10, size=13), "as many bands"),
        (lambda: AudioFeatures(hop=0.05), "hop=0.05"),
        (lambda: AudioFeatures(deltas=3), "deltas=3"),
        (lambda: AudioFeatures()(torch.zeros(2, 3, 4)), r"shape \(2, 3, 4\)"),
        (lambda: AudioFeatures()(torch.zeros(0)), "at least one step"),
        (lambda: AudioFeatures()(torch.zeros(9, dtype=torch.int16)), "int16"),
        (lambda: AudioFeatures()(torch.full((900,), math.nan)), "not finite"),
        (lambda: AudioFeatures("ready", size=3)(torch.zeros(900)), r"\[time, 3\]"),
        (lambda: AudioFeatures("ready", size=3)("x.wav"), "made elsewhere"),
        (lambda: AudioFeatures().fit([]), "no sounds"),
        (lambda: add_noise(torch.zeros(9), 10), "silent"),
        (lambda: add_noise(torch.ones(9), math.inf), "snr=inf"),
        (lambda: mask(torch.zeros(3)), "features"),
        (lambda: segment_means(torch.zeros(3, 2), 0), "segments=0"),
    ],
)
def test_what_makes_no_sense_raises(call, words):
    with pytest.raises(ValueError, match=words):
        call()
