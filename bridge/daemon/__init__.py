"""One process: both listeners, the scheduler, the batcher; it starts, beats and drains."""

from bridge.daemon.process import run

__all__ = ["run"]
