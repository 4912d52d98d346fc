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
