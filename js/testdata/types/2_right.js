/** @type {import('whimbrel').Migration} */
const migration = {
  name: 'right',
  async up(client) {
    const result = await client.query('SELECT 1 AS n');
    console.log(result.rows[0].n, result.rowCount);
    await this.help(client);
  },
  /** @param {import('whimbrel').Client} client */
  async help(client) {
    await client.query({ text: 'SELECT $1::int', values: [1] });
  },
};

export default migration;
