# Keys for both ways, an sshd for the nodes, and Barman's own maintenance, which its packages have cron do once a minute.
set -e
export HOME=/var/lib/postgresql
if [ "$(id -u)" = 0 ]; then
    chown barman:barman /srv/keys /srv/backups
    install -d -o barman -g barman -m 0700 /var/lib/postgresql/ssh
    exec setpriv --reuid=barman --regid=barman --init-groups sh "$0"
fi
umask 077
test -e /srv/keys/id.pub || { ssh-keygen -q -t ed25519 -N '' -f /srv/keys/new && chmod 644 /srv/keys/new && mv /srv/keys/new /srv/keys/id && mv /srv/keys/new.pub /srv/keys/id.pub; }
chmod 644 /srv/keys/id.pub
install -m 600 /srv/keys/id /var/lib/postgresql/ssh/id
test -e /var/lib/postgresql/ssh/host_key || ssh-keygen -q -t ed25519 -N '' -f /var/lib/postgresql/ssh/host_key
umask 022
/usr/sbin/sshd -f /srv/barman/sshd_config
barman -q -c /srv/barman/barman.conf check main >/dev/null || true  # makes its directories
while :; do
    barman -q -c /srv/barman/barman.conf cron || true
    sleep 1
done
