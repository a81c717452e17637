"""Whole clusters under faults, judged from outside."""

from tests.chaos.clusters import cluster, cluster_pool, site, store

__all__ = ["cluster", "cluster_pool", "site", "store"]
