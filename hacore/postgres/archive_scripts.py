"""The text of the two programs that stand between PostgreSQL and an archive's tool (integrations reference 1.2). Pure: values in, text out.

They are POSIX sh and start the tool, ``timeout`` and at most three small programs, because PostgreSQL runs one for each WAL segment.
They know what the server is at by its signal files, and no tool: what its exit codes mean stands in its settings.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hacore.errors import PluginError
from hacore.interfaces import ArchiveSettings

PUSH: Final = "push"
FETCH: Final = "fetch"
ENVIRONMENT: Final = "environment"
BROKEN: Final = "fetch.broken"  # how often the archive was broken in standby mode or in a restore, when it was said last, code, file
FAILED: Final = "push.failed"  # code and file of the last push, if it failed
SAID: Final = {PUSH: "push.said", FETCH: "fetch.said"}  # the tool's own words, of its last run
HUNG: Final = "fetch.hung"  # when a fetch of a standby hung, in seconds since boot; ``slow``: it is known to take long
RUNNING: Final = "fetch.pid"  # process and, in seconds since boot, when it began

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MARKS: Final = re.compile(r"(%[pf])")
_LARGEST_CODE: Final = 123  # those above are of timeout(1) and of the shell
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
# What pg_rewind and our own work run with, for their own connections.
_LIBPQ: Final = "PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGPASSFILE PGOPTIONS PGSERVICE PGSERVICEFILE PGAPPNAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShimLimits:
    """How long what may last. A look-up of a history stands in the way of a promotion (integrations reference 1.2)."""

    history_s: float = 5.0  # on a standby
    standby_s: float = 15.0  # a fetch of a standby, unless the archive is known to be slow: meanwhile it neither streams nor starts
    calm_s: float = 60.0  # after a fetch that hung, a standby asks no more for so long
    restore_s: float = 600.0  # a broken archive is tried again in a restore, for each file
    kill_s: float = 5.0  # between SIGTERM and SIGKILL of a tool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShimPlace:
    """Where the programs stand, and for which data directory."""

    directory: Path
    data_dir: Path
    segment_bytes: int | None = None  # ``None``: not known; a segment is then any number of whole MiB


def environment_text(settings: ArchiveSettings) -> str:
    """Return the file that both programs read.

    :raises PluginError: a name is none of a variable, or a value cannot be one.
    """
    for name, value in settings.environment:
        if not _VARIABLE.fullmatch(name) or "\0" in value:
            raise PluginError(f"archive: environment variable {name!r}: not a name, or a value with a zero byte")
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.environment)


def push_text(place: ShimPlace, settings: ArchiveSettings, limits: ShimLimits) -> str:
    """Return the program that pushes: ``push PATH NAME``."""
    return "\n".join((_PUSH_HEAD, *_common(place, settings.push_limit_s, settings.push, "path", limits, PUSH), _PUSH_BODY))


def held_text(reason: str) -> str:
    """Return the program that pushes nothing and says why; PostgreSQL keeps the files and tries again."""
    words = shlex.quote(f"hacore: WAL is not archived: {reason}")
    return f"#!/bin/sh\n# Written by hacore: do not edit.\nprintf '%s\\n' {words} >&2\nexit 1\n"


def fetch_text(place: ShimPlace, settings: ArchiveSettings, limits: ShimLimits) -> str:
    """Return the program that fetches: ``fetch NAME DESTINATION``.

    :raises PluginError: a code cannot mean that a file is missing.
    """
    wrong = [code for code in settings.missing_codes if not 1 <= code <= _LARGEST_CODE]
    if wrong:
        raise PluginError(f"archive: missing_codes {wrong}, want 1 to {_LARGEST_CODE}")
    missing = "|".join(map(str, settings.missing_codes)) or "none"
    return "\n".join(
        (
            _FETCH_HEAD,
            *_common(place, settings.fetch_limit_s, settings.fetch, "temporary", limits, FETCH),
            f"history_limit={min(limits.history_s, settings.fetch_limit_s):g}",
            f"standby_limit={min(limits.standby_s, settings.fetch_limit_s):g}",
            f"slow_from={min(limits.standby_s, settings.fetch_limit_s):.0f}",
            f"calm={limits.calm_s:.0f}",
            f"restore_limit={limits.restore_s:.0f}",
            f"segment={place.segment_bytes or ''}",
            _FETCH_BODY.replace("@MISSING@", missing),
        )
    )


def command_of(program: Path, *arguments: str) -> str:
    """Return a command for PostgreSQL's configuration. ``exec``: so that the program's parent is the server itself."""
    return " ".join((f"exec {shlex.quote(str(program))}".replace("%", "%%"), *(f'"{one}"' for one in arguments)))


def _common(
    place: ShimPlace, limit_s: float, argv: Sequence[str], path: str, limits: ShimLimits, program: str
) -> tuple[str, ...]:  # fmt: skip
    if not argv or limit_s <= 0:
        raise PluginError("archive: a program and a limit above zero are wanted")
    words = " ".join(_word(word, path) for word in argv)
    return (
        f"state={shlex.quote(str(place.directory))}",
        f"data={shlex.quote(str(place.data_dir))}",
        f"limit={limit_s:g}",
        f"said=$state/{SAID[program]}",
        f'tool() {{\n    exec timeout -k {limits.kill_s:g} "$limit" {words} </dev/null >"$said" 2>&1\n}}',
        _SHARED,
    )


def _word(word: str, path: str) -> str:
    """Quote one word; ``%p`` and ``%f`` become the program's own variables."""
    variables = {"%p": f'"${path}"', "%f": '"$name"'}
    return "".join(variables.get(part) or shlex.quote(part) for part in _MARKS.split(word) if part) or "''"


_SHARED: Final = f"""\
unset {_LIBPQ}
PATH={_PATH}
export PATH
child=

uptime() {{ # whole seconds since boot, without starting anything
    read -r now rest </proc/uptime
    now=${{now%%.*}}
}}

work() {{ # runs the tool and sets its code
    true >"$said" || said=/dev/null
    tool &
    child=$!
    wait "$child"
    code=$?
    child=
}}

is_orphan() {{ # the server that asked has gone: another one may be asking by now
    read -r stat </proc/$$/stat
    set -- ${{stat##*)}}
    [ "$2" != "$PPID" ]
}}
"""

_PUSH_HEAD: Final = """\
#!/bin/sh
# Written by hacore, and again whenever the archive's settings change: do not edit.
# push PATH NAME: 0 only if the tool has said 0, else 1 to 125: PostgreSQL keeps the file and tries again.
answer=1
trap 'exit "$answer"' EXIT
"""

_PUSH_BODY: Final = f"""\
end() {{ # the server ends: the tool gets its signal from timeout(1), nobody waits for it
    [ -z "$child" ] || kill "$child" 2>/dev/null
    answer=$1
    exit
}}
trap 'end 131' QUIT
trap 'end 1' HUP INT TERM

path=$1
name=$2
cd -- "$data" || exit
[ -r "$state/{ENVIRONMENT}" ] || exit
. "$state/{ENVIRONMENT}"
work
if [ -s "$said" ]; then tail -c 2000 "$said" >&2; fi
if [ "$code" -eq 0 ]; then
    answer=0
    if [ -e "$state/{FAILED}" ]; then rm -f "$state/{FAILED}"; fi
    exit
fi
printf '%s %s\\n' "$code" "$name" >"$state/{FAILED}"
why="ended with $code"
case $code in 124|137) why="did not end within $limit s" ;; esac
printf '%s\\n' "hacore: push of $name $why" >&2
if [ "$code" -le 125 ]; then answer=$code; fi
"""

_FETCH_HEAD: Final = """\
#!/bin/sh
# Written by hacore, and again whenever the archive's settings change: do not edit.
# fetch NAME DESTINATION. To PostgreSQL 1 to 125 mean "there is no such file": a recovery then ends and the server opens for writes.
# Restore (recovery.signal alone): missing is 1; broken is tried again up to a limit, then 126, which stops the server.
# Else (a standby, pg_rewind): missing and broken are 1; a standby must not go down because a store is away.
answer=126
trap 'exit "$answer"' EXIT
"""

_FETCH_BODY: Final = f"""\
mode=restore
began=
end() {{ # the server ends; QUIT passes it by while it waits for us, so it must see a code above 125
    [ -z "$child" ] || kill "$child" 2>/dev/null
    if [ "$1" -eq 131 ] || [ "$mode" = restore ]; then answer=$1; else answer=1; fi
    if [ "$mode" = standby ] && [ -n "$began" ]; then
        uptime
        if [ $((now - began)) -ge 5 ]; then printf '%s\n' "$now" >"$state/{HUNG}"; fi
    fi
    exit
}}
trap 'end 131' QUIT
trap 'end 143' HUP INT TERM

is_complete() {{
    bytes=none
    [ -f "$temporary" ] || return 1
    bytes=$(wc -c <"$temporary")
    case $name in
        *.*) [ "$bytes" -gt 0 ] ;;
        *)
            if [ -n "$segment" ]; then [ "$bytes" -eq "$segment" ]
            else [ "$bytes" -gt 0 ] && [ $((bytes % 1048576)) -eq 0 ]; fi ;;
    esac
}}

attempt() {{ # 0: fetched, 1: missing, 2: broken, and why
    work
    case $code in
        0)
            if is_complete; then return 0; fi
            why="left a file of $bytes bytes" ;;
        @MISSING@)
            if [ -e "$temporary" ]; then rm -f "$temporary"; fi
            return 1 ;;
        124|137) why="did not end within $limit s" ;;
        *) why="ended with $code" ;;
    esac
    rm -f "$temporary"
    return 2
}}

be_brief() {{ # an archive that hangs must hold up a standby once, not for each file
    hung=
    if [ -r "$state/{HUNG}" ]; then read -r hung rest <"$state/{HUNG}"; fi
    case $hung in
        slow) return ;;
        ''|*[!0-9]*) limit=$standby_limit ;;
        *) if [ "$now" -ge "$hung" ] && [ $((now - hung)) -lt "$calm" ]; then exit; fi ;;
    esac
}}

remember() {{ # how long it took, for the next file
    uptime
    case $code in
        124|137) printf '%s\n' "$now" >"$state/{HUNG}" ;;
        *)
            if [ $((now - began)) -ge "$slow_from" ]; then printf 'slow\n' >"$state/{HUNG}"
            elif [ -e "$state/{HUNG}" ]; then rm -f "$state/{HUNG}"; fi ;;
    esac
}}

report() {{ # counts, and says it at most once a minute
    count=0
    last=
    uptime
    if [ -r "$state/{BROKEN}" ]; then read -r count last rest <"$state/{BROKEN}"; fi
    case $count in ''|*[!0-9]*) count=0 ;; esac
    case $last in *[!0-9]*) last= ;; esac
    count=$((count + 1))
    if [ -z "$last" ] || [ "$now" -lt "$last" ] || [ $((now - last)) -ge 60 ]; then
        last=$now
        printf '%s\\n' "hacore: the archive is broken: fetch of $name $why ($mode mode, $count times so far)" >&2
        if [ -s "$said" ]; then tail -c 2000 "$said" >&2; fi
    fi
    printf '%s %s %s %s\\n' "$count" "$last" "$code" "$name" >"$state/{BROKEN}"
}}

name=$1
destination=$2
cd -- "$data" || exit
uptime
began=$now
if [ ! -e recovery.signal ] || [ -e standby.signal ]; then
    mode=standby
    answer=1
    be_brief
    case $name in
        *.history)
            limit=$history_limit
            # It never changes, and PostgreSQL looks here where the archive has none: no tool stands in the way of a promotion.
            if [ -s "pg_wal/$name" ]; then exit; fi ;;
    esac
fi
[ -r "$state/{ENVIRONMENT}" ] || exit
. "$state/{ENVIRONMENT}"
case $destination in */*) place=${{destination%/*}} ;; *) place=. ;; esac
for left in "$place"/.hacore.*; do
    if [ -e "$left" ]; then rm -f "$left"; fi
done
temporary=$place/.hacore.$name.$$
printf '%s %s\\n' "$$" "$began" >"$state/{RUNNING}"
pause=1
while :; do
    attempt
    outcome=$?
    if [ "$mode" = standby ]; then remember; fi
    case $outcome in
        0)
            if is_orphan; then rm -f "$temporary"; exit; fi
            if mv -f "$temporary" "$destination"; then answer=0; exit; fi
            why="could not be put in place" ;;
        1)
            answer=1
            exit ;;
    esac
    report
    [ "$mode" = restore ] || exit
    uptime
    if is_orphan; then exit; fi
    if [ $((now - began + pause)) -ge "$restore_limit" ]; then
        printf '%s\\n' "hacore: the archive is broken for $restore_limit s: the restore is stopped, not ended with less than there is" >&2
        exit
    fi
    sleep "$pause" &
    child=$!
    wait "$child"
    child=
    pause=$((pause * 2))
    if [ "$pause" -gt 30 ]; then pause=30; fi
done
"""
