/// <reference path="./whimbrel.d.ts" />
import type { Client } from 'whimbrel';
import { Handles } from './lib/handle';

interface User {
  id: string; // bigint comes as text, as a number could not hold it
  email: string;
}

export default {
  name: 'give_handles',
  description: 'A handle for everybody, made of the address: what SQL does badly',

  async up(client: Client): Promise<void> {
    await client.query('ALTER TABLE users ADD COLUMN handle text');
    const handles = new Handles();
    const { rows } = await client.query<User>('SELECT id, email FROM users ORDER BY id');
    await client.query(
      'UPDATE users SET handle = h.handle FROM unnest($1::bigint[], $2::text[]) AS h (id, handle) WHERE users.id = h.id',
      [rows.map((user) => user.id), rows.map((user) => handles.next(user.email))],
    );
    await client.query('CREATE UNIQUE INDEX users_handle ON users (handle)');
    console.log('%d handles were given', rows.length);
  },

  async down(client: Client): Promise<void> {
    await client.query('ALTER TABLE users DROP COLUMN handle');
  },
};
