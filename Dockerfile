# An image of hacore beside PostgreSQL: the core, the plugins that were chosen, and what uv.lock pins.
#
#   docker build -t hacore --build-arg PLUGINS="hacore-dcs-etcd hacore-router-haproxy" .
#   docker run -v ./node.yml:/etc/hacore/node.yml -v node:/var/lib/postgresql --tmpfs /run/postgresql hacore
#
# docs/sites.md says more.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY hacore/testing/servers.toml /tmp/
RUN python3 -m venv /opt/uv \
    && python3 -c 'import tomllib; print("uv==" + tomllib.load(open("/tmp/servers.toml", "rb"))["uv"]["version"])' >/tmp/uv.txt \
    && /opt/uv/bin/pip install --no-cache-dir -r /tmp/uv.txt \
    && python3 -m venv /opt/hacore
WORKDIR /src
COPY . .
ARG PLUGINS="hacore-dcs-etcd hacore-replica-walg hacore-router-haproxy"
# Wheels of our own distributions, and what they need by the hashes of the lock; pip stays, for a plugin of yours in an image made from this one.
RUN UV_PROJECT_ENVIRONMENT=/opt/hacore UV_LINK_MODE=copy /opt/uv/bin/uv sync \
    --frozen --no-cache --no-default-groups --no-editable --inexact --package hacore $(printf -- '--package %s ' ${PLUGINS})

FROM ${BASE}
ARG POSTGRESQL=15
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-common \
    && echo "create_main_cluster = false" >>/etc/postgresql-common/createcluster.conf \
    && apt-get install -y --no-install-recommends postgresql-${POSTGRESQL} python3 tini \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -m 1777 -o postgres -g postgres /run/postgresql
COPY --from=build /opt/hacore /opt/hacore
ENV LANG=C.UTF-8 PATH=/opt/hacore/bin:/usr/lib/postgresql/${POSTGRESQL}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER postgres
WORKDIR /var/lib/postgresql
VOLUME /var/lib/postgresql
EXPOSE 5432 8008
# What a lost process leaves behind falls to tini, which has no other work.
ENTRYPOINT ["tini", "--"]
CMD ["hacore", "run", "/etc/hacore/node.yml"]
