// The side of Node.js: node node.js <database URL>
const { Client } = require('pg');
const compare = require('./compare');

(async () => {
  const client = new Client({ connectionString: process.argv[2] });
  await client.connect();
  await compare(client, (line) => console.log(line));
  await client.end();
})();
