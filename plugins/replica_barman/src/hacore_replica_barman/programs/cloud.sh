#!/bin/sh
# cloud.sh push PATH NAME        0 done, 3 another file of this name is there, else broken
# cloud.sh fetch NAME PATH       0 done, 1 there is no such file (the tool says so of this very file), else broken
#
# PostgreSQL has it run for each segment, through hacore's own program. What it has to know stands in its environment.
#
# barman-cloud-wal-archive overwrites without a look: so each push is a fetch before. barman-cloud-wal-restore ends with 1 for a segment
# that is missing, for a bucket that is missing and for an error of Python's; and it takes NAME.partial for NAME.

fetch() { # NAME PATH
    # shellcheck disable=SC2086 - options are words
    said=$(barman-cloud-wal-restore -v $HACORE_BARMAN_OPTIONS "$HACORE_BARMAN_URL" "$HACORE_BARMAN_SERVER" "$1" "$2" 2>&1)
    code=$?
    case $1 in
        *.partial) ;;
        *) case $said in *"Found WAL $1 "*"/$1.partial"*) rm -f "$2"; return 1 ;; esac ;;
    esac
    if [ "$code" -eq 0 ] && [ -s "$2" ]; then return 0; fi
    rm -f "$2"
    case $code:$said in 1:*"WAL file $1 for server "*" does not exist"*) return 1 ;; esac
    printf '%s\n' "$said" >&2
    return 2
}

push() { # PATH NAME
    fetch "$2" "$scratch/there"
    case $? in
        0)
            compare "$1" "$2"
            return ;;
        1) ;;
        *) return 2 ;;
    esac
    # shellcheck disable=SC2086
    barman-cloud-wal-archive $HACORE_BARMAN_OPTIONS $HACORE_BARMAN_PUSH "$HACORE_BARMAN_URL" "$HACORE_BARMAN_SERVER" "$1" || return 2
}

# shellcheck source=plugins/replica_barman/src/hacore_replica_barman/programs/called.sh
. "${0%/*}/called.sh"
