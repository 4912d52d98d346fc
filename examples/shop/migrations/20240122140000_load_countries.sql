-- Migration: load countries
-- Author:    Jonas Weber
-- Date:      2024-01-22
-- Description: The countries that we ship to, with the names we print on parcels.

-- +migrate Up

CREATE TABLE countries (
    code         text PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    eu_member_since date,
    CONSTRAINT countries_code_is_alpha2 CHECK (code ~ '^[A-Z]{2}$')
);

-- Inline data as pg_dump writes it: one tab between the columns, \N for NULL,
-- and a line with \. at the end. COPY is the fastest way in, and the rows are
-- part of the migration's transaction like any other statement.
COPY countries (code, name, eu_member_since) FROM stdin;
AT	Österreich	1995-01-01
AX	Åland	1995-01-01
BE	België / Belgique	1958-01-01
CH	Schweiz / Suisse / Svizzera	\N
CI	Côte d'Ivoire	\N
CZ	Česko	2004-05-01
DE	Deutschland	1958-01-01
DK	Danmark	1973-01-01
ES	España	1986-01-01
FO	Føroyar	\N
FR	France	1958-01-01
IS	Ísland	\N
NL	Nederland	1958-01-01
PL	Polska	2004-05-01
SE	Sverige	1995-01-01
TR	Türkiye	\N
\.

COMMENT ON TABLE countries IS 'Where we ship to';
COMMENT ON COLUMN countries.eu_member_since IS 'NULL outside the union; decides about customs papers';

-- +migrate Down

DROP TABLE countries;
