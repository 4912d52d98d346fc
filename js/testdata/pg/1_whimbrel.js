// The side of whimbrel.
const compare = require('./compare');

module.exports = {
  async up(client) {
    await compare(client, (line) => console.log(line));
  },
};
