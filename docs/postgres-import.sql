-- Moves the users of a users' file into the tables of docs/postgres.sql. A user who is there already gets the file's verifiers.
--
--     psql -v ON_ERROR_STOP=1 -f docs/postgres-import.sql accounts < users

BEGIN;
CREATE TEMPORARY TABLE lines (line text) ON COMMIT DROP;
-- Each line as it is: these characters separate and quote nothing.
\copy lines FROM pstdin WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')

-- sasl-gate has no OTP, so lines with OTP are left out. A user is disabled if all other lines are; else disabled lines are left out, too.
CREATE TEMPORARY VIEW verifiers AS
  SELECT split_part(line, ':', 1) AS name, line ~ '^[^:]*: *!' AS disabled,
    regexp_replace(line, '^[^:]*: *!? *|[ \r]+$', '', 'g') AS verifier
  FROM lines WHERE line ~ '^[^#:]+:' AND line !~ '^[^:]*: *!? *OTP ';
CREATE TEMPORARY VIEW entries AS
  SELECT name, disabled, verifier FROM
    (SELECT *, bool_and(disabled) OVER (PARTITION BY name) AS all_disabled FROM verifiers) AS of_users
  WHERE disabled = all_disabled;

INSERT INTO sasl_users (name, disabled) SELECT name, bool_or(disabled) FROM entries GROUP BY name
  ON CONFLICT (name) DO UPDATE SET disabled = excluded.disabled;
SELECT count(stored) AS users, sum(stored) AS verifiers
  FROM (SELECT sasl_set_verifiers(name, array_agg(verifier)) AS stored FROM entries GROUP BY name) AS of_users;
DROP VIEW entries, verifiers;
COMMIT;
