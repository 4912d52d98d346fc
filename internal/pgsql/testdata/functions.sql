-- Bodies of every sort.
CREATE FUNCTION one() RETURNS int LANGUAGE sql
BEGIN ATOMIC
    SELECT 1;
END;

CREATE OR REPLACE FUNCTION sign_of(n int) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
        SELECT CASE WHEN n < 0 THEN 'negative'
                    WHEN n > 0 THEN CASE WHEN n > 9 THEN 'large' ELSE 'small' END
                    ELSE 'zero' END;
    END;

create procedure log_it(message text) language sql
begin atomic
    insert into log (message) values (message); -- END;
    update counters set n = n + (case when true then 1 else 0 end) /* end; */;
    select 1 as "end", 'end;' as b;
end;

CREATE FUNCTION nested() RETURNS int
BEGIN ATOMIC
    BEGIN
        SELECT t.begin, t.end FROM t;
    END;
    SELECT begin FROM t;
END
;

CREATE FUNCTION returns_one() RETURNS int RETURN 1;

CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'SELECT 1; SELECT 2;';

CREATE OR REPLACE FUNCTION outer_quote() RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    sql text := $$SELECT ';' || $1$$;
BEGIN
    EXECUTE sql USING $q$ a; b $q$;
    IF true THEN
        RAISE NOTICE '%; %', 1, 2;
    END IF;
END
$body$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') THEN
        CREATE ROLE app;
    END IF;
END
$$;

DO LANGUAGE plpgsql 'BEGIN PERFORM 1; END';

CREATE TRIGGER t AFTER INSERT ON log REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION touch();

CREATE RULE protect AS ON DELETE TO users DO INSTEAD (
    UPDATE users SET deleted = true WHERE id = OLD.id;
    INSERT INTO log (message) VALUES ('deleted; or so');
);

CREATE RULE notify_me AS ON UPDATE TO users DO ALSO NOTIFY users;
CALL log_it('end')
