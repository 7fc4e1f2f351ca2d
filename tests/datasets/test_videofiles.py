"""Films in files: written, read back, captioned; what cannot be used is named."""

from fractions import Fraction

import numpy as np
import pytest
import torch

import lstmbook as lb
from lstmbook.datasets import DataError
from lstmbook.datasets.captioned import cast, in_order
from lstmbook.datasets.clipfeatures import FeatureFolder, msvd
from lstmbook.datasets.videofiles import VideoError, VideoReader, write_video
from lstmbook.datasets.videofolder import VideoFolder, read_captions
from lstmbook.datasets.vocabulary import SentenceVocabulary
from lstmbook.models.captioning import captioner, describe
from lstmbook.timing import waiting

av = pytest.importorskip("av")
ACTORS = {"digits": (0, 1, 4), "animals": ()}


def film(seed=0, time=12):
    return in_order(cast("train", 10, **ACTORS), 1, seed, time=time, size=24).frames[0]


def pictures(path, times, size=24, rate=30):
    """A film whose frame k is shown at times[k] / rate seconds, bright in column k."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, rate)
        for k, at in enumerate(times):
            array = np.zeros((size, size, 3), np.uint8)
            array[:, k % size] = 255
            frame = av.VideoFrame.from_ndarray(array, "rgb24")
            frame.pts, frame.time_base = at, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A folder with a film of every fault, {what: path}."""
    folder = tmp_path_factory.mktemp("faulty")
    good = write_video(folder / "good.mp4", film())
    content = bytearray(good.read_bytes())
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is no film")
    (folder / "cut.mp4").write_bytes(content[: len(content) // 3])
    at = content.index(b"mdat") + 4
    noise = np.random.RandomState(0).bytes(600)
    content[at + 800 : at + 1400] = noise
    (folder / "noise.mp4").write_bytes(content)
    pictures(folder / "uneven.mp4", [0, 1, 2, 12, 13, 14, 24, 25, 26, 36, 37, 38])
    pictures(folder / "long.mp4", range(0, 90), rate=1)
    with av.open(str(folder / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), "fltp", "mono"
        )
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return {path.stem: path for path in folder.iterdir()}


FAULTS = {
    "empty": "0 bytes",
    "text": "broken, or no film",
    "cut": "broken, or no film",
    "noise": "broken",
    "uneven": "variable rate.*0.033 to 0.333 s",
    "long": "too long: 90.0 s",
    "sound": "no video stream",
}


def test_what_is_written_is_read_back(tmp_path):
    frames = film()
    path = write_video(tmp_path / "film.mp4", frames, scale=2)
    back = VideoReader(12, 24).encode(path)
    assert back.shape == frames.shape and back.dtype == torch.float32
    assert (back - frames).abs().max() < 0.1
    assert (back - frames).abs().mean() < 0.01
    assert VideoReader(12, 24, colour=True).encode(str(path)).shape == (12, 3, 24, 24)
    assert VideoReader(12, 40).encode(path).shape == (12, 1, 40, 40)
    assert VideoReader(12, 24).encode(frames) is frames


def test_colours_keep_their_channels(tmp_path):
    frames = torch.zeros(4, 3, 32, 32)
    frames[:, 1, :, 16:] = 1
    path = write_video(tmp_path / "green.mp4", frames)
    back = VideoReader(4, 32, colour=True).encode(path)
    assert back[:, 1, :, 24:].mean() > 0.9
    assert back[:, :, :, :8].mean() < 0.1 and back[:, ::2, :, 24:].mean() < 0.2


def column(frames):
    return frames[:, 0].mean(1).argmax(1).tolist()


def test_frames_are_spread_evenly_over_the_film(tmp_path):
    path = pictures(tmp_path / "film.mp4", range(20))
    assert column(VideoReader(20, 24).encode(path)) == list(range(20))
    assert column(VideoReader(4, 24).encode(path)) == [2, 7, 12, 17]
    assert column(VideoReader(1, 24).encode(path)) == [9]
    twice = column(VideoReader(40, 24).encode(path))
    assert twice == [k // 2 for k in range(40)]


def test_an_uneven_film_is_read_by_time_when_that_is_asked_for(faulty):
    frames = VideoReader(13, 24, variable_rate=True).encode(faulty["uneven"])
    # frame 2 is on the screen from 2 to 12, frame 5 from 14 to 24 thirtieths
    shown = column(frames)
    assert shown == sorted(shown) and shown.count(2) >= 2 and shown.count(5) >= 2


def test_a_long_film_is_read_when_that_is_asked_for(faulty):
    assert VideoReader(6, 24, longest=None).encode(faulty["long"]).shape[0] == 6
    assert VideoReader(6, 24, longest=100).encode(faulty["long"]).shape[0] == 6


@pytest.mark.parametrize("what", FAULTS)
def test_a_film_that_cannot_be_used_is_named_and_refused(what, faulty):
    with pytest.raises(VideoError, match=f"(?s){what}.mp4.*{FAULTS[what]}"):
        VideoReader(12, 24).encode(faulty[what])


def test_a_missing_film_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.mp4"):
        VideoReader().encode(tmp_path / "nowhere.mp4")


def table(folder, rows, name="captions.csv", header="video,caption,split"):
    (folder / name).write_text("\n".join([header, *rows]), encoding="utf-8")
    return folder / name


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Real MP4 files with their captions: (folder, table, films)."""
    folder = tmp_path_factory.mktemp("clips")
    films = in_order(cast("train", 10, **ACTORS), 24, 0, size=24)
    rows = []
    for k, (frames, caption) in enumerate(films.pairs()):
        write_video(folder / f"{k:02}.mp4", frames)
        rows.append(f'{k:02}.mp4,"{caption.capitalize()}.",{"test" if k > 19 else ""}')
    rows.append("00.mp4,Something moves,")
    write_video(folder / "unmentioned.mp4", film())
    return folder, table(folder, rows), films


def test_a_folder_gives_films_with_their_captions(clips):
    folder, captions, films = clips
    data = VideoFolder(folder, captions, VideoReader(12, 24))
    assert len(data) == 25 and data.lengths == [12] * 25
    frames, caption = data[3]
    assert (frames - films.frames[3]).abs().mean() < 0.01
    assert caption.lower() == films.captions[3] + "."
    assert data.uncaptioned == ["unmentioned.mp4"] and data.skipped == []
    assert data.references()["00.mp4"][1] == "Something moves"
    assert len(VideoFolder(folder, captions, split="test")) == 4


def test_films_are_read_in_workers_learned_and_captioned(clips, tmp_path):
    folder, captions, _ = clips
    reader = VideoReader(12, 24)
    data = VideoFolder(folder, captions, reader, check="times")
    words = SentenceVocabulary.of(data.captions)
    torch.manual_seed(0)
    model = captioner(words, (1, 24, 24), "attention", hidden_size=32, source=reader)
    before = model.log_probabilities(data).mean()
    model.fit(data, epochs=5, batch_size=5, workers=2, learning_rate=0.02, seed=0,
              progress=False, checks=2)  # fmt: skip
    after = model.log_probabilities(data).mean()
    assert after > before + 3
    back = lb.load(lb.save(model, tmp_path / "model.safetensors"))
    path = folder / "03.mp4"
    said = model.translate(path)
    assert said == back.translate(str(path)) and set(said.split()) <= set(words.symbols)
    best, *others = describe(back, path, width=3)
    assert best.text.split() and len(others) == 2
    assert best.attention.shape == (len(best.text.split()) + 1, 12)
    # the loader's time and the model's, side by side
    loader = model.loader(data, 8, workers=2)
    times = waiting(loader, lambda batch: model.loss(batch).backward())
    assert len(times.loader) == len(times.model) == len(loader) - 1
    assert 0 <= times.share < 1


def test_a_film_for_a_caption_that_is_missing_is_named_or_left_out(clips):
    folder, _, _ = clips
    rows = ["00.mp4,One,", "lost.mp4,Two,", "01.mp4,Three,", "lost.mp4,Four,"]
    captions = table(folder, rows, "lost.csv")
    with pytest.raises(FileNotFoundError, match=r"lost\.mp4"):
        VideoFolder(folder, captions)
    with pytest.warns(UserWarning, match=r"1 of 3 files are left out.*lost.mp4"):
        data = VideoFolder(folder, captions, skip=True)
    assert data.captions == ["One", "Three"]
    assert [name for name, _ in data.skipped] == ["lost.mp4"]
    (folder / "lost.csv").unlink()


def test_films_with_faults_are_refused_or_left_out_never_silently(faulty):
    folder = faulty["good"].parent
    captions = table(
        folder.parent,
        [f"{k}.mp4,A film {k}," for k in ("good", *FAULTS)],
        f"{folder.name}.csv",
    )
    with pytest.raises(VideoError, match=r"empty\.mp4"):
        VideoFolder(folder, captions)
    with pytest.warns(UserWarning, match="7 of 8"):
        data = VideoFolder(folder, captions, skip=True)
    assert data.names == ["good.mp4"]
    for name, why in data.skipped:
        assert name in why
    # without decoding, a film that is broken inside is found when its turn comes
    with pytest.warns(UserWarning):
        quick = VideoFolder(folder, captions, skip=True, check="times")
    if "noise.mp4" in quick.names:
        with pytest.raises(VideoError, match=r"noise\.mp4"):
            quick[quick.names.index("noise.mp4")]


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        (["a.mp4,"], "video,caption", "line 2: the caption of a.mp4 is missing"),
        (["a.mp4,x", ",b"], "video,caption", "line 3: the video is missing"),
        (["a.mp4"], "video,caption", "line 2: the caption of a.mp4"),
        (["a.mp4,x"], "file,text", "video, caption is missing"),
        (["../a.mp4,x"], "video,caption", "leads out of the folder"),
        (["/a.mp4,x"], "video,caption", "leads out of the folder"),
        ([], "video,caption", "has no rows"),
    ],
)
def test_a_faulty_table_is_named_with_its_line(rows, header, words, tmp_path):
    path = table(tmp_path, rows, header=header)
    with pytest.raises(DataError, match=f"captions.csv.*{words}"):
        read_captions(path)


def test_a_split_that_is_not_there_is_named(tmp_path):
    path = table(tmp_path, ["a.mp4,x,train"])
    with pytest.raises(DataError, match=r"no rows; its splits are \['train'\]"):
        read_captions(path, "dev")
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_captions(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match="nofolder"):
        VideoFolder(tmp_path / "nofolder", path)


@pytest.mark.parametrize(
    "call",
    [
        lambda: VideoReader(0),
        lambda: VideoReader(longest=0),
        lambda: VideoFolder(".", "x.csv", check="maybe"),
        lambda: write_video("x.mp4", torch.zeros(3, 2, 8, 8)),
        lambda: write_video("x.mp4", torch.zeros(3, 1, 7, 8)),
    ],
)
def test_a_bad_argument_raises(call):
    with pytest.raises(ValueError):
        call()


# --- features that others have computed --------------------------------------------


@pytest.fixture
def corpus(tmp_path):
    """The layout of MSVD, with 1,970 names and few files."""
    lines = [f"clip{n}_0_5 vid{n}" for n in range(1, 1971)]
    (tmp_path / "youtube_mapping.txt").write_text("\n".join(lines))
    (tmp_path / "AllVideoDescriptions.txt").write_text(
        "# remarks\n\nclip3_0_5 A cat moves left\nclip3_0_5 a cat goes\n"
        "clip1200_0_5 a bear\nclip1250_0_5 a dog\nclip1301_0_5 a bird\n"
    )
    (tmp_path / "features").mkdir()
    for n, frames in ((3, 9), (1200, 4), (1250, 5), (1301, 6)):
        array = np.arange(frames * 2, dtype=np.float32).reshape(frames, 2)
        np.save(tmp_path / "features" / f"vid{n}.npy", array)
    return tmp_path


def test_features_in_the_layout_of_msvd(corpus):
    train = msvd(corpus, "train", frames=3)
    assert train.names == ["vid3", "vid3", "vid1200"] and train.size == 2
    x, caption = train[0]
    assert x[:, 0].tolist() == [2, 8, 14] and caption == "A cat moves left"
    assert train.references()["vid3"] == ["A cat moves left", "a cat goes"]
    assert msvd(corpus, "valid").names == ["vid1250"]
    test = msvd(corpus, "test", frames=None)
    assert test.names == ["vid1301"] and test.lengths == [6] == [len(test[0][0])]
    assert len(msvd(corpus, "train", frames=40)[0][0]) == 40


@pytest.mark.parametrize("kind", ["missing", "text", "flat", "nan", "objects", "width"])
def test_features_that_cannot_be_used_are_named_or_left_out(kind, corpus):
    path = corpus / "features" / "vid1200.npy"
    content = {
        "flat": np.zeros(3), "nan": np.full((2, 2), np.nan),
        "objects": np.array([[None]]), "width": np.zeros((4, 3)),
    }  # fmt: skip
    if kind == "missing":
        path.unlink()
    elif kind == "text":
        path.write_text("hello")
    else:
        np.save(path, content[kind], allow_pickle=True)
    with pytest.raises((DataError, FileNotFoundError), match=r"vid1200\.npy"):
        msvd(corpus)
    with pytest.warns(UserWarning, match=r"1 of 2.*vid1200.npy"):
        assert msvd(corpus, skip=True).names == ["vid3", "vid3"]


def test_what_is_missing_in_the_layout_is_named(corpus):
    with pytest.raises(ValueError, match="no split 'dev'"):
        msvd(corpus, "dev")
    with open(corpus / "AllVideoDescriptions.txt", "a") as file:
        file.write("clip9999_0_5 a stranger\n")
    with pytest.raises(DataError, match="clip9999_0_5 has a description"):
        msvd(corpus)
    (corpus / "youtube_mapping.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"youtube_mapping\.txt"):
        msvd(corpus)
    with pytest.raises(ValueError, match="frames=0"):
        FeatureFolder(corpus / "features", [("vid3", "x")], frames=0)
