package js_test

import "testing"

// The lines of this test are what Node.js 20 prints.
func TestABufferDoesWhatMigrationsNeedOfIt(t *testing.T) {
	b := setup(t)
	for call, want := range map[string]string{
		`Buffer.from('é🐦').toString('hex')`:                                                                                                                                  "c3a9f09f90a6",
		`Buffer.from('c3a9f09f90a6', 'hex').toString()`:                                                                                                                      "é🐦",
		`Buffer.from('c3a9zz', 'hex').length, Buffer.from('c', 'hex').length`:                                                                                                "2 0",
		`Buffer.from('w6nwn5Cm', 'base64').toString('utf-8')`:                                                                                                                "é🐦",
		`Buffer.from('_-8', 'base64url').toString('base64')`:                                                                                                                 "/+8=",
		`Buffer.from('_-8').toString('base64url'), Buffer.from('hi').toString('base64')`:                                                                                     "Xy04 aGk=",
		`Buffer.from('é', 'latin1').toString('hex'), Buffer.from([233]).toString('binary')`:                                                                                  "e9 é",
		`Buffer.from([255]).toString()`:                                                                                                                                      "\uFFFD",
		`Buffer.from([0xe2, 0x82, 0x61]).toString(), Buffer.from('\uFEFFa').length, Buffer.from('\uFEFFa').toString().length`:                                                "\uFFFDa 4 2",
		`Buffer.from('ffffffff00000001', 'hex').readBigUInt64BE(0), Buffer.from([255, 254]).readInt16BE(), Buffer.from([1, 2, 3]).readUIntLE(0, 3)`:                          "18446744069414584321n -2 197121",
		`(() => { const b = Buffer.alloc(8); return [b.writeDoubleBE(1.5), b.readDoubleBE(), b.writeInt32LE(-2, 4), b.toString('hex')]; })()`:                                "[ 8, 1.5, 8, '3ff80000feffffff' ]",
		`(() => { try { Buffer.alloc(2).readUInt32BE(0); } catch (err) { return [err.name, err.code]; } })()`:                                                                "[ 'RangeError', 'ERR_OUT_OF_RANGE' ]",
		`Buffer.from([1, 2]).equals(Buffer.from([1, 2])), Buffer.from([1]).equals(new Uint8Array([2]))`:                                                                      "true false",
		`Buffer.compare(Buffer.from('a'), Buffer.from('b')), Buffer.from('b').compare(Buffer.from('a'))`:                                                                     "-1 1",
		`Buffer.concat([Buffer.from('a'), new Uint8Array([98, 99])]).toString()`:                                                                                             "abc",
		`Buffer.concat([Buffer.from('abc'), Buffer.from('d')], 2).toString()`:                                                                                                "ab",
		`Buffer.alloc(3), Buffer.alloc(3, 1), Buffer.alloc(3, 'ab'), Buffer.allocUnsafe(2).length`:                                                                           "<Buffer 00 00 00> <Buffer 01 01 01> <Buffer 61 62 61> 2",
		`JSON.stringify(Buffer.from('hi')), Buffer.from(JSON.parse(JSON.stringify(Buffer.from('hi')))).toString()`:                                                           `{"type":"Buffer","data":[104,105]} hi`,
		`Buffer.isBuffer(Buffer.from('')), Buffer.isBuffer(new Uint8Array(1)), Buffer.from('') instanceof Uint8Array, new Uint8Array(1) instanceof Uint8Array`:               "true false true true",
		`Buffer.byteLength('é🐦'), Buffer.byteLength('aGk=', 'base64'), Buffer.isEncoding('HEX'), Buffer.isEncoding('x')`:                                                     "6 2 true false",
		`Buffer.from('hello').slice(1, 3).toString(), Buffer.from('hello').toString('utf8', 1, 3), Buffer.from('hello').subarray(-2).toString()`:                             "el el lo",
		`(() => { const b = Buffer.from('hello'); b.slice(0, 1)[0] = 74; b.write('y', 4); return b.toString(); })()`:                                                         "Jelly",
		`(() => { const b = Buffer.alloc(4); return [Buffer.from('hello').copy(b, 1), b.toString('hex')]; })()`:                                                              "[ 3, '0068656c' ]",
		`Buffer.from(new Uint8Array([1, 2, 3]).buffer, 1, 2), Buffer.from(Buffer.from('x')).length`:                                                                          "<Buffer 02 03> 1",
		`new Uint16Array([1, 2]).map((n) => n * 2), new (class extends Uint8Array {})(2).length, Uint8Array.of(7)[0]`:                                                        "Uint16Array(2) [ 2, 4 ] 2 7",
		`Object.prototype.toString.call(new ArrayBuffer(1)), new Float64Array([1.5])[0], Uint8Array.name`:                                                                    "[object ArrayBuffer] 1.5 Uint8Array",
		`[() => Buffer.from('x', 'utf7'), () => Buffer.from(1), () => Buffer.compare('a', 'b')].map((f) => { try { return f(); } catch (err) { return err.name; } }).join()`: "TypeError,TypeError,TypeError",
		`crypto.randomUUID().replace(/[0-9a-f]/g, 'x'), crypto.randomUUID() === crypto.randomUUID(), crypto.randomUUID()[14], performance.now() >= 0, typeof global`:         "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx false 4 true object",
		`new Date(Date.UTC(-43, 2, 15)).toISOString(), new Date(Date.UTC(12024, 0, 1)).toISOString(), new Date(0).toISOString(), JSON.stringify(new Date(0))`:                `-000043-03-15T00:00:00.000Z +012024-01-01T00:00:00.000Z 1970-01-01T00:00:00.000Z "1970-01-01T00:00:00.000Z"`,
	} {
		b.prints("console.log("+call+");", want)
	}
}
