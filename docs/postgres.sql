-- Accounts for sasl-gate in PostgreSQL: users, their SCRAM verifiers (one per hash), and what the gateway reads. See sasl-gate(1).
--
--     psql -v ON_ERROR_STOP=1 -f docs/postgres.sql accounts

BEGIN;

CREATE TABLE sasl_users (
  name text PRIMARY KEY CHECK (name <> ''),             -- as SASLprep (RFC 4013) returns it
  disabled boolean NOT NULL DEFAULT false,
  groups text[] NOT NULL DEFAULT '{}'
);

-- SCRAM-SHA-256$4096:salt$StoredKey:ServerKey, as in pg_authid and RFC 5803, or {SCRAM-SHA-256}4096,salt,StoredKey,ServerKey.
CREATE TABLE sasl_verifiers (
  name text NOT NULL REFERENCES sasl_users ON DELETE CASCADE ON UPDATE CASCADE,
  hash text GENERATED ALWAYS AS (substring(verifier from '^\{?SCRAM-([A-Z0-9]+-[0-9]+)[$}]')) STORED,
  verifier text NOT NULL,
  PRIMARY KEY (name, hash)
);

CREATE VIEW sasl_accounts AS
  SELECT users.name, verifiers.verifier, users.disabled, users.groups
  FROM sasl_users AS users LEFT JOIN sasl_verifiers AS verifiers ON verifiers.name = users.name;

-- Gives a user these verifiers, and no others. A new user is added. Returns how many verifiers the user has.
CREATE FUNCTION sasl_set_verifiers(the_name text, the_verifiers text[]) RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO sasl_users (name) VALUES (the_name) ON CONFLICT DO NOTHING;
  SELECT FROM sasl_users WHERE name = the_name FOR UPDATE;
  DELETE FROM sasl_verifiers WHERE name = the_name;
  WITH stored AS (INSERT INTO sasl_verifiers (name, verifier) SELECT the_name, unnest(the_verifiers) RETURNING hash)
    SELECT count(*) FROM stored;
$$;

-- Gives a user who has logged in with the password a stronger verifier. the_stored is the one that the password was compared with: if it is
-- not there any more, somebody has set another password, and nothing changes. Verifiers with other hashes stay. Returns whether it was
-- stored. It needs no rights to the tables, so that the gateway can be allowed to do this, and nothing else:
--     GRANT EXECUTE ON FUNCTION sasl_upgrade_verifier TO sasl_gate;
CREATE FUNCTION sasl_upgrade_verifier(the_name text, the_verifier text, the_stored text) RETURNS boolean
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT FROM sasl_users WHERE name = the_name FOR UPDATE;
  WITH stored AS (
    INSERT INTO sasl_verifiers (name, verifier)
      SELECT name, the_verifier FROM sasl_users WHERE name = the_name AND NOT disabled
        AND EXISTS (SELECT FROM sasl_verifiers WHERE name = the_name AND verifier = the_stored)
      ON CONFLICT (name, hash) DO UPDATE SET verifier = excluded.verifier
      RETURNING hash)
    SELECT count(*) > 0 FROM stored;
$$;
REVOKE ALL ON FUNCTION sasl_upgrade_verifier FROM PUBLIC;

-- The gateway's role. It reads the view, and nothing else.
CREATE ROLE sasl_gate LOGIN;
GRANT SELECT ON sasl_accounts TO sasl_gate;

COMMIT;
