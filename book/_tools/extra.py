"""Print the requirements of one extra of pyproject.toml, a line each.

`pip install .[book]` would bring torch along; rendering the book needs no torch.
"""

import sys
import tomllib

with open("pyproject.toml", "rb") as file:
    extras = tomllib.load(file)["project"]["optional-dependencies"]
print(*extras[sys.argv[1]], sep="\n")
