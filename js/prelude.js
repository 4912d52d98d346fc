// What of Node.js is easier said in JavaScript. It is called with what Go has
// for it, and returns what Go wants to know.
(native) => {
  const encodings = { utf8: 'utf8', 'utf-8': 'utf8', hex: 'hex', base64: 'base64', base64url: 'base64Url', latin1: 'latin1', binary: 'latin1', ascii: 'latin1' };
  const encodingOf = (name) => {
    const known = encodings[name === undefined ? 'utf8' : String(name).toLowerCase()];
    if (!known) throw new TypeError('Unknown encoding: ' + name);
    return known;
  };

  const Bytes = Uint8Array;

  // What allocates a given number of bytes at once asks before.
  for (const name of ['ArrayBuffer', 'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array']) {
    const original = globalThis[name];
    if (!original) continue;
    const checked = function (...given) {
      if (typeof given[0] === 'number') native.fits(given[0] * (original.BYTES_PER_ELEMENT || 1));
      if (!new.target) throw new TypeError(`Constructor ${name} requires 'new'`);
      return Reflect.construct(original, given, new.target === checked ? original : new.target);
    };
    Object.setPrototypeOf(checked, original);
    Object.defineProperty(checked, 'name', { value: name });
    Object.defineProperty(checked, 'prototype', { value: original.prototype });
    for (const [object, property] of [[globalThis, name], [original.prototype, 'constructor']]) {
      Object.defineProperty(object, property, { value: checked, configurable: true, writable: true });
    }
  }

  class Buffer extends Bytes {
    constructor(value, offset, length) {
      if (typeof value === 'number') native.fits(value);
      super(value, offset, length);
    }
    static from(value, encodingOrOffset, length) {
      if (typeof value === 'string') return new Buffer(native.decode(value, encodingOf(encodingOrOffset)));
      if (value instanceof ArrayBuffer) return new Buffer(value, encodingOrOffset, length);
      if (value !== null && typeof value === 'object') {
        if (value.type === 'Buffer' && Array.isArray(value.data)) value = value.data;
        const copy = Buffer.alloc(value.length || 0);
        for (let i = 0; i < copy.length; i++) copy[i] = value[i];
        return copy;
      }
      throw new TypeError('Buffer.from takes a string, an array, an ArrayBuffer or a Buffer');
    }
    static alloc(size, fill, encoding) {
      const made = new Buffer(new ArrayBuffer(size));
      if (typeof fill === 'number') return made.fill(fill);
      if (fill !== undefined) {
        const pattern = Buffer.from(fill, encoding);
        for (let i = 0; pattern.length > 0 && i < size; i++) made[i] = pattern[i % pattern.length];
      }
      return made;
    }
    static allocUnsafe(size) { return Buffer.alloc(size); }
    static isBuffer(value) { return value instanceof Buffer; }
    static isEncoding(name) { return typeof name === 'string' && name.toLowerCase() in encodings; }
    static byteLength(value, encoding) {
      return typeof value === 'string' ? native.decode(value, encodingOf(encoding)).byteLength : value.byteLength;
    }
    static concat(list, total) {
      if (total === undefined) total = list.reduce((sum, part) => sum + part.length, 0);
      const all = Buffer.alloc(total);
      let at = 0;
      for (const part of list) {
        const rest = part.subarray(0, total - at);
        all.set(rest, at);
        at += rest.length;
      }
      return all;
    }
    static compare(a, b) { return native.compare(a, b); }

    toString(encoding, start, end) {
      return native.encode(start === undefined && end === undefined ? this : this.subarray(start, end), encodingOf(encoding));
    }
    toJSON() { return { type: 'Buffer', data: Array.from(this) }; }
    equals(other) { return native.compare(this, other) === 0; }
    compare(other) { return native.compare(this, other); }
    // Unlike that of a Uint8Array, a slice of a Buffer shares its memory.
    slice(start, end) { return this.subarray(start, end); }
    write(text, offset = 0) {
      const bytes = Buffer.from(text).subarray(0, this.length - offset);
      this.set(bytes, offset);
      return bytes.length;
    }
    copy(target, targetStart = 0, start = 0, end = this.length) {
      const part = this.subarray(start, Math.min(end, start + target.length - targetStart));
      target.set(part, targetStart);
      return part.length;
    }
  }

  // goja_nodejs has what reads and writes numbers.
  for (const [name, method] of Object.entries(native.library.Buffer.prototype)) {
    if (/^(read|write.)/.test(name)) Object.defineProperty(Buffer.prototype, name, { value: method, configurable: true, writable: true });
  }

  // The methods that an interval has in Node's pg.
  class Interval {
    toPostgres() {
      const parts = ['minutes', 'hours', 'days', 'months', 'years'].filter((name) => this[name]).map((name) => this[name] + ' ' + name);
      const seconds = this.#seconds();
      if (seconds !== '0') parts.unshift(seconds + ' seconds');
      return parts.join(' ') || '0';
    }
    toISOString() {
      const n = (name) => this[name] || 0;
      return `P${n('years')}Y${n('months')}M${n('days')}DT${n('hours')}H${n('minutes')}M${this.#seconds()}S`;
    }
    toISO() { return this.toISOString(); }
    #seconds() {
      const all = (this.seconds || 0) + (this.milliseconds || 0) / 1000;
      return all.toFixed(6).replace(/\.?0+$/, '');
    }
  }

  // Years that do not have four digits are written with six.
  const { toISOString } = Date.prototype;
  Object.defineProperty(Date.prototype, 'toISOString', {
    configurable: true, writable: true,
    value: function () {
      const text = toISOString.call(this);
      const year = this.getUTCFullYear();
      if (year >= 0 && year <= 9999) return text;
      return (year < 0 ? '-' : '+') + String(Math.abs(year)).padStart(6, '0') + text.slice(text.lastIndexOf('T') - 6);
    },
  });

  return { Buffer, Interval };
}
