// Tells the kinds of values apart that JSON does not. Runs in Node.js and in
// whimbrel, on what their clients return.
module.exports = function describe(value) {
  if (value === undefined) return { undefined: true };
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return Object.is(value, -0) ? { number: '-0' } : Number.isFinite(value) ? value : { number: String(value) };
  if (value instanceof Date) return { date: value.getTime(), text: Number.isNaN(value.getTime()) ? 'invalid' : value.toISOString() };
  if (Buffer.isBuffer(value)) return { buffer: value.toString('hex') };
  if (Array.isArray(value)) return { array: value.map(describe) };
  const entries = {};
  for (const key of Object.keys(value)) entries[key] = describe(value[key]);
  const described = { object: entries };
  if (typeof value.toPostgres === 'function') described.methods = [value.toPostgres(), value.toISOString()];
  return described;
};
