-- +migrate Up
CREATE FUNCTION lower_email() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	-- a semicolon; in a comment
	NEW.email := lower(NEW.email);
	RETURN NEW;
END;
$$;
CREATE TRIGGER lower_email BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION lower_email();

-- +migrate Down
DROP TRIGGER lower_email ON users;
DROP FUNCTION lower_email();
