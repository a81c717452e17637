"""The stores that both products are measured on: a module each, which says what it is asked and what it costs.

To add one: a class with the members of ``BenchStore`` in a module of its own, and its name in ``STORES``.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from bench.stores.consul import consul
from bench.stores.etcd import EtcdStore, etcd
from bench.stores.kubernetes import kubernetes
from bench.stores.protocol import NAMES, BenchStore, Count
from bench.stores.zookeeper import zookeeper

__all__ = ["NAMES", "STORES", "BenchStore", "Count", "EtcdStore"]

# Each is given an existing directory of the servers' user, and the scope of the one cluster that will use it.
STORES: Final[Mapping[str, Callable[[Path, str], AbstractContextManager[BenchStore]]]] = {
    "consul": consul,
    "etcd": etcd,
    "kubernetes": kubernetes,
    "zookeeper": zookeeper,
}
