"""What runs on Barman's host, as text for its shell (POSIX sh). Pure: settings in, text out.

``barman get-wal`` ends with 1 for a segment that is missing and for a home that is not mounted, and ``barman list-backup`` lists nothing
without complaint when it cannot read: measured with Barman 3.4. So every such answer comes with a look at the directories themselves.
"""

import shlex
from typing import Final

from hacore_replica_barman.settings import BarmanSettings

MARK: Final = "== hacore =="
_READABLE: Final = """\
readable() {
    for one in "$@"; do
        if [ ! -d "$one" ] || [ ! -r "$one" ] || [ ! -x "$one" ]; then
            echo "$one: not there, or not readable" >&2
            exit 9
        fi
    done
}
"""
_LIST: Final = """\
readable "$directory/base" "$wals"
printf '\\n{mark}\\n'
lock=${{directory%/*}}/.$server-backup.lock
if [ -e "$lock" ] && command -v flock >/dev/null && flock -n "$lock" true; then echo idle; else echo busy; fi
for info in "$directory"/base/*/backup.info; do
    [ -e "$info" ] || continue
    place=${{info%/backup.info}}
    kept=
    if [ -e "$place/annotations/keep" ]; then kept=kept; fi
    echo "{mark} ${{place##*/}} $kept"
    cat "$info" || exit 9
    echo
done
"""
_WAL: Final = """\
readable "$directory" "$wals" "$directory/incoming"
if [ -e "$wals/xlog.db" ]; then
    head -n 1 "$wals/xlog.db" | cut -f 1 || exit 9
    tail -n 1 "$wals/xlog.db" | cut -f 1 || exit 9
fi
ls "$directory/incoming" || exit 9
"""
_OWNER: Final = """\
readable "$directory" "$wals" "$directory/incoming"
if [ -e "$directory/identity.json" ]; then cat "$directory/identity.json"; exit; fi
name=$( { if [ -e "$wals/xlog.db" ]; then cut -f 1 "$wals/xlog.db"; fi; ls "$directory/incoming"; } | grep -E '^[0-9A-F]{24}$' | tail -n 1)
if [ -z "$name" ]; then echo nobody; exit; fi
echo "segment $name"
"""
_HELD: Final = """\
exec 3<&0
setsid {command} </dev/null &
child=$!
{{ cat <&3 >/dev/null; kill -TERM -- "-$child" 2>/dev/null; }} >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$child"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
"""


def barman(settings: BarmanSettings, *words: str, json: bool = False) -> str:
    """Return a command line of Barman's."""
    config = () if settings.config is None else ("-c", settings.config)
    shape = ("-f", "json") if json else ()
    return shlex.join((*settings.program, "barman", *config, *shape, *words))


def listing(settings: BarmanSettings) -> str:
    """Print the list of backups, then what Barman has written of each."""
    return f"{_head(settings)}{barman(settings, 'list-backup', settings.server, json=True)} || exit\n{_LIST.format(mark=MARK)}"


def wal(settings: BarmanSettings) -> str:
    """Print the first and the last file that was filed away, and those that wait."""
    return _head(settings) + _WAL


def owner(settings: BarmanSettings) -> str:
    """Print whose it is: Barman's own note; or the name of a segment that tells; or ``nobody``."""
    return _head(settings) + _OWNER


def first_page(settings: BarmanSettings, segment: str) -> str:
    """Print the header of a segment as hexadecimal digits."""
    return f"{barman(settings, 'get-wal', settings.server, segment)} | head -c 40 | od -An -v -tx1"


def held(command: str) -> str:
    """Run a command that ends, with all that it has started, when our standard input does."""
    return _HELD.format(command=command)


def _head(settings: BarmanSettings) -> str:
    values = {"directory": settings.backup_directory, "wals": settings.wals_directory, "server": settings.server}
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()) + _READABLE
