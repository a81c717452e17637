"""The configuration of a simulated node: the dynamic record, parsed as far as the rules ask."""

import json
from dataclasses import replace

from hacore.model.policy import Policy, Times
from hacore.model.world import Me

_SECTIONS = {"ttl": "ttl_s", "loop_wait": "loop_wait_s", "retry_timeout": "retry_timeout_s"}


class AgentSettings:
    """What one node is configured with (:class:`hacore.ports.Settings`)."""

    def __init__(self, me: Me, policy: Policy, bootstrap: str) -> None:
        self._me = me
        self._start = policy
        self._text = bootstrap  # in force until the record exists
        self._last = self._merge(json.loads(bootstrap))

    def me(self) -> Me:
        """Return who this node is; what it would write as the missing record is what was last in force."""
        return replace(self._me, bootstrap_config=self._text)

    def policy(self, dynamic: str | None) -> Policy:
        """Lay the dynamic record over the local settings."""
        if dynamic is None or dynamic == self._text:
            return self._last
        try:
            found = json.loads(dynamic)
        except ValueError:
            return self._last
        self._text, self._last = dynamic, self._merge(found)
        return self._last

    def times(self, policy: Policy, *, all_hacore: bool) -> Times:
        """Return the periods in force."""
        return policy.own_times if all_hacore and policy.own_times is not None else policy.times

    def reload(self) -> str | None:
        """Read the local configuration again."""
        return None

    def _merge(self, found: dict[str, object]) -> Policy:
        policy = self._start
        own = found.get("hacore")
        if isinstance(own, dict):
            policy = replace(policy, own_times=Times(**{field: float(own[key]) for key, field in _SECTIONS.items()}))
        if isinstance(found.get("maximum_lag_on_failover"), int):
            policy = replace(policy, maximum_lag_on_failover=int(str(found["maximum_lag_on_failover"])))
        if isinstance(found.get("primary_start_timeout"), int | float):
            policy = replace(policy, primary_start_timeout_s=float(str(found["primary_start_timeout"])))
        return replace(policy, pause=found.get("pause") is True)
