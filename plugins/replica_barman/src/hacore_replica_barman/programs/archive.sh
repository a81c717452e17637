#!/bin/sh
# archive.sh push PATH NAME        0 done, 3 another file of this name is there, else broken
# archive.sh fetch NAME PATH       0 done, 1 there is no such file (made sure), else broken
#
# PostgreSQL has it run for each segment, through hacore's own program. It speaks put-wal and get-wal as barman-wal-archive and
# barman-wal-restore do, without starting Python here. What it has to know stands in its environment: HACORE_BARMAN_*.
#
# get-wal ends with 1 for a missing segment, an unknown server, a home that is not mounted: so 1 is believed only after a look at the
# directory. put-wal makes the directories that it lacks, under a mount point as well: so nothing is put before the same look.

on_host() { # SCRIPT
    if [ -z "$HACORE_BARMAN_HOST" ]; then /bin/sh -c "$1"; return; fi
    # shellcheck disable=SC2086 - the port is two words or none
    ssh -T -o BatchMode=yes -o ServerAliveInterval=15 $HACORE_BARMAN_PORT "$HACORE_BARMAN_USER@$HACORE_BARMAN_HOST" "$1"
}

look() { # NAME: prints "there" or "absent"; anything else means that nobody can tell
    on_host "directory=$HACORE_BARMAN_DIRECTORY wals=$HACORE_BARMAN_WALS name=$1"'
case $name in
    *.history) place=$wals ;;
    *) log=${name#????????????????}; place=$wals/${name%"$log"} ;;
esac
# The files that wait first: the one that is filed away meanwhile is seen then.
for one in "$directory/incoming/$name" "$directory/streaming/$name" "$place/$name"; do
    if [ -e "$one" ]; then echo there; exit; fi
done
for one in "$directory" "$wals"; do
    if [ ! -d "$one" ] || [ ! -r "$one" ] || [ ! -x "$one" ]; then echo "$one: not there, or not readable" >&2; exit 9; fi
done
for one in "$place" "$directory/incoming" "$directory/streaming"; do
    if [ -e "$one" ] && { [ ! -r "$one" ] || [ ! -x "$one" ]; }; then echo "$one: not readable" >&2; exit 9; fi
done
if [ ! -e "$wals/xlog.db" ]; then
    for one in "$directory"/base/*/backup.info; do
        if [ -e "$one" ]; then echo "$wals: is empty, although there are backups" >&2; exit 9; fi
    done
fi
echo absent' </dev/null
}

fetch() { # NAME PATH
    on_host "$HACORE_BARMAN_COMMAND get-wal $HACORE_BARMAN_SERVER $1" </dev/null >"$2"
    code=$?
    if [ "$code" -eq 0 ] && [ -s "$2" ]; then return 0; fi
    rm -f "$2"
    if [ "$code" -ne 1 ]; then return 2; fi
    if [ "$(look "$1")" = absent ]; then return 1; fi
    return 2
}

push() { # PATH NAME
    case $(look "$2") in
        absent) ;;
        there)
            fetch "$2" "$scratch/there" || return 2
            compare "$1" "$2"
            return ;;
        *) return 2 ;;
    esac
    sum=$(md5sum <"$1") || return 2
    printf '%s *%s\n' "${sum%% *}" "$2" >"$scratch/MD5SUMS" || return 2
    tar -chf - -C "${1%/*}" "$2" -C "$scratch" MD5SUMS | on_host "$HACORE_BARMAN_COMMAND put-wal $HACORE_BARMAN_SERVER" || return 2
}

# shellcheck source=plugins/replica_barman/src/hacore_replica_barman/programs/called.sh
. "${0%/*}/called.sh"
