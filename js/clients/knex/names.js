// Names, values, and what is not there.

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
