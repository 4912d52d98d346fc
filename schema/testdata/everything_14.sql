ALTER TABLE shop.users ALTER note SET COMPRESSION pglz;
CREATE FUNCTION shop.standard(a int) RETURNS int LANGUAGE sql RETURN a + 1;
CREATE STATISTICS shop.lower_name ON lower(name) FROM shop.users;
