-- +migrate Up
SELECT 1;
\copy a FROM 'a.csv'
-- +migrate Upp
