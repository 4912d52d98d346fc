/// <reference path="./whimbrel.d.ts" />
'use strict';

/** @type {import('whimbrel').Migration} */
module.exports = {
  name: 'clean_settings',
  description: 'One spelling for every setting: theme, not colour; true and false, not yes and no',

  batchSize: 500,

  async up(client) {
    await client.query('CREATE TABLE settings_backup (user_id bigint PRIMARY KEY, settings jsonb NOT NULL)');
    let last = 0;
    let changed = 0;
    for (;;) {
      // By key, not by OFFSET: that reads all the earlier rows again.
      const { rows } = await client.query('SELECT id, settings FROM users WHERE id > $1 ORDER BY id LIMIT $2', [last, this.batchSize]);
      if (rows.length === 0) break;
      changed += await this.cleanBatch(client, rows);
      last = rows[rows.length - 1].id;
    }
    await this.validate(client);
    console.log(`${changed} documents were changed`);
  },

  async cleanBatch(client, users) {
    const changes = users
      .map(({ id, settings }) => ({ id, before: settings, after: this.clean(settings) }))
      .filter(({ before, after }) => JSON.stringify(before) !== JSON.stringify(after));
    // One statement per batch, with arrays, in place of one per row.
    const ids = changes.map(({ id }) => id);
    await client.query('INSERT INTO settings_backup SELECT * FROM unnest($1::bigint[], $2::jsonb[])',
      [ids, changes.map(({ before }) => JSON.stringify(before))]);
    await client.query('UPDATE users SET settings = c.settings FROM unnest($1::bigint[], $2::jsonb[]) AS c (id, settings) WHERE users.id = c.id',
      [ids, changes.map(({ after }) => JSON.stringify(after))]);
    return changes.length;
  },

  clean({ colour, newsletter, ...settings }) {
    if (colour !== undefined && settings.theme === undefined) settings.theme = colour;
    if (newsletter !== undefined) settings.newsletter = newsletter === true || newsletter === 'yes';
    return settings;
  },

  // What is thrown here fails the migration, and nothing of it stays.
  async validate(client) {
    const { rows: [{ left }] } = await client.query(
      `SELECT count(*) AS left FROM users WHERE settings ? 'colour' OR jsonb_typeof(settings->'newsletter') <> 'boolean'`);
    if (left !== '0') throw new Error(`${left} users still have settings of the old form`);
  },

  async down(client) {
    const { rowCount } = await client.query('UPDATE users SET settings = b.settings FROM settings_backup b WHERE users.id = b.user_id');
    await client.query('DROP TABLE settings_backup');
    console.log(`${rowCount} documents were restored`);
  },
};
