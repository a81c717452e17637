-- What stands of each cluster, and the two functions that are all an agent may call. To be run by the owner of the database, again after
-- an upgrade:
--     python -m hacore_dcs_pgtable | psql --set agent=hacore --set ON_ERROR_STOP=1 DATABASE
BEGIN;

CREATE SCHEMA IF NOT EXISTS hacore;

CREATE TABLE IF NOT EXISTS hacore.lock (  -- one row for each cluster, also while nobody holds its lock: all changes take their turn at it
    cluster text PRIMARY KEY,
    revision bigint NOT NULL DEFAULT 0,
    holder text,
    instance text,
    ends_at timestamptz,
    ttl interval
);

CREATE TABLE IF NOT EXISTS hacore.record (
    cluster text NOT NULL REFERENCES hacore.lock ON DELETE CASCADE,
    name text NOT NULL,
    value bytea NOT NULL,  -- not text, which knows no zero byte
    version bigint NOT NULL,
    ends_at timestamptz,  -- of a member's record; NULL: it does not end
    PRIMARY KEY (cluster, name)
);

CREATE OR REPLACE FUNCTION hacore.look(of_cluster text)
RETURNS TABLE (revision bigint, holder text, instance text, left_s float8, name text, value bytea, version bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = hacore, pg_temp AS $$
    SELECT l.revision, held.holder, held.instance, extract(epoch FROM held.ends_at - now()), r.name, r.value, r.version
    FROM lock l
    LEFT JOIN lock held ON held.cluster = l.cluster AND held.ends_at > now()
    LEFT JOIN record r ON r.cluster = l.cluster AND (r.ends_at IS NULL OR r.ends_at > now())
    WHERE l.cluster = of_cluster
$$;

CREATE OR REPLACE FUNCTION hacore.change(
    action text,  -- acquire, renew, release, write or publish
    of_cluster text,
    by_member text,
    lock_holder text,  -- the lock that must stand; to acquire: that may be replaced
    lock_instance text,
    ttl_s float8,
    names text[],
    vals bytea[],  -- NULL: delete
    expected bigint[],  -- the version that must stand; 0: none; NULL: any
    OUT done boolean,
    OUT held_by text,
    OUT held_instance text,
    OUT at_revision bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = hacore, pg_temp AS $$
DECLARE
    here hacore.lock;
    moment timestamptz;
    ttl interval := ttl_s * interval '1 second';
BEGIN
    INSERT INTO lock (cluster) VALUES (of_cluster) ON CONFLICT DO NOTHING;
    SELECT * INTO here FROM lock WHERE cluster = of_cluster FOR UPDATE;
    moment := clock_timestamp();  -- not now(): we may have waited for our turn
    here.ends_at := least(here.ends_at, moment + here.ttl);  -- the clock was set back: that must not keep a lock for longer
    IF here.ends_at <= moment THEN
        here.holder := NULL;
        here.instance := NULL;
    END IF;
    held_by := here.holder;
    held_instance := here.instance;
    at_revision := here.revision;

    done := (here.holder, here.instance) IS NOT DISTINCT FROM (lock_holder, lock_instance)
        OR CASE action WHEN 'acquire' THEN here.instance IS NULL ELSE lock_instance IS NULL END;
    done := done AND NOT EXISTS (
        SELECT FROM unnest(names, expected) AS put (name, version)
        LEFT JOIN record r ON r.cluster = of_cluster AND r.name = put.name AND (r.ends_at IS NULL OR r.ends_at > moment)
        WHERE put.version <> coalesce(r.version, 0));
    IF NOT done THEN
        RETURN;
    END IF;

    CASE action
        WHEN 'acquire' THEN
            here.holder := by_member;
            here.instance := gen_random_uuid();  -- no sequence: one goes back with a restored copy
            here.ends_at := moment + ttl;
            here.ttl := ttl;
        WHEN 'renew' THEN
            here.ends_at := moment + ttl;
            here.ttl := ttl;
            UPDATE record r SET ends_at = moment + ttl
            WHERE r.cluster = of_cluster AND r.name = 'members/' || by_member AND r.ends_at > moment;
        WHEN 'release' THEN
            here.holder := NULL;
            here.instance := NULL;
        ELSE
            NULL;  -- records alone
    END CASE;
    -- Higher than what stands here, whatever the clock says; higher than all that was written after a copy was taken, if it is restored.
    here.revision := greatest(here.revision + 1, extract(epoch FROM moment) * 1000000);
    UPDATE lock SET (revision, holder, instance, ends_at, ttl) = (here.revision, here.holder, here.instance, here.ends_at, here.ttl)
    WHERE cluster = of_cluster;

    DELETE FROM record r USING unnest(names, vals) AS put (name, value)
    WHERE r.cluster = of_cluster AND r.name = put.name AND put.value IS NULL;
    INSERT INTO record AS r (cluster, name, value, version, ends_at)
    SELECT of_cluster, put.name, put.value, here.revision, CASE action WHEN 'publish' THEN moment + ttl END
    FROM unnest(names, vals) AS put (name, value) WHERE put.value IS NOT NULL
    ON CONFLICT (cluster, name) DO UPDATE SET
        value = excluded.value,
        version = CASE WHEN r.value = excluded.value AND r.ends_at > moment THEN r.version ELSE excluded.version END,
        ends_at = excluded.ends_at;
    held_by := here.holder;
    held_instance := here.instance;
    at_revision := here.revision;
END
$$;

CREATE OR REPLACE FUNCTION hacore.tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('hacore', coalesce(NEW.cluster, OLD.cluster));
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER changed AFTER UPDATE ON hacore.lock
    FOR EACH ROW WHEN (OLD.instance IS DISTINCT FROM NEW.instance) EXECUTE FUNCTION hacore.tell();
CREATE OR REPLACE TRIGGER gone AFTER DELETE ON hacore.lock FOR EACH ROW EXECUTE FUNCTION hacore.tell();
CREATE OR REPLACE TRIGGER changed AFTER UPDATE ON hacore.record
    FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION hacore.tell();
CREATE OR REPLACE TRIGGER came_or_gone AFTER INSERT OR DELETE ON hacore.record FOR EACH ROW EXECUTE FUNCTION hacore.tell();

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hacore FROM PUBLIC;
GRANT USAGE ON SCHEMA hacore TO :"agent";
GRANT EXECUTE ON FUNCTION hacore.look, hacore.change TO :"agent";

COMMIT;
