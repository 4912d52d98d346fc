// Columns: their types, what may be said of them, and of a foreign key.

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
