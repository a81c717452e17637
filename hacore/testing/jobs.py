"""The job that a plugin's own tests hand to its hooks: the core's, which runs real programs and can be cancelled."""

from hacore.postgres.job import JobHandle

__all__ = ["JobHandle"]
