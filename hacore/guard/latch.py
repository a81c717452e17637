"""When the fence is due: armed or not, for which token, until when, and the latch that keeps a fence that fired fired.

Pure arithmetic on boot-time nanoseconds. Does not know how the instant comes in, nor what is done at it.
"""

from typing import Final

from hacore.guard.kernel import NS_PER_S

_LATEST_BEFORE_END_NS: Final = NS_PER_S // 2  # the kernel's turn comes half a second before F


class Latch:
    """The deadline of one token. ``deadline_ns`` is F - D; ``budget_ns`` is D, the time in which the fence has to be done."""

    def __init__(self) -> None:
        self.token: int | None = None
        self.deadline_ns = 0
        self.budget_ns = 0
        self.fired_token: int | None = None

    @property
    def is_armed(self) -> bool:
        """Whether a deadline is in force."""
        return self.deadline_ns != 0

    @property
    def backstop_ns(self) -> int:
        """When the kernel ends the guard, and by that the server, if the fence has not been carried out; 0 while disarmed."""
        if not self.is_armed:
            return 0
        return self.deadline_ns + max(self.budget_ns - _LATEST_BEFORE_END_NS, self.budget_ns // 2)

    def arm(self, token: int, deadline_ns: int, budget_ns: int, now_ns: int) -> str | None:
        """Put a deadline in force. Answers why not, or ``None`` when it is."""
        if budget_ns <= 0:
            return f"the fence budget is {budget_ns} ns, want more than 0"
        if self.fired_token is not None and token <= self.fired_token:
            return f"the fence has fired for token {self.fired_token}, want a larger one than {token}"
        if self.is_armed and self.token is not None and token < self.token:
            return f"the fence is armed for token {self.token}, want no smaller one than {token}"
        if deadline_ns <= now_ns:
            return f"the deadline passed {(now_ns - deadline_ns) / NS_PER_S:.3f} s ago"
        self.token, self.deadline_ns, self.budget_ns = token, deadline_ns, budget_ns
        self.fired_token = None
        return None

    def follow(self, word_ns: int) -> None:
        """Take over what the agent stored. An empty word changes nothing: only a request disarms, and a fence that fired stays so."""
        if self.is_armed and word_ns != 0:
            self.deadline_ns = word_ns

    def disarm(self) -> None:
        """Put the deadline out of force. A fence that fired stays so."""
        self.deadline_ns = 0

    def is_due(self, now_ns: int) -> bool:
        """Whether the deadline has passed."""
        return self.is_armed and now_ns >= self.deadline_ns

    def fire(self) -> None:
        """Latch: until a larger token is armed, nothing starts as a primary."""
        self.fired_token = self.token
        self.deadline_ns = 0

    def refusal_of_primary(self, token: int | None, now_ns: int) -> str | None:
        """Why a server that is not a standby may not be started now, or ``None`` when it may."""
        if self.fired_token is not None:
            return f"the fence has fired for token {self.fired_token}"
        if token is None:
            return None
        if not self.is_armed or self.token != token:
            return f"the fence is not armed for token {token}"
        if self.is_due(now_ns):
            return f"the deadline of token {token} has passed"
        return None
