const { Countries } = require('./lib/countries');
const rules = require('./lib/rules.json');

class PhoneMigration {
  constructor() {
    this.name = 'normalise_phones';
    this.description = 'Writes telephone numbers in the form of E.164';
    this.seen = new Map();
    this.changes = [];
  }

  normalise(phone, country) {
    const digits = phone.replace(/[^\d+]/g, '');
    const match = digits.match(/^(?<plus>\+|00)?(?<rest>\d+)$/);
    if (!match) return null;
    const { plus, rest } = match.groups;
    return plus ? `+${rest}` : `+${Countries.codeOf(country)}${rest.replace(/^0/, '')}`;
  }

  async up(client) {
    const started = Date.now();
    await client.query('ALTER TABLE users ADD COLUMN IF NOT EXISTS phone_before text');
    const { rows } = await client.query('SELECT id, phone, country FROM users WHERE phone IS NOT NULL ORDER BY id');
    for (const { id, phone, country } of rows) {
      const normal = this.normalise(phone, country ?? rules.defaultCountry);
      if (normal === null || normal.length > rules.longest) {
        console.warn(`user ${id}: ${phone} is no number`);
        continue;
      }
      this.seen.set(normal, (this.seen.get(normal) || 0) + 1);
      this.changes.push({ id, phone: normal });
    }
    await Promise.all(this.changes.map(({ id, phone }) =>
      client.query({ text: 'UPDATE users SET phone_before = phone, phone = $2 WHERE id = $1', values: [id, phone] })));
    const twice = [...this.seen].filter(([, n]) => n > 1n || n > 1);
    console.log(`${this.changes.length} numbers, ${twice.length} of them twice`, Date.now() - started >= 0);
    try {
      await client.query('SAVEPOINT unique_phones');
      await client.query('ALTER TABLE users ADD CONSTRAINT phone_unique UNIQUE (phone)');
    } catch (err) {
      if (err.code !== '23505') throw err;
      console.error('not unique:', err.detail, err.constraint);
      await client.query('ROLLBACK TO SAVEPOINT unique_phones');
    }
  }

  async down(client) {
    await client.query('ALTER TABLE users DROP CONSTRAINT IF EXISTS phone_unique');
    await client.query('UPDATE users SET phone = phone_before WHERE phone_before IS NOT NULL');
    await client.query('ALTER TABLE users DROP COLUMN phone_before');
  }
}

module.exports = new PhoneMigration();
