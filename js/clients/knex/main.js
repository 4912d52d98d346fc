// The object that migrations of Knex are called with: knex.raw, the schema builder of
// Knex' dialect for PostgreSQL, and of its query builder what touches the rows of one
// table. What it has gives the same SQL as Knex, text for text, which a test compares;
// what it does not have fails by its name.
//
// A chain asks the database when it is awaited, and not before.

const knex = (name) => {
  if (typeof name !== 'string') throw withoutKnex('a query without the name of a table');
  return rowsOf(name);
};
Object.defineProperties(knex, {
  raw: { value: raw, configurable: true },
  schema: { get: schemaBuilder, configurable: true },
  fn: { configurable: true, value: known({
    now: (precision) => raw(typeof precision === 'number' ? `CURRENT_TIMESTAMP(${precision})` : 'CURRENT_TIMESTAMP'),
    uuid: () => raw('(gen_random_uuid())'),
  }, 'knex.fn') },
});
return { client: known(knex, 'knex') };
