/// <reference path="./whimbrel.d.ts" />
import type { Client } from 'whimbrel';

export const name = 'add_languages';
export const description = 'The language of a user becomes a column';

// Not in one transaction: each batch commits by itself. After a crash up runs
// again from its first line, and its batches go on where they stopped.
export const transaction = false;

export async function up(client: Client): Promise<void> {
  await client.query(`ALTER TABLE users ADD COLUMN IF NOT EXISTS language text NOT NULL DEFAULT 'en'`);
  const changed = await client.batch({ table: 'users', key: 'id', size: 500 }, (range, client) =>
    client.query(
      `UPDATE users SET language = p.value #>> '{}' FROM preferences AS p
       WHERE users.id = p.user_id AND p.key = 'language' AND p.user_id > $1 AND p.user_id <= $2`,
      [range.from, range.to],
    ),
  );
  await validate(client);
  console.log('%d users speak something else than English', changed);
}

async function validate(client: Client): Promise<void> {
  const { rows } = await client.query<{ left: string }>(
    `SELECT count(*) AS left FROM users JOIN preferences AS p ON p.user_id = users.id AND p.key = 'language'
     WHERE users.language <> p.value #>> '{}'`,
  );
  if (rows[0].left !== '0') throw new Error(`${rows[0].left} users have another language than they have set`);
}

export async function down(client: Client): Promise<void> {
  await client.query('ALTER TABLE users DROP COLUMN IF EXISTS language');
}
