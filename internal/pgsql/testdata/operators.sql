select 1 @-- comment; not the end
2;
select a-/*x;*/b, a --/* not open
, b;
select 3 */* c; */ -2;
select a+-b, a<>-1, a@-1, - - 1, 2--1;
;
select '{1,2}'::int[] @> array[1] , x[1:2], y[:n];;
select j->>'a;b' #> '{c}' ?| array['d'] from t where j @? '$.e[*] ? (@.f > 1)';
select /* outer /* inner; */ still outer; */ 1;
select 1/*;*/;/*;*/
create operator @#@ (leftarg = int8, rightarg = int8, procedure = int8xor);
select 5 operator(pg_catalog.+) 6;
select $1, $2;
select a$b$c, $$;$$, $b$ $c$ ; $b$;
select .5, 1., 1..2, 0x1F, 1_000, 1e10;
select E'it\'s; \\', 'a\', B'01;', x'1F', N'n;', U&'\0061;', U&"d\0061ta;" uescape '!';
select 'one;'
    -- in between;
    ' two;' as continued, 'not' 'continued';
select E'a'
'\';' as escape_goes_on;
select "semi;colon", "double""quote;", "$$;$$";
-- the end; without a semicolon
table t -- comment
-- and another
