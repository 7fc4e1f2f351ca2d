"""What importing the package brings along."""

import subprocess
import sys


def test_import_lstmbook_leaves_heavy_libraries_alone():
    heavy = ("lightning", "matplotlib", "sklearn", "pooch", "yaml", "pandas", "IPython")
    heavy += ("librosa", "soundfile", "torchmetrics")
    code = (
        "import torch, sys; before = set(sys.modules); import lstmbook; "
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not set(run.stdout.split()) & set(heavy)


def test_every_public_name_is_there():
    import lstmbook as lb

    for name in lb.__all__:
        assert getattr(lb, name) is not None
    for name in ("audio", "ctc", "diagnostics", "interop", "reference", "training"):
        assert name in dir(lb)
        getattr(lb, name)
