package js

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dop251/goja"

	"github.com/whimbrel-db/whimbrel"
)

// script is a compiled script, and what it exports.
type script struct {
	options     Options
	bundle      *bundle
	transaction bool
	down        bool
	// tags are those that were read from the text, if that is a file's.
	tags   []string
	isFile bool
}

// Transaction implements whimbrel.Script.
func (s *script) Transaction() bool { return s.transaction }

// HasDown implements whimbrel.Script.
func (s *script) HasDown() bool { return s.down }

// Source implements whimbrel.Script. A script without neighbours is kept as it
// was written.
func (s *script) Source() string { return s.bundle.source }

// Idle implements whimbrel.Script.
func (s *script) Idle() time.Duration { return s.options.Compute }

// Run implements whimbrel.Script. It returns when the promise that up or down
// returned is settled and what it left running is done; timers that are still
// set then never fire.
func (s *script) Run(ctx context.Context, direction whimbrel.Direction, session whimbrel.Session) error {
	m, err := boot(ctx, s.bundle, s.options, session)
	if err != nil {
		return err
	}
	defer m.close()
	m.atomic = s.transaction
	return m.failure(s.run(m, direction))
}

func (s *script) run(m *machine, direction whimbrel.Direction) error {
	exports, err := m.load()
	if err != nil {
		return err
	}
	var finish goja.Callable
	returned, err := m.enter(func() (goja.Value, error) {
		main, err := m.main(exports)
		if err != nil {
			return nil, err
		}
		function, ok := goja.AssertFunction(main.Get(string(direction)))
		if !ok {
			return nil, missing(s.bundle.path, string(direction))
		}
		var client goja.Value
		if client, finish, err = m.caller(); err != nil {
			return nil, err
		}
		return function(main, client)
	})
	if err != nil {
		return err
	}
	if _, err := m.await(returned); err != nil {
		return err
	}
	if finish != nil {
		if returned, err = m.enter(func() (goja.Value, error) { return finish(goja.Undefined()) }); err != nil {
			return err
		}
		if _, err := m.await(returned); err != nil {
			return err
		}
	}
	return m.settle(nil)
}

// inspect looks at what the script exports.
func (s *script) inspect(ctx context.Context) error {
	m, err := boot(ctx, s.bundle, s.options, nil)
	if err != nil {
		return err
	}
	defer m.close()
	exports, err := m.load()
	if err == nil {
		_, err = m.enter(func() (goja.Value, error) { return nil, s.look(m, exports) })
	}
	if err = m.failure(err); err != nil {
		return malformed(err)
	}
	return nil
}

func (s *script) look(m *machine, exports *goja.Object) error {
	main, err := m.main(exports)
	if err != nil {
		return err
	}
	if _, ok := goja.AssertFunction(main.Get("up")); !ok {
		return missing(s.bundle.path, "up")
	}
	down := main.Get("down")
	if _, s.down = goja.AssertFunction(down); !s.down && down != nil && !goja.IsUndefined(down) && !goja.IsNull(down) &&
		s.bundle.tool == "" {
		return missing(s.bundle.path, "down")
	}
	if err := s.lookAtTags(exports, main); err != nil {
		return err
	}
	s.transaction = true
	if value := setting("transaction", exports, main); value != nil {
		choice, ok := value.Export().(bool)
		if !ok {
			return &whimbrel.Error{Code: whimbrel.CodeMalformed, Path: s.bundle.path,
				Message: fmt.Sprintf("transaction is %s, but must be true or false", m.inspect(value)),
				Remedy:  "export const transaction = false, for a script that is to run outside a transaction; else omit it"}
		}
		s.transaction = choice
	}
	s.lookAsForeign(exports)
	return nil
}

// setting is what a script says beside up and down: by name, in its default
// export or in its class. It is nil where it says nothing.
func setting(name string, exports, main *goja.Object) goja.Value {
	class, _ := main.Get("constructor").(*goja.Object)
	for _, object := range []*goja.Object{exports, main, class} {
		if object == nil {
			continue
		}
		if value := object.Get(name); value != nil && !goja.IsUndefined(value) {
			return value
		}
	}
	return nil
}

// lookAtTags refuses tags that could not be read from the text: the migration
// would not be chosen by them.
func (s *script) lookAtTags(exports, main *goja.Object) error {
	value := setting("tags", exports, main)
	if value == nil || !s.isFile {
		return nil
	}
	var tags []string
	if list, ok := value.Export().([]any); ok {
		for _, tag := range list {
			tags = append(tags, fmt.Sprint(tag))
		}
	}
	if slices.Equal(tags, s.tags) {
		return nil
	}
	return &whimbrel.Error{Code: whimbrel.CodeMalformed, Path: s.bundle.path,
		Message: "the tags that the script exports are not those that can be read without running it",
		Remedy:  `write them plainly, in a line of their own: export const tags = ["slow", "seed"] (in CommonJS: exports.tags = …, below module.exports)`}
}

// main is the object that has up and down: what the script exports, or its
// default export, or an instance of it where that is a class.
func (m *machine) main(exports *goja.Object) (*goja.Object, error) {
	main := exports
	if value, ok := exports.Get("default").(*goja.Object); ok && !callable(exports.Get("up")) {
		main = value
	}
	if !callable(main) || callable(main.Get("up")) {
		return main, nil
	}
	prototype, ok := main.Get("prototype").(*goja.Object)
	if !ok || !callable(prototype.Get("up")) {
		return main, nil
	}
	return m.vm.New(main)
}

func callable(value goja.Value) bool {
	_, ok := goja.AssertFunction(value)
	return ok
}

func missing(path, function string) *whimbrel.Error {
	return &whimbrel.Error{Code: whimbrel.CodeMalformed, Path: path,
		Message: fmt.Sprintf("the script exports no function %s", function),
		Remedy: fmt.Sprintf("module.exports = { async up(client) { … }, async down(client) { … } }, or: export async "+
			"function %s(client) { … }", function)}
}
