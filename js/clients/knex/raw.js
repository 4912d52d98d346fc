// When the database is asked, and knex.raw.

// asked sends queries, one after the other, when somebody awaits it. What the
// server refuses is shown where the chain began.
const asked = (object, queries) => {
  const site = new Error();
  const answer = async ({ sql, bindings, output }) => {
    try {
      const result = await client.query(positioned(sql), bindings.length > 0 ? bindings : undefined);
      return output ? output(result) : result;
    } catch (failure) {
      failure.stack = site.stack;
      throw failure;
    }
  };
  const ask = async () => {
    const answers = [];
    for (const query of queries()) answers.push(await answer(query));
    return answers.length === 1 ? answers[0] : answers;
  };
  object.then = (...given) => ask().then(...given);
  object.catch = (...given) => ask().catch(...given);
  object.finally = (...given) => ask().finally(...given);
  return object;
};
// positioned has numbers in place of question marks, if they are not escaped.
const positioned = (sql) => {
  let count = 0;
  return sql.replace(/\\?\?/g, (mark) => (mark === '?' ? '$' + ++count : '?'));
};

class Raw {
  constructor(sql, given) {
    const bindings = [];
    const value = (of) => {
      if (of === undefined) throw new Error('a binding of knex.raw is undefined: ' + sql);
      if (!(of instanceof Raw)) return bindings.push(of), '?';
      bindings.push(...of.bindings);
      return of.sql;
    };
    if (given !== undefined && !isObject(given)) given = [given];
    this.bindings = bindings;
    if (Array.isArray(given)) {
      let index = 0;
      this.sql = sql.replace(/\\?\?\??/g, (mark) => {
        if (mark === '\\?') return mark;
        return mark === '??' ? columns(given[index++]) : value(given[index++]);
      });
      if (index !== given.length) throw new Error(`knex.raw expected ${given.length} bindings, saw ${index}`);
    } else if (given !== undefined) {
      this.sql = sql.replace(/\\?(:(\w+):(?=::)|:(\w+):(?!:)|:(\w+))/g, (mark, name, a, b, c) => {
        if (mark !== name) return name;
        const of = given[a || b || c];
        if (of === undefined) return mark;
        return mark.endsWith(':') ? columns(of) : value(of);
      });
    } else {
      this.sql = sql.replace(/(\\?)\?/g, '\\?'); // there is nothing to put in its place
    }
  }
  // inline has the values in the text.
  inline() {
    let index = 0;
    return this.sql.replace(/\\?\?/g, (mark) => (mark === '?' ? literal(this.bindings[index++]) : '?'));
  }
  toSQL() { return { sql: this.sql, bindings: this.bindings }; }
  toString() { return this.inline(); }
  toQuery() { return this.inline(); }
}
const raw = (sql, bindings) => {
  const made = new Raw(String(sql), bindings);
  return asked(made, () => [made.toSQL()]);
};
