package js_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The lines of this test are what Node.js 20 prints, save for the small print:
// boxed strings, circles, getters, the lengths that %o shows, and stacks.
func TestTheConsoleShowsValuesAsNodeDoes(t *testing.T) {
	b := setup(t)
	for call, want := range map[string]string{
		`''`: ``,
		`'a', 'b', 1, null, undefined, true, 1n, -0`: `a b 1 null undefined true 1n -0`,
		`['it\'s', "q\"'", 'a\nb', 'x']`:             "[ \"it's\", `q\"'`, 'a\\nb', 'x' ]",
		`{}`:                                         `{}`,
		`[]`:                                         `[]`,
		`{ a: 1, 'b-c': 'x', d: [1, [2, [3, [4]]]], e: { f: { g: { h: 1 } } } }`: "{\n  a: 1,\n  'b-c': 'x',\n" +
			"  d: [ 1, [ 2, [Array] ] ],\n  e: { f: { g: [Object] } }\n}",
		`new Map([['a', { b: 1 }]]), new Set([1, 'x'])`:                                    `Map(1) { 'a' => { b: 1 } } Set(2) { 1, 'x' }`,
		`new Date(0), new Date(NaN), /x+/g`:                                                `1970-01-01T00:00:00.000Z Invalid Date /x+/g`,
		`Buffer.from('hi'), new Uint8Array([1, 2])`:                                        `<Buffer 68 69> Uint8Array(2) [ 1, 2 ]`,
		`class A {}, function f() {}, () => {}, async () => {}`:                            `[class A] [Function: f] [Function (anonymous)] [AsyncFunction (anonymous)]`,
		`new (class Point { constructor() { this.x = 1; } })()`:                            `Point { x: 1 }`,
		`Object.create(null), Symbol('s'), new String('x')`:                                `[Object: null prototype] {} Symbol(s) [String: x]`,
		`'%s has %d of %i, %f; %j %o %% %x', 'it', '7', 7.9, '1.5', { a: 1 }, [1], 'more'`: `it has 7 of 7, 1.5; {"a":1} [ 1 ] % %x more`,
		`'%s'`:                                              `%s`,
		`'100%', 'sure'`:                                    `100% sure`,
		`{ a: undefined, f() {} }`:                          `{ a: undefined, f: [Function: f] }`,
		`[1, , 3].length, [undefined, null]`:                `3 [ undefined, null ]`,
		`'a'.repeat(80).split('').length`:                   `80`,
		`Array.from({ length: 102 }, () => 'x').length`:     `102`,
		`(() => { const o = {}; o.self = o; return o; })()`: `{ self: [Circular] }`,
		`{ get a() { throw new Error('x'); } }`:             `[it cannot be shown: Error: x]`,
	} {
		b.prints("console.log("+call+");", want)
	}
	b.prints("console.log(new Error('no birds'));\nconsole.log(Object.assign(new TypeError('x'), { code: 7 }).message)",
		"Error: no birds\n    at up (1_it.js:3:13)", "x")
}

func TestEveryLevelOfTheConsoleIsHeard(t *testing.T) {
	b := setup(t)
	require.NoError(t, b.up("1_it.js", body(`
	console.log('a'); console.info('b'); console.warn('c'); console.error('d'); console.debug('e');
	console.group('g'); console.log('in\nit'); console.groupEnd(); console.log('out');
	console.assert(true, 'no'); console.assert(false, 'yes', 1); console.assert(false);
	console.timeEnd('never began'); console.time(); console.timeLog(); console.timeEnd();`)))
	require.Len(t, b.printed, 12)
	require.Equal(t, []string{"log: a", "info: b", "warn: c", "error: d", "log: e", "log: g", "log:   in\n  it",
		"log: out",
		"error: Assertion failed: yes 1", "error: Assertion failed"}, b.printed[:10])
	require.Regexp(t, `^log: default: \d`, b.printed[10])
}

func TestAScriptSeesOnlyTheVariablesThatItMay(t *testing.T) {
	t.Setenv("WHIMBREL_JS_TEST", "shown")
	t.Setenv("WHIMBREL_JS_SECRET", "hidden")
	b := connect(t)
	b.options.Environment = []string{"WHIMBREL_JS_TEST", "WHIMBREL_JS_UNSET"}
	b.prints("console.log(process.env.WHIMBREL_JS_TEST, process.env.WHIMBREL_JS_SECRET, process.env, process.env.PATH);",
		"shown undefined { WHIMBREL_JS_TEST: 'shown' } undefined")
}
