"""What `import lstmbook` costs beyond `import torch`, in fresh processes.

python benchmarks/bench_import.py [results.jsonl]
"""

import statistics
import subprocess
import sys
import time

from measure import report


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main(rounds: int = 9):
    pairs = [
        (seconds("import torch"), seconds("import lstmbook")) for _ in range(rounds)
    ]
    extra = statistics.median(b - a for a, b in pairs)
    ratio = statistics.median(b / a for a, b in pairs)
    report(
        "import", [{"ratio to import torch": ratio, "seconds beyond it": float(extra)}]
    )


if __name__ == "__main__":
    main()
