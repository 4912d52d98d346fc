'use strict';

/**
 * Moves the settings documents of users into a table of their own.
 */
module.exports = {
  name: 'split_settings',
  description: 'Moves the settings of users from a JSON column into user_settings',
  batchSize: 100,

  async up(client) {
    console.log(`Running ${this.name}`);
    await client.query('CREATE TABLE users_settings_backup AS SELECT id, settings FROM users');
    await client.query(`
      CREATE TABLE user_settings (
        id SERIAL PRIMARY KEY,
        user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
        key TEXT NOT NULL,
        value JSONB,
        UNIQUE (user_id, key)
      )
    `);
    const { rows: [{ count }] } = await client.query('SELECT COUNT(*) FROM users');
    const total = parseInt(count, 10);

    let moved = 0;
    for (let offset = 0; offset < total; offset += this.batchSize) {
      moved += await this.moveBatch(client, offset);
      if ((offset / this.batchSize) % 5 === 0) {
        console.log(`  ${Math.min(offset + this.batchSize, total)} of ${total} users`);
      }
    }

    await this.validate(client, moved);
    await client.query('ALTER TABLE users DROP COLUMN settings');
  },

  async moveBatch(client, offset) {
    const result = await client.query(
      'SELECT id, settings FROM users ORDER BY id LIMIT $1 OFFSET $2',
      [this.batchSize, offset]
    );
    let moved = 0;
    for (const user of result.rows) {
      for (const [key, value] of Object.entries(user.settings || {})) {
        const { rowCount } = await client.query(
          `INSERT INTO user_settings (user_id, key, value)
           VALUES ($1, $2, $3)
           ON CONFLICT (user_id, key) DO NOTHING`,
          [user.id, key, JSON.stringify(value)]
        );
        moved += rowCount;
      }
    }
    return moved;
  },

  async validate(client, moved) {
    const expected = await client.query(`
      SELECT COALESCE(SUM((SELECT COUNT(*) FROM jsonb_object_keys(settings))), 0) AS total
      FROM users WHERE settings IS NOT NULL
    `);
    const actual = await client.query('SELECT COUNT(*) AS total FROM user_settings');
    if (expected.rows[0].total !== actual.rows[0].total) {
      throw new Error(`Validation failed: expected ${expected.rows[0].total} settings, found ${actual.rows[0].total}`);
    }
    console.info('Moved %d settings', moved);
  },

  async down(client) {
    await client.query('ALTER TABLE users ADD COLUMN settings JSONB');
    const backup = await client.query('SELECT id, settings FROM users_settings_backup');
    for (const row of backup.rows) {
      await client.query('UPDATE users SET settings = $1 WHERE id = $2', [row.settings, row.id]);
    }
    await client.query('DROP TABLE user_settings');
    await client.query('DROP TABLE users_settings_backup');
  },
};
