CREATE TABLE shop.picky (a int UNIQUE NULLS NOT DISTINCT, b int, c text);
CREATE PUBLICATION picked FOR TABLE shop.picky (a, b) WHERE (a > 0);
CREATE PUBLICATION whole_schema FOR TABLES IN SCHEMA shop;
CREATE VIEW shop.invoked WITH (security_invoker = true) AS SELECT a FROM shop.picky;
CREATE COLLATION shop.icu (provider = icu, locale = 'de', deterministic = false);
