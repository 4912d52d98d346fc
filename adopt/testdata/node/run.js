// The migration tools that run on Node.js, in one program:
//
//   node run.js node-pg-migrate|knex|db-migrate|drizzle|prisma URL FOLDER STEPS
//
// And `node run.js sql` prints what Knex makes of the calls in calls.js.
const fs = require('fs');
const os = require('os');
const path = require('path');

const tools = {
  async 'node-pg-migrate'(url, dir, count) {
    const { runner } = await import('node-pg-migrate');
    await runner({ databaseUrl: url, dir, count, direction: 'up', migrationsTable: 'pgmigrations', log: () => {} });
  },
  async knex(url, directory, count) {
    const knex = require('knex')({ client: 'pg', connection: url, migrations: { directory, loadExtensions: ['.js', '.mjs'] } });
    try {
      for (let i = 0; i < count; i++) await knex.migrate.up();
    } finally {
      await knex.destroy();
    }
  },
  async 'db-migrate'(url, folder, count) {
    const { hostname, port, pathname, username, password } = new URL(url);
    const dev = { driver: 'pg', host: hostname, port, database: pathname.slice(1), user: username, password: decodeURIComponent(password) };
    const tool = require('db-migrate').getInstance(true, { config: { dev }, cmdOptions: { 'migrations-dir': folder } });
    tool.silence(true);
    await tool.up(count);
  },
  async drizzle(url, folder, count) {
    const { drizzle } = require('drizzle-orm/node-postgres');
    const { migrate } = require('drizzle-orm/node-postgres/migrator');
    const { Pool } = require('pg');
    const part = fs.mkdtempSync(path.join(os.tmpdir(), 'drizzle'));
    fs.cpSync(folder, part, { recursive: true });
    const journal = path.join(part, 'meta', '_journal.json');
    const all = JSON.parse(fs.readFileSync(journal, 'utf8'));
    fs.writeFileSync(journal, JSON.stringify({ ...all, entries: all.entries.slice(0, count) }));
    const pool = new Pool({ connectionString: url });
    try {
      await migrate(drizzle(pool), { migrationsFolder: part });
    } finally {
      await pool.end();
      fs.rmSync(part, { recursive: true });
    }
  },
  // What `prisma migrate deploy` does, by Prisma's own schema engine: the form of it
  // that needs no program of its own.
  async prisma(url, baseDir, count) {
    const read = (...names) => fs.readFileSync(path.join(baseDir, ...names), 'utf8');
    const engine = await import('@prisma/schema-engine-wasm/schema_engine_bg');
    const file = path.join(__dirname, 'node_modules/@prisma/schema-engine-wasm/schema_engine_bg.wasm');
    const { instance } = await WebAssembly.instantiate(fs.readFileSync(file), { './schema_engine_bg.js': engine });
    engine.__wbg_set_wasm(instance.exports);
    instance.exports.__wbindgen_start();
    const { bindMigrationAwareSqlAdapterFactory } = require('@prisma/driver-adapter-utils');
    const { PrismaPg } = require('@prisma/adapter-pg');
    // The engine as a program sends a file in one piece; this adapter would cut it at
    // each semicolon, also within functions.
    class Whole extends PrismaPg {
      async connect() {
        const connected = await super.connect();
        connected.executeScript = async (script) => void (await connected.client.query(script));
        return connected;
      }
    }
    const adapter = bindMigrationAwareSqlAdapterFactory(new Whole({ connectionString: url }));
    const datamodels = [['schema.prisma', 'datasource db {\n provider = "postgresql"\n}\n']];
    const migrationDirectories = fs.readdirSync(baseDir).filter((name) => /^\d/.test(name)).sort().slice(0, count).map((name) => ({
      path: name, migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: read(name, 'migration.sql') } },
    }));
    await (await engine.SchemaEngine.new({ datamodels }, () => {}, adapter)).applyMigrations({
      migrationsList: { baseDir, lockfile: { path: 'migration_lock.toml', content: read('migration_lock.toml') }, shadowDbInitScript: '', migrationDirectories },
      filters: { externalTables: [], externalEnums: [] },
    });
  },
};

// sqlOf is what the builders that some calls return would ask.
const sqlOf = (calls, knex) => calls.map((call) => [call(knex).toSQL()].flat().map(({ sql, bindings }) => [sql, bindings]));
tools.sql = async () => console.log(JSON.stringify(sqlOf(require('./calls'), require('knex')({ client: 'pg', log: { warn() {} } }))));

const [tool, url, folder, steps] = process.argv.slice(2);
tools[tool](url, folder, Number(steps)).then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
