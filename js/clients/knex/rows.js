// knex('table'): the rows of one table.

const operators = ['=', '<', '>', '<=', '>=', '<>', '!=', 'like', 'not like', 'ilike', 'not ilike', '~', '~*', '!~', '!~*', '@>', '<@', '&&'];

// rowsOf is a query in the making: asks is what its calls have said.
const rowsOf = (name) => {
  const asks = { name, method: 'select', columns: [], where: [], order: [], set: {} };
  const calls = asked({ toSQL: () => query(asks) }, () => (asks.method === 'insert' && list(asks.rows).length === 0 ? [] : [query(asks)]));
  const chain = known(calls, "knex('table')");
  const call = (names, say) => {
    for (const each of names) calls[each] = (...given) => (say(...given), chain);
  };
  addConditions(asks, call);
  const back = (of) => { if (of !== undefined) asks.returning = of; };
  call(['returning'], back);
  call(['insert'], (rows, of) => { asks.method = 'insert'; asks.rows = needed(rows, 'what insert is given'); back(of); });
  call(['update'], (values, second, third) => {
    const single = typeof values === 'string';
    asks.method = 'update';
    Object.assign(asks.set, single ? { [values]: second } : values);
    back(single ? third : second);
  });
  call(['del', 'delete'], (of) => { asks.method = 'del'; back(of); });
  call(['truncate'], () => { asks.method = 'truncate'; });
  call(['select'], (...of) => { asks.columns.push(...of.flat()); });
  call(['first'], (...of) => { asks.columns.push(...of.flat()); asks.limit = 1; asks.first = true; });
  call(['pluck'], (of) => { asks.columns.push(of); asks.pluck = of; });
  call(['orderBy'], (of, way) => {
    if (typeof of !== 'string') throw withoutKnex('orderBy with a list');
    asks.order.push(`${quote(of)} ${String(way).toLowerCase() === 'desc' ? 'desc' : 'asc'}`);
  });
  call(['limit'], (count) => { asks.limit = whole(count); });
  call(['withSchema'], (schema) => { asks.schema = schema; });
  calls.onConflict = (of) => {
    const decided = (merge) => ((asks.conflict = { columns: of === undefined ? undefined : list(of), merge }), chain);
    return known({
      ignore: () => decided(false),
      merge: (only) => {
        if (only !== undefined && !Array.isArray(only)) throw withoutKnex('merge with values');
        return decided(only || true);
      },
    }, 'onConflict');
  };
  return chain;
};

const needed = (value, what) => {
  if (value === undefined) throw new Error(`${what} is undefined`);
  return value;
};

// addConditions adds the calls that narrow the rows down. Each condition adds its
// bindings when its text is made, so that they are in the order of the text.
const addConditions = (asks, call) => {
  const condition = (link, not, text) => void asks.where.push({ link, not, text });
  const isNull = (link, not) => (of) => condition(link, false, () => `${quote(of)} is ${not ? 'not ' : ''}null`);
  const isIn = (link, not) => (of, values) => {
    if (!Array.isArray(values)) throw withoutKnex('whereIn with a query');
    values.forEach((value) => needed(value, `a value of whereIn for ${of}`));
    if (values.length === 0) return condition(link, false, (bindings) => (bindings.push(not ? 1 : 0), '1 = ?'));
    return condition(link, false, (bindings) => `${quote(of)} ${not ? 'not ' : ''}in (${values.map((value) => bound(value, bindings)).join(', ')})`);
  };
  const compare = (link, not) => (...given) => {
    const [of] = given;
    if (of instanceof Raw) return condition(link, not, (bindings) => bound(of, bindings));
    if (typeof of === 'function') throw withoutKnex('where with a function');
    if (isObject(of)) return Object.keys(of).forEach((each) => compare(link, not)(each, of[each]));
    const operator = given.length === 2 ? '=' : String(given[1]).toLowerCase().trim();
    const value = needed(given[given.length - 1], `the value of where for ${of}`);
    if (operator === 'in' || operator === 'not in') return isIn(link, (operator === 'not in') !== not)(of, value);
    if (value === null && (given.length === 2 || operator === 'is' || operator === 'is not')) return isNull(link, (operator === 'is not') !== not)(of);
    if (!operators.includes(operator)) throw new TypeError(`The operator "${given[1]}" is not permitted`);
    return condition(link, not, (bindings) => `${quote(of)} ${operator} ${bound(value, bindings)}`);
  };
  for (const [prefix, link] of [['where', 'and'], ['orWhere', 'or']]) {
    const names = (ending, also) => (link === 'and' && also ? [prefix + ending, 'andWhere' + ending] : [prefix + ending]);
    call(names('', true), compare(link, false));
    call(names('Not', true), compare(link, true));
    call(names('Raw', true), (sql, bindings) => compare(link, false)(sql instanceof Raw ? sql : new Raw(sql, bindings)));
    call(names('Null'), isNull(link, false));
    call(names('NotNull'), isNull(link, true));
    call(names('In'), isIn(link, false));
    call(names('NotIn'), isIn(link, true));
  }
};

// bound puts a value among the bindings, and gives what stands for it in the text.
const bound = (value, bindings) => {
  if (!(value instanceof Raw)) return bindings.push(value), '?';
  bindings.push(...value.bindings);
  return value.sql;
};

// query is what is asked, with what is made of the answer.
const query = (asks) => {
  const bindings = [];
  const table = quote(asks.schema ? `${asks.schema}.${asks.name}` : asks.name);
  return { sql: queries[asks.method](asks, table, bindings).filter(Boolean).join(' '), bindings, output: (result) => answerOf(asks, result) };
};

const conditionsOf = (asks, bindings) => asks.where.map(({ link, not, text }, i) => `${i > 0 ? link : 'where'} ${not ? 'not ' : ''}${text(bindings)}`).join(' ');
const returning = (asks) => asks.returning && `returning ${columns(asks.returning)}`;

// queries are the parts of the texts; what is false or empty is left out.
const queries = {
  insert(asks, table, bindings) {
    const rows = list(asks.rows);
    const names = [...new Set(rows.flatMap(Object.keys))].sort();
    const values = rows.map((row) => `(${names.map((of) => (row[of] === undefined ? 'DEFAULT' : bound(row[of], bindings))).join(', ')})`);
    const into = [`insert into ${table}`, names.length > 0 ? `(${columns(names)}) values ${values.join(', ')}` : 'default values'];
    if (!asks.conflict) return [...into, returning(asks)];
    const { columns: keys, merge } = asks.conflict;
    const merged = merge && (merge === true ? names : merge).map((of) => `${quote(of)} = excluded.${quote(of)}`).join(', ');
    return [...into, 'on conflict', keys && `(${columns(keys)})`, merged ? `do update set ${merged}` : 'do nothing', merged && conditionsOf(asks, bindings), returning(asks)];
  },
  update(asks, table, bindings) {
    const set = Object.keys(asks.set).filter((of) => asks.set[of] !== undefined).map((of) => `${quote(of)} = ${bound(asks.set[of], bindings)}`);
    return [`update ${table} set ${set.join(', ')}`, conditionsOf(asks, bindings), returning(asks)];
  },
  del: (asks, table, bindings) => [`delete from ${table}`, conditionsOf(asks, bindings), returning(asks)],
  truncate: (asks, table) => [`truncate ${table} restart identity`],
  select(asks, table, bindings) {
    const parts = [`select ${asks.columns.length > 0 ? columns(asks.columns) : '*'} from ${table}`, conditionsOf(asks, bindings)];
    if (asks.order.length > 0) parts.push(`order by ${asks.order.join(', ')}`);
    if (asks.limit === undefined) return parts;
    bindings.push(asks.limit);
    return [...parts, 'limit ?'];
  },
};

const answerOf = (asks, result) => {
  if (result.command === 'SELECT') return asks.first ? result.rows[0] : asks.pluck ? result.rows.map((row) => row[asks.pluck]) : result.rows;
  if (asks.returning) return result.rows;
  return result.command === 'UPDATE' || result.command === 'DELETE' ? result.rowCount : result;
};
