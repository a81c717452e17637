#!/bin/sh
# How archive.sh and cloud.sh are called. They read this last, when they have said what "fetch" and "push" are.

compare() { # PATH NAME: with $scratch/there, which is in the archive: 0 the same file, 3 another
    if cmp -s "$1" "$scratch/there"; then return 0; fi
    echo "another file with the name $2 is in the archive" >&2
    return 3
}

case $1 in
    fetch)
        fetch "$2" "$3"
        exit ;;
    push)
        scratch=$(mktemp -d) || exit 2
        trap 'rm -rf "$scratch"' EXIT
        trap 'exit 2' HUP INT TERM
        push "$2" "$3"
        exit ;;
esac
exit 2
