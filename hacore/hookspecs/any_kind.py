"""What a plugin of any kind may implement, and where it is."""
# ruff: noqa: ARG002, RET501
# A specification uses no argument. Its ``return None`` says to type checkers that the hook is optional: without a body it is abstract,
# and a plugin that has not implemented it cannot be built.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hacore.hookspecs.marks import hookspec
from hacore.interfaces import Metric, SectionChecker
from hacore.model.clock import Clock
from hacore.model.policy import Policy, Times


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginContext:
    """Where a plugin is and what is in force: part of every request, made anew for each call."""

    scope: str
    namespace: str  # as configured: ``/service``
    member: str  # this node's name, the same after a restart
    clock: Clock  # the only clock a plugin may read
    policy: Policy = field(default_factory=Policy)

    @property
    def times(self) -> Times:
        """Return ttl, loop_wait and retry_timeout as configured for the whole cluster."""
        return self.policy.times


@dataclass(frozen=True, slots=True, kw_only=True)
class Validate:
    """Check what the schema cannot: files, programs and, only with ``online``, what the plugin drives."""

    context: PluginContext
    online: bool = False


class AnyPlugin(Protocol):
    """What a plugin of any kind may have."""

    @staticmethod
    @hookspec(firstresult=True)
    def hacore_config_schema() -> type[SectionChecker] | None:
        """Return the class of the schema of this plugin's section: a :class:`hacore.schema.SectionSchema`.

        Called on the class (make it a static method) before an instance exists, with every reading of the configuration; quick, no
        input or output. What the schema's ``load`` returns, usually a frozen dataclass made by ``post_load``, is the only argument
        of the class; it must be picklable, because the configuration is read in a process of its own.

        :returns: the class; ``None``, or no such method: the plugin takes no settings and is built with an empty mapping.
        """
        return None

    @hookspec
    def hacore_validate(self, request: Validate) -> Sequence[str] | None:
        """Return what is wrong with the settings, one sentence each: where, what was found, what is wanted.

        Called by ``hacore validate`` only, in its process. May block for 10 s.

        :raises PluginUnavailableError: with ``online``: what the plugin drives does not answer; shown as a fault.
        """
        return None

    @hookspec
    def hacore_metrics(self) -> Sequence[Metric] | None:
        """Return this plugin's samples for ``/metrics``.

        Called on the plugin's own thread, every 10 s; may block for 1 s. The newest answer is served until the next; the core adds the
        labels ``scope``, ``name`` and ``plugin``. A store is not asked: its thread renews the lease.
        """
        return None

    @hookspec
    def hacore_status(self) -> Mapping[str, str | int | float | bool | None] | None:
        """Return what this plugin has to say of itself, for people: ``hacore routes`` and REST. Called as ``hacore_metrics``."""
        return None

    @hookspec
    def hacore_close(self) -> None:
        """Give back threads, processes and connections.

        Called once, when the agent ends or another instance with new settings takes this one's place; no hook is called afterwards.
        May block for 10 s. Raising changes nothing.
        """
        return None
