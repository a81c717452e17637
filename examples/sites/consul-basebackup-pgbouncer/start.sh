# The PgBouncer beside a node, then the node itself.
touch /var/lib/postgresql/databases.ini
pgbouncer -d /srv/hacore/pgbouncer.ini
exec hacore run /srv/hacore/node.yml
