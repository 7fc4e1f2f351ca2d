"""The encoder-forecaster: published weight counts, states copied, pixels in place."""

import pytest
import torch
from torch.nn import functional as F

import lstmbook as lb
from lstmbook.models.video import VideoForecaster, frame_nats


def weights(model):
    return sum(p.numel() for p in model.parameters())


# Shi et al. 2015, table 1: the number of parameters of each network.
@pytest.mark.parametrize(
    ("hidden", "kernels", "published"),
    [
        ((256,), (5, 5), 13_524_496),
        ((128, 128), (5, 5), 10_042_896),
        ((128, 64, 64), (5, 5), 7_585_296),
        ((128, 128), (9, 1), 11_550_224),
        ((128, 64, 64), (9, 1), 8_830_480),
    ],
)
def test_convolutional_networks_have_the_published_number_of_weights(
    hidden, kernels, published
):
    with torch.device("meta"):  # counted, not allocated
        model = VideoForecaster.convolutional(
            1, hidden, input_kernel=kernels[0], state_kernel=kernels[1]
        )
    assert weights(model) == published


def test_the_fully_connected_network_has_the_published_number_of_weights():
    with torch.device("meta"):
        model = VideoForecaster.fully_connected(64 * 64)
    assert weights(model) == 142_667_776


def test_the_published_one_is_the_default():
    with torch.device("meta"):
        assert weights(VideoForecaster.convolutional()) == 7_585_296


def small(**options):
    torch.manual_seed(0)
    options = {"hidden": (4, 3), "patch": 2, "input_kernel": 3} | options
    return VideoForecaster.convolutional(1, **options)


MODELS = {
    "convolutional": small,
    "kernels of 1": lambda: small(state_kernel=1),
    "fully connected": lambda: VideoForecaster.fully_connected(48, (5, 4)),
}
FRAMES = torch.rand(3, 4, 1, 6, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_frames_and_every_weight_learns(name):
    model = MODELS[name]()
    logits = model(FRAMES, 2)
    assert logits.shape == (3, 2, 1, 6, 8)
    frame_nats(logits, FRAMES[:, :2]).mean().backward()
    for n, p in model.named_parameters():
        if p.numel():
            assert p.grad is not None and (p.grad != 0).any(), n


@pytest.mark.parametrize("name", MODELS)
def test_more_steps_begin_with_the_same_frames(name):
    model = MODELS[name]()
    torch.testing.assert_close(model(FRAMES, 5)[:, :2], model(FRAMES, 2))


def test_the_forecaster_starts_where_the_encoder_ended():
    model = small(hidden=(4,))
    x = F.pixel_unshuffle(FRAMES, 2)
    _, state = model.encoder[0](x)
    h, _ = model.forecaster[0](x.new_zeros(3, 2, 0, 3, 4), state)
    weight, bias = model.output.weight[:, :, None, None], model.output.bias
    pixels = F.conv2d(h.flatten(0, 1), weight, bias).unflatten(0, (3, 2))
    torch.testing.assert_close(model(FRAMES, 2), F.pixel_shuffle(pixels, 2))


def test_a_network_of_kernels_of_one_pixel_moves_nothing():
    model = small(hidden=(4,), patch=1, input_kernel=1)
    bright = FRAMES.clone()
    bright[:, :, :, 2, 3] = 1
    changed = (model(bright, 3) != model(FRAMES, 3)).nonzero()
    assert {(y, x) for *_, y, x in changed.tolist()} == {(2, 3)}


def test_untrained_it_predicts_the_given_share_of_ink():
    for ink in (0.05, 0.3):
        shown = small(ink=ink).predict(FRAMES, 3).mean().item()
        assert shown == pytest.approx(ink, rel=0.5)


def test_predictions_are_shares_and_leave_the_mode_alone():
    model = small().train()
    film = model.predict(FRAMES, 3)
    assert model.training and not film.requires_grad
    assert film.min() > 0 and film.max() < 1
    torch.testing.assert_close(film, model(FRAMES, 3).sigmoid().detach())


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_comes_back_whole(name, tmp_path):
    model = MODELS[name]()
    back = lb.load(lb.save(model, tmp_path / "video.safetensors"))
    assert torch.equal(back(FRAMES, 2), model(FRAMES, 2))


def test_cross_entropy_is_summed_over_pixels():
    p = torch.tensor([0.25, 0.5]).reshape(1, 2, 1, 1, 1).expand(1, 2, 1, 2, 3)
    nats = frame_nats(p.logit(), torch.ones_like(p))
    torch.testing.assert_close(nats, -6 * p[:, :, 0, 0, 0].log())


def layer(size, hidden=4):
    return lb.Recurrent(lb.ConvLSTMCell(size, hidden))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: small()(FRAMES[0], 2), r"\(4, 1, 6, 8\).*channels, height, width"),
        (lambda: small()(FRAMES[..., :7], 2), r"\(6, 7\).*squares of 2"),
        (lambda: small()(FRAMES, 0), "steps=0.*at least one"),
        (lambda: small()(FRAMES.repeat(1, 1, 2, 1, 1), 2), "8 channels.*built for 4"),
        (lambda: MODELS["fully connected"]()(FRAMES[..., :4], 2), "24 features.*48"),
        (lambda: small(ink=0), "ink=0"),
        (lambda: VideoForecaster([layer(1)], [layer(4)]), "4 features.*input_size=0"),
        (lambda: VideoForecaster([layer(1)], []), "1 layers to read and 0"),
        (lambda: VideoForecaster([layer(1)], [layer(0)], readout="x"), "'x'.*'all'"),
        (lambda: frame_nats(FRAMES, FRAMES[:, :2]), r"\(3, 4, .*\(3, 2, "),
    ],
)
def test_a_bad_argument_raises_and_says_why(call, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        call()
