package js

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// namespace keeps esbuild from taking names for paths of this machine.
const namespace = "migrations"

// neighbours gives esbuild the files of the migration's folder, and nothing else.
type neighbours struct {
	migration migration.Migration
	name      string            // of the migration's file in its folder
	mutex     sync.Mutex        // esbuild asks concurrently
	read      map[string]string // what was asked for, by name
}

func (n *neighbours) plugin() api.Plugin {
	return api.Plugin{Name: "whimbrel", Setup: func(build api.PluginBuild) {
		build.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			if args.Kind == api.ResolveEntryPoint {
				return api.OnResolveResult{Path: n.name, Namespace: namespace}, nil
			}
			return n.resolve(args.Path, args.Importer), nil
		})
		build.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: namespace}, func(args api.OnLoadArgs) (api.OnLoadResult,
			error) {
			return n.load(args.Path)
		})
	}}
}

// endings are tried in this order where an import leaves the ending away.
var endings = []string{"", ".ts", ".js", ".cjs", ".mjs", ".json", "/index.ts", "/index.js"}

// resolve finds what an import means.
func (n *neighbours) resolve(wanted, importer string) api.OnResolveResult {
	if wanted != "." && wanted != ".." && !strings.HasPrefix(wanted, "./") && !strings.HasPrefix(wanted, "../") {
		return refuse(unavailable(wanted))
	}
	name := path.Join(path.Dir(importer), wanted)
	if !fs.ValidPath(name) {
		return refuse(fmt.Sprintf("%s lies outside the folder of the migrations", wanted),
			"move it below the folder of the migrations: nothing else can be read")
	}
	if n.migration.Folder == nil {
		return refuse(fmt.Sprintf("%s cannot be read: the script is not run from a folder", wanted), "")
	}
	candidates := make([]string, 0, len(endings)+1)
	for _, ending := range endings {
		candidates = append(candidates, name+ending)
	}
	if base, isJS := strings.CutSuffix(name, ".js"); isJS {
		candidates = append(candidates, base+".ts") // as TypeScript writes imports of its own files
	}
	for _, candidate := range candidates {
		info, err := fs.Stat(n.migration.Folder, candidate)
		switch {
		case errors.Is(err, migration.ErrLeadsOut):
			return api.OnResolveResult{Errors: []api.Message{{Text: n.pathOf(candidate) + ": " + migration.ErrLeadsOut.Error(),
				Detail: "put the file itself in its place"}}}
		case err == nil && info.Mode().IsRegular():
			return api.OnResolveResult{Path: candidate, Namespace: namespace}
		}
	}
	return refuse(fmt.Sprintf("no file %s in the folder of the migrations", name),
		"check the spelling; the path counts from the file that asks for it")
}

func refuse(message, remedy string) api.OnResolveResult {
	return api.OnResolveResult{Errors: []api.Message{{Text: message, Detail: missingModule(remedy)}}}
}

// missingModule is the remedy for a module that cannot be had. The script's own
// text is in order then.
type missingModule string

// unavailable says why a module that is no neighbour cannot be had, and what to
// do without it.
func unavailable(module string) (message, remedy string) {
	message = fmt.Sprintf("module %q is not available to a migration: whimbrel runs scripts without Node.js, and "+
		"without a file system or network", module)
	switch strings.TrimPrefix(strings.SplitN(strings.TrimPrefix(module, "node:"), "/", 2)[0], "@") {
	case "pg", "pg-promise", "postgres", "knex", "sequelize", "typeorm", "prisma", "pg-format", "node-pg-migrate":
		remedy = "use the client that up and down are called with: client.query(text, params)"
	case "fs", "path", "os":
		remedy = "put data beside the migration and read it with require('./data.json'), or text with " +
			"require('./statements.sql')"
	case "http", "https", "net", "tls", "dns", "child_process", "axios", "node-fetch", "undici":
		remedy = "fetch the data beforehand and put it beside the migration as a .json file: a migration must do the same " +
			"wherever it runs"
	case "crypto", "uuid":
		remedy = "let PostgreSQL do it: gen_random_uuid(), sha256(), md5()"
	case "dotenv":
		remedy = "name the variables that scripts may read in whimbrel's configuration, and read them from process.env"
	case "whimbrel":
		message = `module "whimbrel" holds types only`
		remedy = "import them with: import type { Client } from 'whimbrel'"
	default:
		remedy = "copy what is needed of it into a file beside the migration, and require that one"
	}
	return message, remedy
}

// load reads a file.
func (n *neighbours) load(name string) (api.OnLoadResult, error) {
	text := n.migration.Text
	if name != n.name {
		content, err := migration.ReadFile(n.migration.Folder, name)
		if err != nil {
			var failed *fs.PathError
			if errors.As(err, &failed) {
				err = failed.Err
			}
			return api.OnLoadResult{}, fmt.Errorf("%s cannot be read: %w", n.pathOf(name), err)
		}
		text = strings.TrimPrefix(content, "\uFEFF")
	}
	n.mutex.Lock()
	n.read[name] = text
	n.mutex.Unlock()
	if problem := encoding(name, text); problem != nil {
		return api.OnLoadResult{Errors: []api.Message{*problem}}, nil
	}
	return api.OnLoadResult{Contents: &text, Loader: loaderOf(name)}, nil
}

// encoding refuses what is not UTF-8: esbuild does not end on some of it.
func encoding(name, text string) *api.Message {
	for offset, c := range text {
		if c != utf8.RuneError || strings.HasPrefix(text[offset:], string(utf8.RuneError)) {
			continue
		}
		at := pgsql.PositionAt(text, offset)
		start := strings.LastIndexByte(text[:offset], '\n') + 1
		return &api.Message{
			Text: "the file is not in UTF-8", Detail: "save it in UTF-8",
			Location: &api.Location{File: name, Line: at.Line, Column: offset - start,
				LineText: strings.ToValidUTF8(line(text, at.Line), string(utf8.RuneError))},
		}
	}
	return nil
}

func loaderOf(name string) api.Loader {
	switch strings.ToLower(path.Ext(name)) {
	case ".ts", ".mts", ".cts":
		return api.LoaderTS
	case ".json":
		return api.LoaderJSON
	case ".sql", ".txt":
		return api.LoaderText
	}
	return api.LoaderJS
}
