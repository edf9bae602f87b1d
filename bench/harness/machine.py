"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path


def machine(folder: Path) -> dict[str, str]:
    """Processor, cores, memory, kernel, Python, and how long the folder's disk takes to write."""
    return {
        "processor": _line("/proc/cpuinfo", "model name"),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(_line('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "fdatasync": f"{_fdatasync_ms(folder):.2f} ms",
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _line(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "0"


def _fdatasync_ms(folder: Path) -> float:
    """The median of 50 writes of 8 kB, each made durable."""
    path = folder / "fdatasync"
    times = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for _ in range(50):
            os.write(descriptor, bytes(8192))
            start = time.perf_counter()
            os.fdatasync(descriptor)
            times.append((time.perf_counter() - start) * 1000)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(times)
