"""The node's idea of time, and how far it can be believed."""

from edge.clock.system import SystemClock

__all__ = ["SystemClock"]
