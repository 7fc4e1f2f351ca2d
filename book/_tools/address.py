"""Write the public address of [project.urls] in pyproject.toml into all other files.

Change pyproject.toml, then run `python book/_tools/address.py`. The addresses that
stand in the files now are read from _config.yml, which this script changes last.
"""

import re

import yaml
from toc import HINT, ROOT, address, placeholder

FILES = ("*.md", "CITATION.cff", "book/**/*.ipynb", "book/**/*.md")


def replaced(text, old, new):
    """`text` with each address of `old` replaced by that of `new`."""
    for key in ("colab", "repository"):
        for link in ("{}/blob/{}", "{}@{}"):
            before, after = (link.format(at[key], at["tag"]) for at in (old, new))
            text = text.replace(before, after)
        text = text.replace(old[key], new[key])
    return text


def stored(config):
    """The address as _config.yml has it."""
    repository, tag = config["repository"]["url"], config["repository"]["branch"]
    name = repository.split("github.com/")[-1]
    colab = f"{config['launch_buttons']['colab_url']}/github/{name}"
    return {"repository": repository, "colab": colab, "tag": tag}


def main(root=ROOT):
    file = root / "_config.yml"
    config = file.read_text()
    old, new = stored(yaml.safe_load(config)), address(root)
    for pattern in FILES:
        for path in root.glob(pattern):
            text = replaced(path.read_text(encoding="utf-8"), old, new)
            if not placeholder(new):
                text = text.replace(HINT, "")
            path.write_text(text, encoding="utf-8")
    citation = root / "CITATION.cff"
    citation.write_text(_set(citation.read_text(), "version", new["tag"][1:]))
    config = _set(config, "url", new["repository"])
    config = _set(config, "branch", new["tag"])
    config = _set(config, "colab_url", new["colab"].split("/github/")[0])
    file.write_text(config)


def _set(text, key, value):
    return re.sub(rf"^( *{key}: ).*", rf"\g<1>{value}", text, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
