"""How long an address may stand. Pure."""

from typing import Final

from hacore.model.clock import Instant

_LONGEST_S: Final = 2**31


def whole_seconds(valid_until: Instant, now: Instant) -> int:
    """Return what is left of the lease as the kernel counts lifetimes: whole seconds, rounded down, never negative.

    The kernel looks at lifetimes when the first of them ends, but not more often than once a second, so an address may stand a second
    too long (measured, with other addresses changing beside it: 0.9 s). ``valid_until`` is where the forced fence begins, which takes a
    fifth of the ttl and up to 2 s: with a ttl of 5 s or more the address is gone when the fence has ended, which is a margin before
    anybody else may lead.
    """
    return min(_LONGEST_S, max(0, int(valid_until - now)))
