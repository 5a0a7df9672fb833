"""Executors run independent tasks: in processes of this machine, or in a Ray cluster."""

from mainstream.executors.executor import Done, Executor, Shared, Task

__all__ = ["Done", "Executor", "Shared", "Task"]
