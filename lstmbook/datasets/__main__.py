"""List the data sets, or fetch them for later use without a network.

python -m lstmbook.datasets             what there is, and what is here
python -m lstmbook.datasets NAME ...    fetch these
python -m lstmbook.datasets all         fetch everything
"""

import argparse
import sys

from . import DATASETS, DataError, available, cache_dir, card, fetch


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m lstmbook.datasets",
        description="List the book's data sets, or fetch them for offline use.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a data set, or: all")
    names = parser.parse_args(arguments).names
    unknown = sorted(set(names) - {*DATASETS, "all"})
    if unknown:
        parser.error(f"no data set {', '.join(unknown)}; there are: {list(DATASETS)}")
    if not names:
        print(f"cache: {cache_dir()}\n")
        for name in DATASETS:
            print(card(name))
            print(f"  here     {'yes' if available(name) else 'no'}\n")
        return 0
    failed = False
    for name in DATASETS if "all" in names else names:
        for file in DATASETS[name].files:
            try:
                print(f"{name}: {fetch(name, file.name)}")
            except DataError as error:
                print(error, file=sys.stderr)
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
