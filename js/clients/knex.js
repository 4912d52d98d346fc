// The object that migrations of Knex are called with: knex.raw, and the schema
// builder of Knex' dialect for PostgreSQL. What it has gives the same SQL as Knex,
// text for text, which a test compares; what it does not have fails by its name.
//
// A chain asks the database when it is awaited, and not before.
(client) => {
  const withoutKnex = (called) => new Error(`whimbrel does not have ${called} of Knex: write it with knex.raw, or run the migration with Knex and adopt its history again`);
  // known has a call's methods; every other name is an error.
  const known = (object, called) => new Proxy(object, {
    get(has, name) {
      if (name in has || typeof name === 'symbol' || name === 'then' || name === 'toJSON') return has[name];
      throw withoutKnex(called + '.' + name);
    },
  });
  const list = (value) => (Array.isArray(value) ? value : [value]);
  const several = (given) => (Array.isArray(given[0]) ? given[0] : given);
  const isObject = (value) => typeof value === 'object' && value !== null;
  const whole = (value, otherwise) => {
    const number = value === undefined || value === null ? NaN : parseInt(value, 10);
    return Number.isNaN(number) ? otherwise : number;
  };

  // Names and values

  const identifier = (name) => {
    name = name.trim();
    if (name === '*') return name;
    const element = /(.*?)(\[[0-9]+\])/.exec(name);
    return element ? `"${element[1].replace(/"/g, '""')}"${element[2]}` : `"${name.replace(/"/g, '""')}"`;
  };
  const quote = (name) => {
    if (name instanceof Raw) return name.inline();
    if (typeof name === 'number') return String(name);
    if (typeof name !== 'string') throw withoutKnex(`a name that is ${name === null ? 'null' : 'of the type ' + typeof name}`);
    if (/ as /i.test(name)) throw withoutKnex(`an alias ("${name}")`);
    return name.split('.').map(identifier).join('.');
  };
  const columns = (names) => list(names).map(quote).join(', ');
  const literal = (value) => {
    if (value === undefined || value === null) return 'NULL';
    if (typeof value === 'boolean' || typeof value === 'number') return String(value);
    if (value instanceof Raw) return value.inline();
    if (isObject(value)) throw withoutKnex('a value that is an object here');
    const escaped = String(value).replace(/['\\]/g, '$&$&');
    return String(value).includes('\\') ? `E'${escaped}'` : `'${escaped}'`;
  };

  // asked sends queries, one after the other, when somebody awaits it. What the
  // server refuses is shown where the chain began.
  const asked = (object, queries) => {
    const site = new Error();
    const answer = async ({ sql, bindings, output }) => {
      try {
        const result = await client.query(positioned(sql), bindings.length > 0 ? bindings : undefined);
        return output ? output(result) : result;
      } catch (failure) {
        failure.stack = site.stack;
        throw failure;
      }
    };
    const ask = async () => {
      const answers = [];
      for (const query of queries()) answers.push(await answer(query));
      return answers.length === 1 ? answers[0] : answers;
    };
    object.then = (...given) => ask().then(...given);
    object.catch = (...given) => ask().catch(...given);
    object.finally = (...given) => ask().finally(...given);
    return object;
  };
  // positioned has numbers in place of question marks, if they are not escaped.
  const positioned = (sql) => {
    let count = 0;
    return sql.replace(/\\?\?/g, (mark) => (mark === '?' ? '$' + ++count : '?'));
  };

  // knex.raw

  class Raw {
    constructor(sql, given) {
      const bindings = [];
      const value = (of) => {
        if (of === undefined) throw new Error('a binding of knex.raw is undefined: ' + sql);
        if (!(of instanceof Raw)) return bindings.push(of), '?';
        bindings.push(...of.bindings);
        return of.sql;
      };
      if (given !== undefined && !isObject(given)) given = [given];
      this.bindings = bindings;
      if (Array.isArray(given)) {
        let index = 0;
        this.sql = sql.replace(/\\?\?\??/g, (mark) => {
          if (mark === '\\?') return mark;
          return mark === '??' ? columns(given[index++]) : value(given[index++]);
        });
        if (index !== given.length) throw new Error(`knex.raw expected ${given.length} bindings, saw ${index}`);
      } else if (given !== undefined) {
        this.sql = sql.replace(/\\?(:(\w+):(?=::)|:(\w+):(?!:)|:(\w+))/g, (mark, name, a, b, c) => {
          if (mark !== name) return name;
          const of = given[a || b || c];
          if (of === undefined) return mark;
          return mark.endsWith(':') ? columns(of) : value(of);
        });
      } else {
        this.sql = sql.replace(/(\\?)\?/g, '\\?'); // there is nothing to put in its place
      }
    }
    // inline has the values in the text.
    inline() {
      let index = 0;
      return this.sql.replace(/\\?\?/g, (mark) => (mark === '?' ? literal(this.bindings[index++]) : '?'));
    }
    toSQL() { return { sql: this.sql, bindings: this.bindings }; }
    toString() { return this.inline(); }
    toQuery() { return this.inline(); }
  }
  const raw = (sql, bindings) => {
    const made = new Raw(String(sql), bindings);
    return asked(made, () => [made.toSQL()]);
  };

  // Columns

  const precise = (withoutZone, precision) => {
    let zone = !withoutZone;
    if (isObject(withoutZone)) ({ useTz: zone = true, precision } = withoutZone);
    return `${zone ? 'timestamptz' : 'timestamp'}${precision === undefined || precision === null ? '' : `(${precision})`}`;
  };
  const serial = (type) => (table, options = { primaryKey: true }) => type + (options.primaryKey && !table.hasPrimary() ? ' primary key' : '');
  const same = (type) => () => type;
  const varchar = (table, length) => `varchar(${whole(length, 255)})`;
  const decimal = (table, precision, scale) => (precision === null ? 'decimal' : `decimal(${whole(precision, 8)}, ${whole(scale, 2)})`);
  const oneOf = (table, allowed, options) => {
    options = options || {};
    const native = options.useNative && options.existingType;
    const values = native ? '' : allowed.join("', '");
    if (!options.useNative) return `text check (${quote(table.naming)} in ('${values}'))`;
    const schema = options.schemaName || table.schema;
    const type = `${schema ? `"${schema}".` : ''}"${options.enumName}"`;
    if (!native) table.first.unshift(`create type ${type} as enum ('${values}')`);
    return type;
  };
  const types = {
    increments: serial('serial'), bigIncrements: serial('bigserial'),
    tinyint: same('smallint'), smallint: same('smallint'), mediumint: same('integer'), integer: same('integer'), bigInteger: same('bigint'),
    float: same('real'), double: same('double precision'), decimal, boolean: same('boolean'),
    string: varchar, text: same('text'), binary: same('bytea'),
    date: same('date'), time: same('time'), timestamp: (table, ...given) => precise(...given),
    json: same('json'), jsonb: same('jsonb'), uuid: (table, options = {}) => serial('uuid')(table, options),
    geometry: same('geometry'), geography: same('geography'), point: same('point'),
    enu: oneOf, specificType: (table, type) => String(type),
  };
  const otherNames = {
    bigincrements: 'bigIncrements', biginteger: 'bigInteger', bigint: 'bigInteger', bool: 'boolean', varchar: 'string',
    datetime: 'timestamp', dateTime: 'timestamp', enum: 'enu',
  };

  const byDefault = (value, type) => {
    if (value === null) return 'null';
    if (value instanceof Raw) return value.inline();
    if (type === 'boolean') return `'${value && value !== 'false' ? 1 : 0}'`;
    if ((type === 'json' || type === 'jsonb') && isObject(value)) return `'${JSON.stringify(value)}'`;
    return literal(value.toString());
  };
  const checks = {
    checkPositive: (name) => `${name} > 0`,
    checkNegative: (name) => `${name} < 0`,
    checkIn: (name, values) => `${name} in (${values.map(literal).join(',')})`,
    checkNotIn: (name, values) => `${name} not in (${values.map(literal).join(',')})`,
    checkBetween: (name, between) => (Array.isArray(between[0]) ? between : [between]).map(([from, to]) => `${name} between ${literal(from)} and ${literal(to)}`).join(' or '),
    checkLength: (name, operator, length) => {
      if (!['=', '<', '>', '<=', '>=', '<>', '!='].includes(operator)) throw new TypeError(`The operator "${operator}" is not permitted`);
      return `length(${name}) ${operator} ${whole(length)}`;
    },
    checkRegex: (name, regex) => `${name} ~ ${literal(regex)}`,
  };

  // column is a column in the making. What it gives back has the calls; what they
  // said is in table.columns.
  const column = (table, type, given) => {
    const generated = type === 'increments' || type === 'bigIncrements';
    const name = given[0] || (generated ? 'id' : undefined);
    if (name === undefined) throw new Error(`You did not specify a column name for the ${type} column.`);
    const said = { name, kind: type };
    table.columns.push(said);
    let made;
    said.type = () => {
      table.naming = name;
      return (made = made || types[type](table, ...given.slice(1)));
    };
    said.definition = () => {
      const parts = [quote(name), said.type()];
      if (generated) return parts.join(' ');
      if ('nullable' in said) parts.push(said.nullable ? 'null' : 'not null');
      if ('value' in said) parts.push('default ' + byDefault(said.value, type));
      for (const check of Object.keys(checks)) {
        if (!(check in said)) continue;
        const values = said[check].slice(0, checks[check].length - 1);
        const constraint = said[check][values.length];
        parts.push(`${constraint ? `constraint ${constraint} ` : ''}check (${checks[check](quote(name), ...values)})`);
      }
      return parts.join(' ');
    };

    const calls = {};
    const chain = known(calls, 'column');
    const call = (names, say) => {
      for (const each of names) calls[each] = (...values) => (say(each, ...values), chain);
    };
    call(['nullable'], (_, nullable) => { said.nullable = nullable !== false; });
    call(['notNullable', 'notNull'], () => { said.nullable = false; });
    call(['defaultTo', 'defaultsTo', 'default'], (_, value) => { said.value = value; });
    call(['comment'], (_, text) => { said.comment = text; });
    call(Object.keys(checks), (check, ...values) => { said[check] = values; });
    call(['unsigned', 'first', 'after', 'collate'], () => {}); // Knex has nothing for them on PostgreSQL either
    call(['index', 'primary', 'unique'], (index, ...rest) => { if (!generated) table.later.push([index, name, ...rest]); });
    if (table.method === 'alter') {
      call(['alter'], (_, { alterNullable = true, alterType = true } = {}) => { said.altered = { alterNullable, alterType }; });
    }
    calls.references = (target) => {
      const key = { column: name };
      table.later.push(['foreign', key]);
      return foreign(key, calls, chain).references(target);
    };
    return chain;
  };

  // foreign puts what may be said of a foreign key among the calls of a chain.
  const foreign = (key, calls, chain) => {
    const inTable = (name) => {
      if (typeof name !== 'string') throw new TypeError(`Expected tableName to be a string, got: ${typeof name}`);
      key.table = name;
      return chain;
    };
    calls.references = (target) => {
      const pieces = typeof target === 'string' ? target.split('.') : [target];
      if (pieces.length === 1) {
        key.references = target;
        return known({ inTable, on: inTable }, 'references');
      }
      [key.table, key.references] = pieces;
      return chain;
    };
    for (const [call, member] of [['withKeyName', 'name'], ['onUpdate', 'onUpdate'], ['onDelete', 'onDelete'], ['deferrable', 'deferrable']]) {
      calls[call] = (value) => ((key[member] = value), chain);
    }
    return chain;
  };

  // Tables

  const deferred = (when) => (when ? ` deferrable initially ${when}` : '');

  // tableOf collects what is said of a table, and gives the statements.
  const tableOf = (method, schema, name, describe) => {
    if (typeof describe !== 'function') throw new TypeError('A callback function must be supplied to calls against `.createTable` and `.table`');
    const table = { method, schema, columns: [], later: [], first: [], checks: [], comment: undefined, inherits: undefined };
    table.hasPrimary = () => table.later.some(([what]) => what === 'primary');
    const quoted = quote(schema ? `${schema}.${name}` : name);
    const alter = `alter table ${quoted} `;
    const called = (given, type, of) => (given ? quote(given) : quote(`${name.replace(/\.|-/g, '_')}_${list(of === undefined ? [] : of).join('_')}_${type}`.toLowerCase()));
    const keyOf = (of, option) => {
      const { constraintName, deferrable } = isObject(option) ? option : { constraintName: option };
      return `constraint ${constraintName ? quote(constraintName) : quote(name + '_pkey')} primary key (${columns(of)})${deferred(deferrable)}`;
    };
    const drop = (type, exists) => (of, given) => `${alter}drop constraint ${exists}${called(given, type, of)}`;
    const compile = {
      primary: (of, option) => (method === 'create' || method === 'createIfNot' ? undefined : `${alter}add ${keyOf(of, option)}`),
      unique(of, option) {
        const { indexName, deferrable, useConstraint, predicate } = isObject(option) ? option : { indexName: option };
        if (predicate) throw withoutKnex('an index with a predicate');
        if (useConstraint === false && deferrable && deferrable !== 'not deferrable') throw new Error('postgres cannot create deferrable index');
        if (useConstraint === false) return `create unique index ${called(indexName, 'unique', of)} on ${quoted} (${columns(of)})`;
        return `${alter}add constraint ${called(indexName, 'unique', of)} unique (${columns(of)})${deferred(deferrable)}`;
      },
      index(of, given, option) {
        const { indexType, storageEngineIndexType, predicate } = isObject(option) ? option : { storageEngineIndexType: option };
        if (predicate) throw withoutKnex('an index with a predicate');
        const unique = typeof indexType === 'string' && indexType.toLowerCase() === 'unique' ? ' unique' : '';
        return `create${unique} index ${called(given, 'index', of)} on ${quoted}${storageEngineIndexType ? ` using ${storageEngineIndexType}` : ''} (${columns(of)})`;
      },
      foreign({ column, name: given, table: other, references, onUpdate, onDelete, deferrable }) {
        if (!other || !references) return undefined;
        return `${alter}add constraint ${called(given, 'foreign', column)} foreign key (${columns(column)}) references ${quote(other)} (${columns(references)})` +
          (onUpdate ? ` on update ${onUpdate}` : '') + (onDelete ? ` on delete ${onDelete}` : '') + (deferrable ? ` deferrable initially ${deferrable.toLowerCase()} ` : '');
      },
      dropPrimary: (given) => `${alter}drop constraint ${quote(given || name + '_pkey')}`,
      dropPrimaryIfExists: (given) => `${alter}drop constraint if exists ${quote(given || name + '_pkey')}`,
      dropUnique: drop('unique', ''), dropUniqueIfExists: drop('unique', 'if exists '),
      dropForeign: drop('foreign', ''), dropForeignIfExists: drop('foreign', 'if exists '),
      dropIndex: (of, given) => `drop index ${schema ? quote(schema) + '.' : ''}${called(given, 'index', of)}`,
    };
    const altering = {
      dropColumn: (...given) => alter + several(given).map((of) => `drop column ${quote(of)}`).join(', '),
      renameColumn: (from, to) => `${alter}rename ${quote(from)} to ${quote(to)}`,
      setNullable: (of) => `${alter}alter column ${quote(of)} drop not null`,
      dropNullable: (of) => `${alter}alter column ${quote(of)} set not null`,
      dropChecks: (given) => alter + list(given).map((of) => `drop constraint ${of}`).join(', '),
    };
    altering.dropColumns = altering.dropColumn;
    altering.dropTimestamps = (camel) => altering.dropColumn(camel === true ? ['createdAt', 'updatedAt'] : ['created_at', 'updated_at']);
    if (method === 'alter') Object.assign(compile, altering);

    const calls = {
      timestamps(stamps, now, camel) {
        if (isObject(stamps)) ({ defaultToNow: now, useCamelCase: camel } = stamps);
        for (const of of camel ? ['createdAt', 'updatedAt'] : ['created_at', 'updated_at']) {
          const made = column(table, 'timestamp', [of]);
          if (now === true) made.notNullable().defaultTo(new Raw('CURRENT_TIMESTAMP'));
        }
      },
      comment(text) {
        if (typeof text !== 'string') throw new TypeError('Table comment must be string');
        table.comment = text;
      },
      foreign(of, given) {
        const key = { column: of, name: given };
        table.later.push(['foreign', key]);
        const calls = {};
        return foreign(key, calls, known(calls, 'foreign'));
      },
    };
    if (method !== 'alter') {
      calls.inherits = (parent) => void (table.inherits = parent);
      calls.check = (predicate, bindings, constraint) => {
        table.checks.push(`${constraint ? `constraint ${constraint} ` : ''}check (${new Raw(predicate, bindings).inline()})`);
        return proxied;
      };
    }
    for (const what of Object.keys(compile)) {
      if (what !== 'foreign') calls[what] = (...given) => (table.later.push([what, ...given]), proxied);
    }
    for (const type of Object.keys(types)) calls[type] = (...given) => column(table, type, given);
    for (const other of Object.keys(otherNames)) calls[other] = calls[otherNames[other]];
    const proxied = known(calls, 'table');
    describe.call(proxied, proxied);

    const alteration = (of) => {
      const change = `${alter}alter column ${identifier(of.name)} `;
      const { alterNullable, alterType } = of.altered;
      return [
        change + 'drop default',
        alterNullable && change + 'drop not null',
        alterType && `${change}type ${of.type()} using (${identifier(of.name)}${of.kind === 'enu' ? '::text::' : '::'}${of.type()})`,
        'value' in of && `${change}set default ${byDefault(of.value, of.kind)}`,
        alterNullable && of.nullable === false && change + 'set not null',
      ];
    };
    const added = table.columns.filter((of) => !of.altered);
    const statements = [];
    const altered = table.columns.filter((of) => of.altered);
    const definitions = added.map((of) => of.definition());
    if (method === 'alter') {
      if (definitions.length > 0) statements.push(alter + definitions.map((of) => `add column ${of}`).join(', '));
      for (const of of altered) statements.push(...alteration(of));
    } else {
      const [primary] = table.later.filter(([what]) => what === 'primary');
      const body = definitions.join(', ') + (primary ? ', ' + keyOf(primary[1], primary[2]) : '') + (table.checks.length > 0 ? ', ' + table.checks.join(', ') : '');
      statements.push(`create table ${method === 'createIfNot' ? 'if not exists ' : ''}${quoted} (${body})${table.inherits ? ` inherits (${quote(table.inherits)})` : ''}`);
    }
    const remark = table.comment === undefined ? [] : [`comment on table ${quoted} is '${table.comment}'`];
    if (method !== 'alter') statements.push(...remark);
    for (const of of [...added, ...altered]) {
      if ('comment' in of) statements.push(`comment on column ${quoted}.${quote(of.name)} is ${of.comment ? `'${of.comment.replace(/(?<!')'(?!')/g, "''")}'` : 'NULL'}`);
    }
    for (const [what, ...given] of table.later) statements.push(compile[what](...given));
    if (method === 'alter') statements.push(...remark);
    return [...table.first, ...statements.filter(Boolean)].map((sql) => ({ sql, bindings: [] }));
  };

  // knex.schema

  const found = (table, wanted, values) => (schema) => [{
    sql: `select * from information_schema.${table} where ${wanted.map((of) => `${of} = ?`).join(' and ')} and table_schema = ${schema ? '?' : 'current_schema()'}`,
    bindings: schema ? [...values, schema] : values, output: (result) => result.rows.length > 0,
  }];
  const plain = (sql) => () => [{ sql, bindings: [] }];
  const within = (name) => (schema) => quote(schema ? `${schema}.${name}` : name);
  const dropping = (kind) => (name) => (schema) => plain(`drop ${kind}${within(name)(schema)}`)();
  const ofDatabase = (kind, cascading) => (name, cascade) => plain(`${kind} ${quote(name)}${cascading && cascade ? ' cascade' : ''}`);
  const schemaCalls = {
    createTable: (name, describe) => (schema) => tableOf('create', schema, name, describe),
    createTableIfNotExists: (name, describe) => (schema) => tableOf('createIfNot', schema, name, describe),
    alterTable: (name, describe) => (schema) => tableOf('alter', schema, name, describe),
    dropTable: dropping('table '), dropTableIfExists: dropping('table if exists '),
    renameTable: (from, to) => (schema) => plain(`alter table ${within(from)(schema)} rename to ${quote(to)}`)(),
    hasTable: (name) => found('tables', ['table_name'], [name]),
    hasColumn: (name, of) => found('columns', ['table_name', 'column_name'], [name, of]),
    dropView: dropping('view '), dropViewIfExists: dropping('view if exists '),
    dropMaterializedView: dropping('materialized view '), dropMaterializedViewIfExists: dropping('materialized view if exists '),
    renameView: (from, to) => plain(`alter view ${quote(from)} rename to ${quote(to)}`),
    refreshMaterializedView: (name, concurrently) => plain(`refresh materialized view${concurrently ? ' concurrently' : ''} ${quote(name)}`),
    createSchema: ofDatabase('create schema'), createSchemaIfNotExists: ofDatabase('create schema if not exists'),
    dropSchema: ofDatabase('drop schema', true), dropSchemaIfExists: ofDatabase('drop schema if exists', true),
    createExtension: ofDatabase('create extension'), createExtensionIfNotExists: ofDatabase('create extension if not exists'),
    dropExtension: ofDatabase('drop extension'), dropExtensionIfExists: ofDatabase('drop extension if exists'),
    raw: (sql, bindings) => () => [new Raw(String(sql), bindings).toSQL()],
  };
  schemaCalls.table = schemaCalls.alterTable;
  const schemaBuilder = () => {
    const steps = [];
    let schema;
    const queries = () => steps.flatMap((step) => step(schema));
    const builder = asked({
      toSQL: queries,
      withSchema: (name) => ((schema = name), proxied),
    }, queries);
    for (const call of Object.keys(schemaCalls)) builder[call] = (...given) => (steps.push(schemaCalls[call](...given)), proxied);
    const proxied = known(builder, 'knex.schema');
    return proxied;
  };

  const knex = () => { throw withoutKnex('the query builder'); };
  Object.defineProperties(knex, {
    raw: { value: raw, configurable: true },
    schema: { get: schemaBuilder, configurable: true },
    fn: { configurable: true, value: known({
      now: (precision) => raw(typeof precision === 'number' ? `CURRENT_TIMESTAMP(${precision})` : 'CURRENT_TIMESTAMP'),
      uuid: () => raw('(gen_random_uuid())'),
    }, 'knex.fn') },
  });
  return { client: known(knex, 'knex') };
}
