package project

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/git"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// judging are the keys of whimbrel.yaml by which a change is judged, or which decide what
// of it is: a change that alters them chooses its judge. The others say how migrations run
// and who is told.
var judging = []string{
	"migrations", "subfolders", "hooks", "format", "table", "out_of_order", "max_stall", "variables",
	"scripts", "checks", "lint", "sandbox", "default_environment", "environments",
}

// Altered gives a note for each setting by which a change would be judged, and which is
// not as it was where it branched off from the base, a revision of git. A file that git
// does not have is not of the change.
func (p *Project) Altered(ctx context.Context, base string) ([]present.Note, error) {
	if base == "" {
		return nil, nil
	}
	b := settingsOfBase{revision: base}
	notes, err := b.altered(ctx, p)
	var said *git.Error
	if errors.As(err, &said) {
		return nil, &whimbrel.Error{Code: whimbrel.CodeConfiguration, Message: said.Message, Remedy: said.Remedy}
	}
	return notes, err
}

// settingsOfBase are those that a change found when it began.
type settingsOfBase struct {
	revision string // as it was named
	root     string // of the repository
	since    string // the commit at which the change branched off
}

func (b *settingsOfBase) altered(ctx context.Context, p *Project) (notes []present.Note, err error) {
	now := p.File
	if b.root, err = git.Root(ctx, p.options.Folder); err != nil {
		return nil, err
	}
	if b.since, err = git.MergeBase(ctx, p.options.Folder, b.revision); err != nil {
		return nil, err
	}
	place, inside := b.place(now.Place)
	if now.name != "" {
		if !inside {
			return nil, nil
		}
		if ignored, err := git.Ignored(ctx, b.root, path.Join(place, now.name)); ignored || err != nil {
			return nil, err
		}
	}
	before, text, err := b.find(ctx, p, path.Join(place, now.name))
	if err != nil {
		return nil, err
	}
	was, err := Parse(before, text, p.options.Hazard)
	if err != nil {
		return []present.Note{b.note(now, "", fmt.Sprintf("what the change has altered is unknown, since %s of %s "+
			"cannot be read: %v", before, b.revision, err))}, nil
	}
	for _, key := range changedKeys(flatten(was, path.Dir(before)), flatten(now, place)) {
		notes = append(notes, b.note(now, key, key+" is not what it is in "+b.revision))
	}
	moved, err := b.moved(ctx, p)
	if err != nil {
		return notes, err
	}
	prepared, err := b.prepared(ctx, now)
	return slices.Concat(notes, moved, prepared), err
}

// prepared gives a note for each file of sandbox.prepare that the change alters: what is
// there before the migrations is judged with them. One that cannot be read says so later.
func (b *settingsOfBase) prepared(ctx context.Context, now File) (notes []present.Note, err error) {
	place, _ := b.place(now.Place)
	for i, name := range now.Sandbox.Prepare {
		from := fromRoot(place, name)
		if ignored, err := git.Ignored(ctx, b.root, from); ignored || err != nil {
			return notes, err
		}
		was, _, err := git.File(ctx, b.root, b.since, from)
		if err != nil {
			return notes, err
		}
		is, reading := now.readPrepare(name)
		if reading == nil && plaintext.LF(strings.TrimPrefix(string(was), files.ByteOrderMark)) != is {
			key := fmt.Sprintf("sandbox.prepare.%d", i)
			if now.at(strings.Split(key, ".")...) == nil { // it is no list
				key = "sandbox.prepare"
			}
			n := b.note(now, key, name+" is not what it is in "+b.revision)
			n.Key = "sandbox.prepare " + name
			notes = append(notes, n)
		}
	}
	return notes, nil
}

// moved gives a note for each folder of migrations whose name leads to another one than it
// did: a link in its place would make merged migrations new ones, and none be missing.
func (b *settingsOfBase) moved(ctx context.Context, p *Project) (notes []present.Note, err error) {
	here, _ := b.place(p.options.Folder)
	for _, folder := range p.Folders() {
		relative, err := filepath.Rel(p.options.Folder, p.options.absolute(folder))
		name := path.Join(here, filepath.ToSlash(relative)) // links in it are those of the change
		leads, still := b.place(p.options.absolute(folder))
		if err != nil || strings.HasPrefix(name, "../") || still && leads == name {
			continue
		}
		was, err := git.Folder(ctx, b.root, b.since, name)
		if err != nil {
			return nil, err
		}
		is := ""
		if still {
			if is, err = git.Folder(ctx, b.root, b.since, leads); err != nil {
				return nil, err
			}
		}
		if was != "" && was != is {
			notes = append(notes, b.note(p.File, "migrations", filepath.ToSlash(folder)+" does not lead where it does in "+
				b.revision))
		}
	}
	return notes, nil
}

// place gives the path of a folder from the root of the repository.
func (b *settingsOfBase) place(folder string) (from string, inside bool) {
	folder, err := filepath.EvalSymlinks(folder)
	if err == nil {
		folder, err = filepath.Rel(b.root, folder)
	}
	from = filepath.ToSlash(folder)
	return from, err == nil && from != ".." && !strings.HasPrefix(from, "../")
}

// find gives the whimbrel.yaml that the base has: the one of that name, if it was named, or
// the nearest. Where it has none, that is an empty one in the working folder.
func (b *settingsOfBase) find(ctx context.Context, p *Project, named string) (name string, text []byte, err error) {
	folder, _ := b.place(p.options.Folder)
	if p.named {
		text, _, err = git.File(ctx, b.root, b.since, named)
		return named, text, err
	}
	for at := folder; ; at = path.Dir(at) {
		name = path.Join(at, Name)
		text, found, err := git.File(ctx, b.root, b.since, name)
		if found || err != nil {
			return name, text, err
		}
		if at == "." || at == "/" {
			return path.Join(folder, Name), nil, nil
		}
	}
}

func (b *settingsOfBase) note(now File, key, message string) present.Note {
	n := present.Note{
		Level: present.LevelError, Check: "judge-altered", Title: "the change alters how it is judged", Path: now.Path,
		Key:     key,
		Message: message + "\nhave that merged by itself first, or accept it (Options.Accepted) when somebody has read it",
	}
	if n.Path == "" {
		n.Path = Name
	}
	if at := now.at(strings.Split(key, ".")...); at != nil {
		place := now.yaml.Place(at)
		n.Line, n.Column = place.Line, place.Column
	}
	return n
}

// flatten gives the judging settings of a file whose folder has a path from the root of
// the repository, by their keys. Folders are given by their paths from there too.
func flatten(c File, place string) map[string]string {
	if len(c.Migrations) == 0 {
		c.Migrations = folders{"migrations"}
	}
	c.Migrations = slices.Clone(c.Migrations)
	for i, folder := range c.Migrations {
		c.Migrations[i] = fromRoot(place, folder)
	}
	if c.Hooks != "" {
		c.Hooks = fromRoot(place, c.Hooks)
	}
	c.Sandbox.Prepare = slices.Clone(c.Sandbox.Prepare)
	for i, file := range c.Sandbox.Prepare {
		c.Sandbox.Prepare[i] = fromRoot(place, file)
	}
	if c.Lint.Rehearsal == nil {
		rehearse := true
		c.Lint.Rehearsal = &rehearse
	}
	all := map[string]string{"tests": fromRoot(place, "tests")}
	flattenInto(all, "", reflect.ValueOf(c))
	maps.DeleteFunc(all, func(key, _ string) bool {
		top, _, _ := strings.Cut(key, ".")
		return top != "tests" && !slices.Contains(judging, top)
	})
	return all
}

func fromRoot(place, folder string) string {
	if filepath.IsAbs(folder) {
		return folder
	}
	return path.Join(place, filepath.ToSlash(folder))
}

// flattenInto writes what is not empty, by its path of keys.
func flattenInto(all map[string]string, key string, v reflect.Value) {
	below := func(name string) string { return strings.TrimPrefix(key+"."+name, ".") }
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			all[key] = "" // that it is there at all may mean something
			flattenInto(all, key, v.Elem())
		}
	case reflect.Struct:
		keyed := false
		for i := range v.NumField() {
			if name := v.Type().Field(i).Tag.Get("yaml"); name != "" {
				keyed = true
				flattenInto(all, below(name), v.Field(i))
			}
		}
		if !keyed { // it is written as a text
			all[key] = fmt.Sprintf("%+v", v)
		}
	case reflect.Map:
		for _, name := range v.MapKeys() {
			all[below(name.String())] = "" // likewise
			flattenInto(all, below(name.String()), v.MapIndex(name))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.String { // one thing, as a folder or a command is
			if v.Len() > 0 {
				all[key] = fmt.Sprintf("%q", v.Interface())
			}
			return
		}
		for i := range v.Len() {
			flattenInto(all, below(fmt.Sprint(i)), v.Index(i))
		}
	default:
		if !v.IsZero() {
			all[key] = fmt.Sprint(v.Interface())
		}
	}
}

// changedKeys are the keys whose values are not the same, sorted. Of a key and those below
// it only the lowest are named.
func changedKeys(was, now map[string]string) []string {
	var keys []string
	for key := range maps.All(was) {
		if value, there := now[key]; !there || value != was[key] {
			keys = append(keys, key)
		}
	}
	for key := range now {
		if _, there := was[key]; !there {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		return slices.ContainsFunc(keys, func(other string) bool { return strings.HasPrefix(other, key+".") })
	})
}
