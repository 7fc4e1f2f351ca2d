"""How far a written sequence is from the right one, in edits.

    edit_distance("kitten", "sitting")                      # 3
    errors(found, right).rate                               # edits per symbol

The phoneme, word or letter error rate of the literature, according to what the
symbols are.
"""

from typing import NamedTuple


class Errors(NamedTuple):
    """rate: edits per symbol wanted; wrong: share of sequences not exactly right."""

    rate: float
    wrong: float


def edit_distance(found, wanted) -> int:
    """Fewest insertions, deletions and substitutions from one sequence to the other.

    found, wanted: strings, or lists of symbols that can be compared
    Source: Levenshtein 1966; by dynamic programming, Wagner and Fischer 1974.
    """
    row = list(range(len(wanted) + 1))  # from nothing to each beginning of wanted
    for i, a in enumerate(found, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(wanted, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def errors(found, answers) -> Errors:
    """Error rates of many sequences at once.

    found: what was written, one sequence for each question
    answers: for each question a list of right sequences; the nearest one counts

    The rate is all edits over the length of all nearest answers; above 1 is
    possible. Raises ValueError when the numbers differ or a question has no answer.
    """
    if len(found) != len(answers) or not answers:
        raise ValueError(
            f"{len(found)} sequences and {len(answers)} lists of answers: give one "
            "list for each sequence, and at least one"
        )
    edits = length = wrong = 0
    for k, (sequence, right) in enumerate(zip(found, answers, strict=True)):
        if not right:
            raise ValueError(f"question {k} has no right answer to compare with")
        n, size = min((edit_distance(sequence, r), len(r)) for r in right)
        edits, length, wrong = edits + n, length + size, wrong + (n > 0)
    if length == 0:
        raise ValueError("all right answers are empty: there is nothing to divide by")
    return Errors(edits / length, wrong / len(found))
