"""Files that are read or refused, and streams that lose nothing in silence."""

import pytest
import torch

from lstmbook.datasets.text import read_text, stream_batches


@pytest.fixture
def file(tmp_path):
    """Writes bytes into a file and gives its path."""

    def file(content):
        path = tmp_path / "my book.txt"
        path.write_bytes(content)
        return path

    return file


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Grüße\nzwei\n".encode(), "Grüße\nzwei\n"),
        (b"one\r\ntwo\rthree\n\r\n", "one\ntwo\nthree\n\n"),
        ("\ufeffafter the mark".encode(), "after the mark"),
        (b"no line end", "no line end"),
    ],
)
def test_a_text_is_read_with_the_line_ends_of_unix(file, content, text):
    assert read_text(file(content)) == read_text(str(file(content))) == text


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "utf-8-sig"])
def test_another_encoding_is_read_when_it_is_named(file, encoding):
    path = file("Grüße\r\nzwei".encode(encoding))
    assert read_text(path, encoding=encoding) == "Grüße\nzwei"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("eins\nzwei\ndrei für vier".encode("latin-1"),
         "line 3 has the byte 0xfc at position 16; .*latin-1"),
        ("Grüße".encode("utf-16"), "is not utf-8: line 1 has the byte 0xff"),
        ("words".encode("utf-16-le"), "zero bytes.*utf-16"),
        (b"a picture \0\0\1", "zero bytes"),
        (b"", "holds no text"),
        (b" \r\n\t\n", "holds no text"),
        (b"\xef\xbb\xbf", "holds no text"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_text_is_refused_and_named(file, content, words):
    with pytest.raises(ValueError, match=rf"my book\.txt.*{words}"):
        read_text(file(content))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"away\.txt: no such file"):
        read_text(tmp_path / "away.txt")


def test_an_encoding_that_python_does_not_know_is_named(file):
    with pytest.raises(ValueError, match="no encoding 'utf-9'"):
        read_text(file(b"words"), encoding="utf-9")


@pytest.mark.parametrize("length", [7, 60, 61, 62, 100])
@pytest.mark.parametrize("batch_size", [1, 3, 6])
@pytest.mark.parametrize("steps", [1, 5, 200])
def test_rows_continue_where_they_stopped_and_only_the_tail_is_lost(
    length, batch_size, steps
):
    numbers = torch.arange(length)
    batches = stream_batches(numbers, batch_size, steps)
    for x, y in batches:
        assert torch.equal(y, x + 1)  # the next number
        assert x.shape[0] == batch_size and x.shape[1] <= steps
    assert all(x.shape[1] == steps for x, _ in batches[:-1])
    rows = torch.cat([x for x, _ in batches], dim=1)
    assert torch.equal(rows.flatten(), torch.arange(rows.numel()))
    lost = (length - 1) - rows.numel()
    assert lost == (length - 1) % batch_size


def test_batches_are_views_and_can_be_read_twice():
    numbers = torch.arange(1000)
    batches = stream_batches(numbers, 4, 10)
    assert len(batches) == len(list(batches)) == len(list(batches)) == 25
    assert batches[0][0].data_ptr() == numbers.data_ptr()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((torch.arange(4), 4, 2), "at least 5"),
        ((torch.zeros(4, 4), 2, 2), r"\[4, 4\]"),
        ((torch.arange(9), 0, 2), "at least 1"),
        ((torch.arange(9), 2, 0), "at least 1"),
    ],
)
def test_arguments_that_do_not_fit_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        stream_batches(*arguments)
