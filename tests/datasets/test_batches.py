"""Batches by length: every example once, neighbours alike."""

import pytest
import torch

from lstmbook.datasets.batches import ByLength


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("n", [1, 7, 8, 1000])
def test_every_example_is_in_one_batch(n, shuffle):
    batches = ByLength(range(n), 8, shuffle)
    found = list(batches)
    assert len(found) == len(batches) == -(-n // 8)
    assert sorted(k for batch in found for k in batch) == list(range(n))
    assert all(len(batch) <= 8 for batch in found)


def test_a_batch_has_examples_of_about_one_length():
    lengths = torch.randint(1, 100, (4000,), generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    spans = [int(lengths[b].max() - lengths[b].min()) for b in ByLength(lengths, 8)]
    assert sum(spans) / len(spans) < 4


def test_another_pass_has_another_order_unless_it_is_fixed():
    torch.manual_seed(0)
    shuffled, fixed = ByLength([1] * 40, 4), ByLength([1] * 40, 4, False)
    assert list(shuffled) != list(shuffled)
    assert list(fixed) == list(fixed)
    assert next(iter(fixed)) == [0, 1, 2, 3]


def test_a_batch_has_a_size():
    with pytest.raises(ValueError, match="batch_size=0"):
        ByLength([1], 0)
