import type { Client, Migration } from 'whimbrel';

export async function up(client: Client): Promise<void> {
  // @ts-expect-error there is no such method
  await client.queryAll('SELECT 1');
  // @ts-expect-error values are a list
  await client.query('SELECT $1', 1);
  // @ts-expect-error a transaction has no transactions
  await client.tx((inner) => inner.tx(() => {}));
  // @ts-expect-error a batch needs a key
  await client.batch({ table: 'users' }, () => 1);
  // @ts-expect-error a number of rows, not a text
  await client.batch({ table: 'users', key: 'id' }, () => 'x');
}

// @ts-expect-error a migration needs an up
export const migration: Migration = { name: 'x' };
