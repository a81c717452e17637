"""The settings that decisions rest on: dynamic configuration, local configuration and defaults, already merged and clamped."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The three periods of the lease, in seconds (interface reference 2.1; safety.md 3.4)."""

    ttl_s: float = 30.0
    loop_wait_s: float = 10.0
    retry_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Settings in force for one turn. Durations are seconds, sizes bytes."""

    times: Times = field(default_factory=Times)
    own_times: Times | None = None  # from the dynamic section ``hacore``: in force only while every member is hacore
    margin_s: float | None = None  # M; ``None``: T/5, at most 3 s
    budget_s: float | None = None  # D; ``None``: T/5, at most 2 s
    maximum_lag_on_failover: int = 1048576
    check_timeline: bool = False
    primary_start_timeout_s: float = 300.0
    primary_stop_timeout_s: float = 0.0  # 0: wait without limit
    member_slots_ttl_s: float = 1800.0
    max_timelines_history: int = 0
    drain_timeout_s: float = 5.0  # for routers to hold new work back before a planned stop
    drain_aborts: bool = False  # a switchover whose routers do not in that time is given up
    pause: bool = False
    use_slots: bool = True
    use_pg_rewind: bool = False
    remove_data_directory_on_rewind_failure: bool = False
    remove_data_directory_on_diverged_timelines: bool = False
    refuses_election: str | None = None  # why this node may not lead: a setting that it would have to ignore
    unsupported: tuple[str, ...] = ()  # dynamic settings that are ignored, shown to people

    def margin(self, ttl_s: float) -> float:
        """Return M in seconds for a lease of ``ttl_s`` (safety.md 3.3)."""
        return min(ttl_s / 5, 3.0) if self.margin_s is None else self.margin_s

    def budget(self, ttl_s: float) -> float:
        """Return D in seconds for a lease of ``ttl_s`` (safety.md 3.3)."""
        return min(ttl_s / 5, 2.0) if self.budget_s is None else self.budget_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What a member says of itself (interface reference 1.2)."""

    nofailover: bool = False
    failover_priority: int = 1
    clonefrom: bool = False
    noloadbalance: bool = False
    replicatefrom: str | None = None
    nosync: bool = False
    nostream: bool = False
    sync_priority: int = 1
    published: tuple[tuple[str, str | int | float | bool], ...] = ()  # what stands in the member record, in its order

    @property
    def may_lead(self) -> bool:
        """Tell whether the tags allow this member to become leader."""
        return not self.nofailover and self.failover_priority > 0
