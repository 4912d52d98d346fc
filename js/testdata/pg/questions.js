// What both clients are asked, in this order. The names are for the reader.
const select = (...expressions) => (client) => client.query('SELECT ' + expressions.map((e, i) => `${e} AS c${i}`).join(', '));
const send = (type, ...values) => (client) => client.query('SELECT ' + values.map((_, i) => `$${i + 1}::${type} AS c${i}`).join(', '), values);
// What arrived, as the server writes it.
const echo = (type, ...values) => (client) => client.query('SELECT ' + values.map((_, i) => `($${i + 1}::${type})::text AS c${i}`).join(', '), values);

module.exports = {
  'the settings': (client) => client.query("SET datestyle = 'ISO'; SET timezone = 'America/St_Johns'"),

  // What comes from the server.
  'null': select('NULL', 'NULL::int', 'NULL::int[]', 'NULL::json', 'NULL::bytea'),
  'bool': select('true', 'false'),
  'int2': select('0::int2', '-32768::int2'),
  'int4': select('2147483647', '-2147483648'),
  'int8': select('9223372036854775807', '-9223372036854775808', '1::int8', 'count(*)'),
  'oid': select('4294967295::oid', "'pg_class'::regclass::oid", "'pg_class'::regclass", "'1'::xid", "'5'::cid"),
  'float4': select('1.1::float4', "'NaN'::float4", "'-Infinity'::float4", '1e20::float4'),
  'float8': select('0.1::float8 + 0.2', "'NaN'::float8", "'Infinity'::float8", '5e-324::float8', '1.7976931348623157e308::float8', "'-0'::float8", '1e21::float8'),
  'numeric': select('1.10::numeric', "'NaN'::numeric", '123456789012345678901234567890.5', '-0.000001'),
  'text': select("''", "'héllo 🐦'", "E'a\\nb\\\\c'", "'x'::char(5)", "'x'::varchar(5)", "'x'::name", "'x'::\"char\""),
  'json': select(`'{"a": [1, 2.5, null, "x"], "__proto__": 1}'::json`, "'null'::json", `'"text"'::json`, "'12345678901234567890'::json"),
  'jsonb': select(`'{"b": {"c": true}, "a": 1}'::jsonb`, "'[]'::jsonb", "'1e400'::jsonb"),
  'bytea': select("'\\xdeadbeef00'::bytea", "''::bytea"),
  'bytea as escape': async (client) => {
    await client.query("SET bytea_output = 'escape'");
    const result = await client.query("SELECT '\\xdeadbeef005c5c2761'::bytea AS a, ARRAY['\\x5c00'::bytea, '\\x22'::bytea] AS b");
    await client.query('RESET bytea_output');
    return result;
  },
  'date': select("'2024-02-29'::date", "'0044-03-15 BC'::date", "'infinity'::date", "'-infinity'::date", "'0099-01-01'::date", "'12024-01-01'::date", "'1900-01-01'::date"),
  'timestamp': select("'2024-01-15 12:34:56.789123'::timestamp", "'2024-07-15 12:00:00.1'::timestamp", "'infinity'::timestamp", "'0001-01-01 00:00:00 BC'::timestamp", "'0050-06-01 01:02:03'::timestamp", "'1970-01-01 00:00:00.999999'::timestamp"),
  'timestamp where clocks change': select("'2024-03-31 02:30:00'::timestamp", "'2024-03-31 01:59:59'::timestamp", "'2024-03-31 03:00:00'::timestamp", "'2024-10-27 02:30:00'::timestamp", "'2024-10-27 01:59:59'::timestamp", "'2024-10-27 03:00:00'::timestamp"),
  'timestamptz': select("'2024-01-15 12:34:56.789123+00'::timestamptz", "'2024-07-15 12:00:00+05:30'::timestamptz", "'infinity'::timestamptz", "'1850-01-01 00:00:00+00'::timestamptz", "'0044-03-15 00:00:00+00 BC'::timestamptz", "'294276-12-31 00:00:00+00'::timestamptz"),
  'fractions of a second': select(...Array.from({ length: 40 }, (_, i) => `'2024-01-15 12:34:56.${String(i * 25641 + 1).padStart(6, '0')}+00'::timestamptz`)),
  'time': select("'12:34:56.789'::time", "'24:00:00'::time", "'12:34:56+02'::timetz"),
  'interval': select("'1 year 2 mons 3 days 04:05:06.789012'::interval", "'-1 year -2 mons +3 days -04:05:06.5'::interval", "'0'::interval", "'00:00:00.000001'::interval", "'100 hours'::interval", "'-00:00:00.5'::interval", "'1 day -00:00:01'::interval"),
  'geometry': select("'(1.5,-2)'::point", "'<(1,2),3.5>'::circle", "'(0,0),(1,1)'::box", "'[(0,0),(1,1)]'::lseg", "'{1,2,3}'::line", "'((0,0),(1,1))'::polygon", "'(1e+20,NaN)'::point"),
  'other types': select("'550e8400-e29b-41d4-a716-446655440000'::uuid", "'192.168.0.1/24'::inet", "'10.0.0.0/8'::cidr", "'08:00:2b:01:02:03'::macaddr", "'12.34'::money", "'101'::bit(3)", "'a b'::tsvector", "'[1,5)'::int4range", "'<a/>'::xml", "'1 2'::int2vector", "ROW(1, 'x')", "'void'::text"),
  'arrays of integers': select("'{1,NULL,-3}'::int2[]", "'{{1,2},{3,4}}'::int4[]", "'{}'::int4[]", "'[0:2]={7,8,9}'::int4[]", "'{{{1},{2}},{{3},{4}}}'::int4[]", "'{4294967295}'::oid[]"),
  'arrays of numbers': select("'{9223372036854775807,NULL,-1}'::int8[]", "'{1.10,NaN,123456789012345678901234567890}'::numeric[]", "'{1.5,NaN,Infinity}'::float4[]", "'{1.5,NULL}'::float8[]"),
  'arrays of bool': select("'{t,f,NULL}'::bool[]"),
  'arrays of text': select(`ARRAY['', 'NULL', NULL, 'a,b', '{x}', 'q"q', E'b\\\\s', ' s ', E'n\\nl', 'é🐦']`, "ARRAY[['a','b'],['c',NULL]]", "ARRAY['x']::varchar[]", "ARRAY['x']::char(3)[]", "ARRAY['x']::name[]", "ARRAY['x']::\"char\"[]"),
  'arrays of times': select("ARRAY['2024-02-29'::date, 'infinity', NULL]", "ARRAY['2024-01-15 12:34:56.789'::timestamp]", "ARRAY['2024-01-15 12:34:56.789+00'::timestamptz]", "ARRAY['12:00'::time]", "ARRAY['12:00+01'::timetz]", "ARRAY['1 day 00:00:01'::interval, NULL]"),
  'arrays of bytea': select("ARRAY['\\xdead'::bytea, NULL, '']"),
  'json with odd keys and numbers': async (client) => {
    const { rows: [{ a, b }] } = await client.query(`SELECT '{"__proto__": 1, "2": 1, "1": 1, "": 0}'::json AS a, '[-0, 1e-400, -1e400, 0.1, 1E2, "\\u00e9\\n\\ud83d\\udc26"]'::json AS b`);
    return client.query('SELECT $1 AS a, $2 AS b, $3 AS c', [JSON.stringify(a), JSON.stringify(b), Object.is(b[0], -0) + ' ' + b[2]]);
  },
  'arrays of json': select(`ARRAY['{"a": "x,\\"y\\""}'::json, 'null', NULL]`, `ARRAY['{"a": {"b": []}}'::jsonb]`),
  'arrays of other types': select("ARRAY['550e8400-e29b-41d4-a716-446655440000'::uuid]", "ARRAY['192.168.0.1'::inet]", "ARRAY['10.0.0.0/8'::cidr]", "ARRAY['08:00:2b:01:02:03'::macaddr]", "ARRAY['$1,000.00'::money]", "ARRAY['(1,2)'::point, NULL]", "ARRAY['<(1,2),3>'::circle]", "ARRAY['(0,0),(1,1)'::box]", "ARRAY['[1,5)'::int4range]", "ARRAY['[1,5)'::numrange]", "ARRAY['101'::bit(3)]", "ARRAY[ROW(1, 'x')]", "ARRAY['now'::regproc]"),
  'types of the user': async (client) => {
    await client.query("DROP TYPE IF EXISTS mood; DROP DOMAIN IF EXISTS small; DROP TYPE IF EXISTS pair; CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN small AS int CHECK (VALUE < 10); CREATE TYPE pair AS (a int, b text)");
    return client.query(`SELECT 'sad'::mood AS a, ARRAY['sad', NULL]::mood[] AS b, 3::small AS c, ARRAY[3::small] AS d, ROW(1, 'x')::pair AS e`);
  },

  // The shape of results.
  'no rows': (client) => client.query('SELECT 1 AS a WHERE false'),
  'no columns': (client) => client.query('SELECT FROM generate_series(1, 3)'),
  'columns of one name': (client) => client.query('SELECT 1 AS a, 2 AS b, 3 AS a'),
  'columns of one name, as arrays': (client) => client.query({ text: 'SELECT 1 AS a, 2 AS b, $1::int AS a', values: [3], rowMode: 'array' }),
  'odd column names': (client) => client.query('SELECT 1 AS "__proto__", 2 AS "constructor", 3 AS "", 4 AS "a b", 5 AS "2", 6 AS "1", 7'),
  'an empty text': (client) => client.query(''),
  'a comment': (client) => client.query('-- nothing'),
  'a table': (client) => client.query('DROP TABLE IF EXISTS child, t; CREATE TABLE t (id serial PRIMARY KEY, name varchar(20) NOT NULL, n numeric(10,2) CONSTRAINT positive CHECK (n > 0)); CREATE TABLE child (t_id int REFERENCES t)'),
  'an insert': (client) => client.query("INSERT INTO t (name, n) VALUES ('a', 1), ('b', 2) RETURNING *"),
  'an insert without returning': (client) => client.query("INSERT INTO t (name) VALUES ($1)", ['c']),
  'an update': (client) => client.query('UPDATE t SET n = 3 WHERE id < 3'),
  'a delete': (client) => client.query({ text: 'DELETE FROM t WHERE id = $1', values: [3] }),
  'the columns of a table': (client) => client.query('SELECT id, name, n, id + 1 AS more FROM t ORDER BY id'),
  'a query object without values': (client) => client.query({ text: 'SELECT 1 AS a' }),
  'values beside an object': (client) => client.query({ text: 'SELECT $1::int AS a' }, [5]),
  'empty values': (client) => client.query('SELECT 1 AS a; SELECT 2 AS b', []),
  'a copy to nowhere': (client) => client.query('CREATE TABLE t2 AS SELECT * FROM t'),
  'a definition': (client) => client.query('DROP TABLE t2'),
  'several statements': (client) => client.query("SELECT 1 AS a; INSERT INTO t (name) VALUES ('d'); SELECT 2 AS b, 3 AS c; DELETE FROM t WHERE name = 'd'"),
  'several statements that end': (client) => client.query('SELECT 1 AS a; ; SELECT 2 AS b;'),
  'several statements as arrays': (client) => client.query({ text: 'SELECT 1 AS a; SELECT 2 AS b', rowMode: 'array' }),
  'a call and a show': (client) => client.query("SHOW timezone"),
  'a do block': (client) => client.query('DO $$ BEGIN NULL; END $$'),
  'values': (client) => client.query('VALUES (1, 2), (3, 4)'),
  'an explanation': (client) => client.query('EXPLAIN (COSTS OFF) SELECT 1'),

  // What goes to the server.
  'null and undefined': echo('text', null, undefined),
  'strings': echo('text', '', 'héllo 🐦', "it's", '\\', '"', 'a\nb', '{}', 'NULL'),
  'numbers': echo('numeric', 0, 1, -1.5, 1e21, 1e-7, 123456789012, 0.1 + 0.2, NaN),
  'numbers as float8': echo('float8', Infinity, -Infinity, 5e-324, 1.7976931348623157e308, -0),
  'numbers as text': echo('text', 1e21, 1e-7, NaN),
  'bigints': echo('int8', 9223372036854775807n, -1n),
  'booleans': echo('bool', true, false),
  'booleans as text': echo('text', true, false),
  'dates': echo('timestamptz', new Date(0), new Date(1705322096789), new Date(Date.UTC(2024, 6, 1)), new Date(-1), new Date(Date.UTC(2024, 9, 27, 0, 30)), new Date(Date.UTC(2024, 9, 27, 1, 30))),
  'dates as timestamps': echo('timestamp', new Date(0), new Date(1705322096789), new Date(2024, 1, 29, 23, 59, 59, 999)),
  'dates as dates': echo('date', new Date(2024, 1, 29), new Date(2024, 11, 31, 23, 30)),
  'dates as text': echo('text', new Date(1705322096789), new Date(Date.UTC(12024, 0, 1)), new Date(Date.UTC(2024, 6, 1))),
  'buffers': echo('bytea', Buffer.from('deadbeef', 'hex'), Buffer.alloc(0), new Uint8Array([1, 2, 255]), new Uint8Array([1, 2, 3, 4]).subarray(1, 3), new DataView(new ArrayBuffer(3))),
  'objects': echo('json', { a: 1, b: [1, 'x', null], c: new Date(0), d: undefined }, {}, { toJSON: () => 'mine' }),
  'far dates in objects': echo('json', { a: new Date(Date.UTC(12024, 0, 1, 1, 2, 3, 4)), b: new Date(Date.UTC(-43, 2, 15)) }),
  'objects as jsonb': send('jsonb', { a: { b: 'é🐦"\\' } }, { date: new Date(1705322096789) }),
  'objects with buffers': echo('json', { a: Buffer.from('hi') }),
  'json that is given as text': send('jsonb', '[1,2]', 'null', '"x"', JSON.stringify(['a'])),
  'maps': echo('json', new Map([[1, 2]]), new Set([1])),
  'toPostgres': echo('text', { toPostgres: () => 'mine' }, { toPostgres: (prepare) => prepare([1, 'x']) }, { toPostgres: () => ({ toPostgres: () => 7 }) }, { toPostgres: () => null }),
  'boxed values': echo('text', new String('x'), new Number(1), new Boolean(false)),
  'functions': echo('text', String),
  'arrays of integers, sent': send('int[]', [], [1, 2], [1, null, undefined, 3], [[1, 2], [3, 4]], [[]]),
  'arrays of text, sent': send('text[]', ['a', '', 'NULL', null, 'q"q', 'b\\s', 'c,d', '{x}', ' s ', 'é🐦', 'a\nb'], [['a'], ['b']]),
  'arrays of dates, sent': send('timestamptz[]', [new Date(0), null]),
  'arrays of buffers, sent': send('bytea[]', [Buffer.from('hi'), null, new Uint8Array([0, 1])]),
  'arrays of json, sent': send('jsonb[]', [{ a: 1 }, { b: 'x"y' }]),
  'arrays of booleans, sent': send('bool[]', [true, false, null]),
  'arrays of bigints, sent': send('int8[]', [1n, 9223372036854775807n]),
  'arrays with holes': send('int[]', [1, , 3]),
  'arrays of numbers as text': echo('text', [1, 'x', [true]], [{ a: 1 }]),
  'intervals and points, sent back': async (client) => {
    const { rows: [row] } = await client.query("SELECT '1 year 2 days 03:04:05.678'::interval AS i, '-1 mons -00:00:00.5'::interval AS j");
    return client.query('SELECT $1::interval::text AS i, $2::interval::text AS j', [row.i, row.j]);
  },
  'any of an array': (client) => client.query('SELECT id FROM t WHERE id = ANY($1) ORDER BY id', [[1, 2]]),
  'a limit and an offset': (client) => client.query('SELECT id FROM t ORDER BY id LIMIT $1 OFFSET $2', [1, 1]),
  'unnest': (client) => client.query('SELECT * FROM unnest($1::int[], $2::text[]) AS u (a, b)', [[1, 2], ['x', null]]),

  // Errors.
  'a syntax error': (client) => client.query('SELEC 1'),
  'a syntax error behind wide characters': (client) => client.query("SELECT 'é🐦', nope"),
  'a check': (client) => client.query("INSERT INTO t (name, n) VALUES ('x', $1)", [-1]),
  'a unique key': (client) => client.query("INSERT INTO t (id, name) VALUES (1, 'x')"),
  'a foreign key': (client) => client.query('INSERT INTO child VALUES (99)'),
  'a missing value': (client) => client.query('INSERT INTO t (name) VALUES (NULL)'),
  'a value too long': (client) => client.query('INSERT INTO t (name) VALUES ($1)', ['x'.repeat(30)]),
  'a wrong number': (client) => client.query('SELECT $1::int', ['x']),
  'a domain': (client) => client.query('SELECT 11::small'),
  'a raised exception': (client) => client.query(`DO $$ BEGIN RAISE EXCEPTION 'no %', 'birds' USING ERRCODE = 'P1234', DETAIL = 'they left', HINT = 'wait', COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 'd', TABLE = 't', SCHEMA = 's'; END $$`),
  'an error in a function': (client) => client.query("DO $$ BEGIN EXECUTE 'SELECT nope'; END $$"),
  'too few values': (client) => client.query('SELECT $1::int, $2::int', [1]),
  'too many values': (client) => client.query('SELECT $1::int', [1, 2]),
  'several statements with values': (client) => client.query('SELECT $1::int; SELECT 2', [1]),
  'the second of several statements': (client) => client.query('SELECT 1; SELECT 1/0; SELECT 2'),
  'a hint': (client) => client.query('SELECT nam FROM t'),
  'an unknown function': (client) => client.query('SELECT f(1)'),
  'no query': (client) => client.query(),
  'null for a query': (client) => client.query(null),
  'values that are no array': (client) => client.query('SELECT $1::int', 1),
  'a value that contains itself': (client) => { const o = {}; o.o = o; return client.query('SELECT $1::json', [o]); },
  'a symbol': (client) => client.query('SELECT $1::text', [{ toPostgres() { throw new Error('no'); } }]),
  'rows that come before an error': (client) => client.query('SELECT 10 / (3 - n) FROM generate_series(1, 4) n'),
  'after all these': (client) => client.query('SELECT 1 AS still_alive'),
  'at once': (client) => Promise.all([1, 2, 3].map((n) => client.query('SELECT $1::int AS n', [n]))),
  'at once, with a failure': async (client) => {
    const settled = await Promise.allSettled([client.query('SELECT 1 AS n'), client.query('SELECT 1/0'), client.query('SELECT 3 AS n')]);
    return settled.filter((s) => s.status === 'fulfilled').map((s) => s.value);
  },
};
