// The object that migrations of node-pg-migrate are called with. What is asked of
// it is done when the function has returned, in that order; pgm.db asks at once.

const asked = [];
const known = {
  sql(text, values) {
    if (values) throw new Error('whimbrel does not have pgm.sql with values: write them into the text');
    asked.push({ text, site: new Error() });
  },
  db: { query: (...given) => client.query(...given), select: async (...given) => (await client.query(...given)).rows },
  func: (text) => text,
};
const pgm = new Proxy(known, {
  get(has, name) {
    if (name in has || typeof name === 'symbol' || name === 'then' || name === 'toJSON') return has[name];
    throw new Error(`whimbrel does not have pgm.${name}: write it with pgm.sql`);
  },
});
const finish = async () => {
  for (const { text, site } of asked) {
    try {
      await client.query(text);
    } catch (failure) {
      failure.stack = site.stack;
      throw failure;
    }
  }
};
return { client: pgm, finish };
