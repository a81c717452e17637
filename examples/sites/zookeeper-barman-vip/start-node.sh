# The key of the site, an sshd by which Barman brings files back, and the node, which may move the address and nothing else.
set -e
export HOME=/var/lib/postgresql
until test -e /srv/keys/id.pub; do sleep 1; done
as_postgres="setpriv --reuid=postgres --regid=postgres --init-groups"
$as_postgres mkdir -p -m 0700 /var/lib/postgresql/ssh
install -o postgres -m 600 /srv/keys/id /var/lib/postgresql/ssh/id
test -e /var/lib/postgresql/ssh/host_key || $as_postgres ssh-keygen -q -t ed25519 -N '' -f /var/lib/postgresql/ssh/host_key
$as_postgres /usr/sbin/sshd -f /srv/hacore/sshd_config
sed "s/@HOST@/$(hostname)/" /srv/hacore/node.template.yml >/srv/hacore/node.yml
exec $as_postgres --inh-caps=+net_admin,+net_raw --ambient-caps=+net_admin,+net_raw hacore run /srv/hacore/node.yml
