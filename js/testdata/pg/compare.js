// Asks the database everything in questions.js, and prints the answers as JSON,
// one per line. Runs in Node.js with the client of pg, and in whimbrel.
const describe = require('./describe');
const questions = require('./questions');

async function answer(client, question) {
  try {
    const result = await question(client);
    const results = Array.isArray(result) ? result : [result];
    return results.map((r) => ({
      command: r.command,
      rowCount: r.rowCount,
      oid: r.oid,
      rowAsArray: r.rowAsArray,
      rows: r.rows.map(describe),
      order: r.rows.map((row) => Object.keys(row)),
      fields: r.fields.map((f) => ({
        name: f.name,
        tableID: f.tableID > 0,
        columnID: f.columnID,
        dataTypeID: f.dataTypeID < 16384 ? f.dataTypeID : 'of the user',
        dataTypeSize: f.dataTypeSize,
        dataTypeModifier: f.dataTypeModifier,
        format: f.format,
      })),
    }));
  } catch (err) {
    const known = ['name', 'message', 'length', 'severity', 'code', 'detail', 'hint', 'position', 'internalPosition', 'internalQuery',
      'where', 'schema', 'table', 'column', 'dataType', 'constraint', 'file', 'line', 'routine'];
    // The sameness of errors that the client itself makes is that they are.
    if (err.code === undefined) return { refused: err instanceof Error };
    return { error: known.map((name) => [name, describe(err[name])]), isError: err instanceof Error };
  }
}

module.exports = async function compare(client, print) {
  for (const name of Object.keys(questions)) {
    print(JSON.stringify([name, await answer(client, questions[name])]));
  }
};
