import type { BatchOptions, Client, DatabaseError, Migration, Range, Result } from 'whimbrel';
import statements from './statements.sql';

interface User {
  id: number;
  name: string | null;
}

export const transaction = false;

export async function up(client: Client): Promise<void> {
  await client.query(statements);
  const { rows, rowCount, fields }: Result<User> = await client.query<User>('SELECT id, name FROM users WHERE id = ANY($1)', [[1, 2]]);
  const names: (string | null)[] = rows.map((user) => user.name);
  const [first] = (await client.query<[number, string]>({ text: 'SELECT 1, 2', rowMode: 'array' })).rows;
  const one: number = first[0];
  const n: number = await client.tx(async (inner) => (await inner.query('SELECT 1')).rowCount ?? 0);
  const options: BatchOptions = { table: 'users', key: ['id', 'part'], size: 500, pause: '100ms' };
  const total: number = await client.batch(options, (range: Range<[number, string]>, inner) => inner.query('SELECT $1, $2', [range.from[0], range.to]));
  try {
    await client.query('SELECT 1');
  } catch (err) {
    if ((err as DatabaseError).code === '23505') console.log(names, one, n, total, rowCount, fields[0].dataTypeID);
  }
}

export default { up, description: 'right', helper: 1 } satisfies Migration;
