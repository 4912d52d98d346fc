// knex.schema.createTable and alterTable: what is said of a table is collected, and
// then the statements are made of it.

const tableOf = (method, schema, name, describe) => {
  if (typeof describe !== 'function') throw new TypeError('A callback function must be supplied to calls against `.createTable` and `.table`');
  const quoted = quote(schema ? `${schema}.${name}` : name);
  const table = {
    method, schema, name, quoted, alter: `alter table ${quoted} `,
    columns: [], later: [], first: [], checks: [], comment: undefined, inherits: undefined,
  };
  table.hasPrimary = () => table.later.some(([what]) => what === 'primary');
  const later = method === 'alter' ? { ...constraintsOf(table), ...changesOf(table) } : constraintsOf(table);
  const calls = callsOf(table, Object.keys(later));
  describe.call(calls, calls);
  return statementsOf(table, later).map((sql) => ({ sql, bindings: [] }));
};

const deferred = (when) => (when ? ` deferrable initially ${when}` : '');

// called is the name of an index or a constraint: the one that is given, or Knex' own.
const called = (table, given, type, of = []) => quote(given || `${table.name.replace(/\.|-/g, '_')}_${list(of).join('_')}_${type}`.toLowerCase());

const primaryKey = (table, of, option) => {
  const { constraintName, deferrable } = isObject(option) ? option : { constraintName: option };
  return `constraint ${quote(constraintName || table.name + '_pkey')} primary key (${columns(of)})${deferred(deferrable)}`;
};

// constraintsOf are the statements for keys and indexes, by the calls that ask for them.
const constraintsOf = (table) => {
  const { alter, method, schema } = table;
  const add = (constraint) => `${alter}add ${constraint}`;
  const drop = (type, exists) => (of, given) => `${alter}drop constraint ${exists}${called(table, given, type, of === null ? [] : of)}`;
  return {
    primary: (of, option) => (method === 'alter' ? add(primaryKey(table, of, option)) : undefined),
    unique(of, option) {
      const { indexName, deferrable, useConstraint, predicate } = isObject(option) ? option : { indexName: option };
      if (predicate) throw withoutKnex('an index with a predicate');
      if (useConstraint === false && deferrable && deferrable !== 'not deferrable') throw new Error('postgres cannot create deferrable index');
      if (useConstraint === false) return `create unique index ${called(table, indexName, 'unique', of)} on ${table.quoted} (${columns(of)})`;
      return add(`constraint ${called(table, indexName, 'unique', of)} unique (${columns(of)})${deferred(deferrable)}`);
    },
    index(of, given, option) {
      const { indexType, storageEngineIndexType: using, predicate } = isObject(option) ? option : { storageEngineIndexType: option };
      if (predicate) throw withoutKnex('an index with a predicate');
      const unique = typeof indexType === 'string' && indexType.toLowerCase() === 'unique' ? ' unique' : '';
      return `create${unique} index ${called(table, given, 'index', of)} on ${table.quoted}${using ? ` using ${using}` : ''} (${columns(of)})`;
    },
    foreign({ column, name, table: other, references, onUpdate, onDelete, deferrable }) {
      if (!other || !references) return undefined;
      return add(`constraint ${called(table, name, 'foreign', column)} foreign key (${columns(column)}) references ${quote(other)} (${columns(references)})`) +
        (onUpdate ? ` on update ${onUpdate}` : '') + (onDelete ? ` on delete ${onDelete}` : '') + (deferrable ? ` deferrable initially ${deferrable.toLowerCase()} ` : '');
    },
    dropPrimary: (given) => `${alter}drop constraint ${quote(given || table.name + '_pkey')}`,
    dropPrimaryIfExists: (given) => `${alter}drop constraint if exists ${quote(given || table.name + '_pkey')}`,
    dropUnique: drop('unique', ''), dropUniqueIfExists: drop('unique', 'if exists '),
    dropForeign: drop('foreign', ''), dropForeignIfExists: drop('foreign', 'if exists '),
    dropIndex: (of, given) => `drop index ${schema ? quote(schema) + '.' : ''}${called(table, given, 'index', of === null ? [] : of)}`,
  };
};

// changesOf are the statements that alterTable alone has.
const changesOf = ({ alter }) => {
  const dropColumn = (...given) => alter + several(given).map((of) => `drop column ${quote(of)}`).join(', ');
  return {
    dropColumn, dropColumns: dropColumn,
    dropTimestamps: (camel) => dropColumn(stamps(camel === true)),
    renameColumn: (from, to) => `${alter}rename ${quote(from)} to ${quote(to)}`,
    setNullable: (of) => `${alter}alter column ${quote(of)} drop not null`,
    dropNullable: (of) => `${alter}alter column ${quote(of)} set not null`,
    dropChecks: (given) => alter + list(given).map((of) => `drop constraint ${of}`).join(', '),
  };
};

const stamps = (camel) => (camel ? ['createdAt', 'updatedAt'] : ['created_at', 'updated_at']);

// callsOf is the object that the function of createTable or alterTable is called with.
const callsOf = (table, later) => {
  const calls = {};
  const chain = known(calls, 'table');
  for (const what of later) calls[what] = (...given) => (table.later.push([what, ...given]), chain);
  for (const type of Object.keys(types)) calls[type] = (...given) => column(table, type, given);
  for (const other of Object.keys(otherNames)) calls[other] = calls[otherNames[other]];
  calls.timestamps = (how, now, camel) => {
    if (isObject(how)) ({ defaultToNow: now, useCamelCase: camel } = how);
    for (const of of stamps(camel)) {
      const made = column(table, 'timestamp', [of]);
      if (now === true) made.notNullable().defaultTo(new Raw('CURRENT_TIMESTAMP'));
    }
  };
  calls.comment = (text) => {
    if (typeof text !== 'string') throw new TypeError('Table comment must be string');
    table.comment = text;
  };
  calls.foreign = (of, name) => {
    const key = { column: of, name };
    table.later.push(['foreign', key]);
    const said = {};
    return foreign(key, said, known(said, 'foreign'));
  };
  if (table.method === 'alter') return chain;
  calls.inherits = (parent) => void (table.inherits = parent);
  calls.check = (predicate, bindings, constraint) => {
    table.checks.push(`${constraint ? `constraint ${constraint} ` : ''}check (${new Raw(predicate, bindings).inline()})`);
    return chain;
  };
  return chain;
};

// statementsOf are all statements for a table, in Knex' order.
const statementsOf = (table, later) => {
  const added = table.columns.filter((of) => !of.altered);
  const altered = table.columns.filter((of) => of.altered);
  const definitions = added.map((of) => of.definition());
  const remark = table.comment === undefined ? [] : [`comment on table ${table.quoted} is '${table.comment}'`];
  const remarks = [...added, ...altered].filter((of) => 'comment' in of).map((of) =>
    `comment on column ${table.quoted}.${quote(of.name)} is ${of.comment ? `'${of.comment.replace(/(?<!')'(?!')/g, "''")}'` : 'NULL'}`);
  const rest = table.later.map(([what, ...given]) => later[what](...given));
  const all = table.method === 'alter'
    ? [definitions.length > 0 && table.alter + definitions.map((of) => `add column ${of}`).join(', '), ...altered.flatMap((of) => alteration(table, of)), ...remarks, ...rest, ...remark]
    : [creation(table, definitions), ...remark, ...remarks, ...rest];
  return [...table.first, ...all.filter(Boolean)];
};

const creation = (table, definitions) => {
  const primary = table.later.filter(([what]) => what === 'primary').slice(0, 1).map(([, of, option]) => primaryKey(table, of, option));
  const parts = [...definitions, ...primary, ...table.checks].join(', ');
  return `create table ${table.method === 'createIfNot' ? 'if not exists ' : ''}${table.quoted} (${parts})${table.inherits ? ` inherits (${quote(table.inherits)})` : ''}`;
};

const alteration = (table, of) => {
  const change = `${table.alter}alter column ${identifier(of.name)} `;
  const { alterNullable, alterType } = of.altered;
  return [
    change + 'drop default',
    alterNullable && change + 'drop not null',
    alterType && `${change}type ${of.type()} using (${identifier(of.name)}${of.kind === 'enu' ? '::text::' : '::'}${of.type()})`,
    'value' in of && `${change}set default ${byDefault(of.value, of.kind)}`,
    alterNullable && of.nullable === false && change + 'set not null',
  ];
};
