// The types of what whimbrel gives to migrations in JavaScript and TypeScript.
//
// TypeScript:   import type { Client } from 'whimbrel';
//               export async function up(client: Client): Promise<void> { … }
// JavaScript:   /** @type {import('whimbrel').Migration} */
//               module.exports = { async up(client) { … } };
//
// Beside these, a migration finds console, Buffer, setTimeout and similar, and
// of process.env the variables that whimbrel's configuration allows.

declare module 'whimbrel' {
  /** What a migration exports: as module.exports, as default, or by name. */
  export interface Migration {
    name?: string;
    description?: string;
    /**
     * Says false for a script that is to run outside a transaction. Otherwise
     * it runs in one, together with its record: all of it happens, or nothing.
     */
    transaction?: boolean;
    /**
     * What "up --tag" chooses by. They are read from the text: write them in a line
     * of their own, as "export const tags = ['slow']" or "exports.tags = ['slow']".
     */
    tags?: readonly string[];
    up(client: Client): Promise<unknown> | unknown;
    /** The down migration. */
    down?(client: Client): Promise<unknown> | unknown;
    /** Helpers, called through this. */
    [helper: string]: any;
  }

  /** What can be done within client.tx and client.batch. */
  export interface Queries {
    /**
     * Runs a statement. Values of types that JavaScript does not hold, as int8
     * and numeric, come as text; json is parsed; times are Dates.
     *
     * An object among the values is sent as JSON, an array as an array of
     * PostgreSQL: for a JSON array use JSON.stringify.
     *
     * Several statements in one text, without values, give an array of results.
     */
    query<Row = any>(text: string, values?: readonly unknown[] | null): Promise<Result<Row>>;
    query<Row extends any[] = any[]>(query: Query & { rowMode: 'array' }, values?: readonly unknown[] | null): Promise<Result<Row>>;
    query<Row = any>(query: Query, values?: readonly unknown[] | null): Promise<Result<Row>>;
    /** Quotes a name for use in a statement. */
    escapeIdentifier(name: string): string;
    /** Quotes a text for use in a statement. Values are better. */
    escapeLiteral(text: string): string;
  }

  export interface Client extends Queries {
    /**
     * Runs work in a transaction of its own, which is rolled back if work
     * fails. Only in a script with `transaction = false`.
     */
    tx<T>(work: (client: Queries) => Promise<T> | T): Promise<T>;
    /**
     * Runs work once per range of keys, each range in a transaction together
     * with the place that was reached: after a crash it goes on there. Work
     * returns how many rows it has changed, or the result that says so.
     * Only in a script with `transaction = false`.
     *
     *     await client.batch({ table: 'users', key: 'id' }, (range, client) =>
     *       client.query(`UPDATE users SET name = trim(name)
     *         WHERE id > $1 AND id <= $2`, [range.from, range.to]));
     */
    batch<Key = any>(options: BatchOptions, work: (range: Range<Key>, client: Queries) => Promise<number | Result | void> | number | Result | void): Promise<number>;
  }

  export interface Query {
    text: string;
    values?: readonly unknown[] | null;
    /** 'array' gives rows as arrays, in the order of the columns. */
    rowMode?: 'array' | 'object';
  }

  export interface Result<Row = any> {
    rows: Row[];
    /** How many rows were changed or read; null for commands without rows. */
    rowCount: number | null;
    fields: Field[];
    /** The command, as SELECT or INSERT. */
    command: string | null;
    oid: number | null;
    rowAsArray: boolean;
  }

  export interface Field {
    name: string;
    tableID: number;
    columnID: number;
    dataTypeID: number;
    dataTypeSize: number;
    dataTypeModifier: number;
    format: 'text';
  }

  export interface BatchOptions {
    /** The table's name, as it would be written in SQL. */
    table: string;
    /** The column or columns of a unique key, by their names in the catalog. */
    key: string | readonly string[];
    /** Rows in the first range, 1000 unless given. */
    size?: number;
    /** Pause after each range: milliseconds, or a text like '100ms' or '2s'. */
    pause?: number | string;
  }

  /** The keys after from, up to and with to. Keys of several columns are arrays. */
  export interface Range<Key = any> {
    /** In the first range, a key that lies before all others. */
    from: Key;
    to: Key;
  }

  /** What client.query throws when PostgreSQL refuses a statement. */
  export interface DatabaseError extends Error {
    /** The SQLSTATE, as 23505 for a duplicate key. */
    code: string;
    severity: string;
    detail?: string;
    hint?: string;
    /** Where in the text, in characters from 1. */
    position?: string;
    internalPosition?: string;
    internalQuery?: string;
    where?: string;
    schema?: string;
    table?: string;
    column?: string;
    dataType?: string;
    constraint?: string;
    file?: string;
    line?: string;
    routine?: string;
    length: number;
  }
}

/** Text beside a migration: import statements from './statements.sql'. */
declare module '*.sql' {
  const text: string;
  export default text;
}
