package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// hostAccess finds what reaches the machine that the server runs on, or others from there: programs, files, libraries,
// other servers. Where it is in a body, that is not run for it to be told: it is for anyone who reads the change.
func (j *judge) hostAccess(n *ast.Node) {
	if reason := j.reaches(n); reason != "" {
		j.reportCertain(Finding{Hazard: hostAccess, Message: reason})
	}
	walk(n, func(n *ast.Node) bool {
		if call := n.GetFuncCall(); call != nil {
			if reason := j.reachedBy(nameOf(texts(call.Funcname))); reason != "" {
				j.reportCertain(Finding{Hazard: hostAccess, Message: reason})
			}
		}
		return true
	})
	if f := n.GetCreateFunctionStmt(); f != nil {
		for _, inside := range j.insideDefinition(n, f) {
			j.hostAccess(inside)
		}
	}
}

// reportCertain reports what no run tells otherwise, as what the walls around a rehearsal
// keep it from, and what only a reader of the file can know.
func (j *judge) reportCertain(f Finding) {
	guessed, places, absent := j.guessed, j.places, j.maybeAbsent
	j.guessed, j.places, j.maybeAbsent = false, nil, false
	j.report(f)
	j.guessed, j.places, j.maybeAbsent = guessed, places, absent
}

// reaches says how a statement reaches outside by what it is.
func (j *judge) reaches(n *ast.Node) string {
	switch s := n.GetNode().(type) {
	case *ast.Node_CopyStmt:
		switch c := s.CopyStmt; {
		case c.IsProgram:
			return "COPY runs a program on the server's machine, as the account of the server"
		case c.Filename != "" && c.IsFrom:
			return "COPY reads a file of the server's machine"
		case c.Filename != "":
			return "COPY writes a file of the server's machine"
		}
	case *ast.Node_LoadStmt:
		return "LOAD runs a library as a part of the server"
	case *ast.Node_AlterSystemStmt:
		return "ALTER SYSTEM writes the server's configuration, with commands, files and libraries in it"
	case *ast.Node_CreateExtensionStmt:
		if name := s.CreateExtensionStmt.Extname; reachingExtensions[name] || untrusted(name) {
			return fmt.Sprintf("the extension %s reaches outside the database", quoted(name))
		}
	case *ast.Node_CreatePlangStmt:
		if untrusted(s.CreatePlangStmt.Plname) {
			return fmt.Sprintf("functions in %s may do whatever the server's account may", s.CreatePlangStmt.Plname)
		}
	case *ast.Node_CreateFunctionStmt:
		return languageReaches(s.CreateFunctionStmt.Options)
	case *ast.Node_DoStmt:
		return languageReaches(s.DoStmt.Args)
	case *ast.Node_CreateForeignServerStmt:
		if wrapper := s.CreateForeignServerStmt.Fdwname; reachingExtensions[strings.TrimSuffix(wrapper, "_fdw")] ||
			reachingExtensions[wrapper] {
			return fmt.Sprintf("the foreign data wrapper %s reaches files or other servers", quoted(wrapper))
		}
	case *ast.Node_ImportForeignSchemaStmt:
		return "IMPORT FOREIGN SCHEMA connects to another server"
	case *ast.Node_GrantRoleStmt:
		for _, role := range s.GrantRoleStmt.GrantedRoles {
			if name := role.GetAccessPriv().GetPrivName(); s.GrantRoleStmt.IsGrant && slices.Contains(reachingRoles, name) {
				return fmt.Sprintf("members of %s reach the server's machine", name)
			}
		}
	}
	return ""
}

// languageReaches looks at the language of a definition or a block.
func languageReaches(options []*ast.Node) string {
	for _, o := range options {
		if d := o.GetDefElem(); d.GetDefname() == "language" {
			if language := strings.ToLower(text(d.Arg)); untrusted(language) {
				return fmt.Sprintf("code in the language %s may do whatever the server's account may", language)
			}
		}
	}
	return ""
}

// reachedBy says how a function reaches outside. One of the migrations' own that has its name is another.
func (j *judge) reachedBy(name Name) string {
	if len(lookup(j.model, j.functions, name)) > 0 {
		return ""
	}
	switch {
	case dblinkCalls().MatchString(name.Object):
		return fmt.Sprintf("%s() connects to another server, or to this one as somebody else", name.Object)
	case (name.Schema == "" || name.Schema == catalogSchema) && fileCalls().MatchString(name.Object):
		return fmt.Sprintf("%s() reaches files of the server's machine", name.Object)
	}
	return ""
}

var (
	// fileCalls are PostgreSQL's own functions, and those of adminpack, that read, list or write files.
	fileCalls = plaintext.Pattern(
		`^(?:pg_read_(?:binary_)?file(?:_all|_off_len|_all_missing|_off_len_missing)?|pg_ls_\w+|pg_stat_file|` +
			`lo_import|lo_export|pg_file_(?:write|sync|rename|unlink|read|length)|pg_logdir_ls)$`)
	dblinkCalls = plaintext.Pattern(`^dblink(?:_connect|_connect_u|_exec|_open|_send_query)?$`)
	// untrustedNames are the languages whose functions are programs: by custom their names end in u.
	untrustedNames = plaintext.Pattern(`^(?:c|internal|pl[a-z0-9]+u|plsh|plr)$`)
)

func untrusted(language string) bool { return untrustedNames().MatchString(strings.ToLower(language)) }

// reachingExtensions are known to read files, to run programs or to connect. Untrusted languages are known by their
// names.
var reachingExtensions = map[string]bool{
	"file_fdw": true, "postgres_fdw": true, "dblink": true, "adminpack": true, "http": true, "pg_net": true,
	"plproxy":    true,
	"oracle_fdw": true, "mysql_fdw": true, "tds_fdw": true, "mongo_fdw": true, "redis_fdw": true, "sqlite_fdw": true,
	"odbc_fdw": true,
	"jdbc_fdw": true, "ogr_fdw": true, "multicorn": true, "wrappers": true, "aws_s3": true, "aws_lambda": true,
	"log_fdw": true,
}

// reachingRoles give their members what else only a superuser has.
var reachingRoles = []string{"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"}

// insideDefinition gives the statements of a function's body, called or not; none where it cannot be read.
func (j *judge) insideDefinition(n *ast.Node, f *ast.CreateFunctionStmt) (inside []*ast.Node) {
	written, err := j.parser.Write(n)
	if err != nil {
		return nil
	}
	for _, o := range f.Options {
		if d := o.GetDefElem(); d.GetDefname() != "language" || strings.ToLower(text(d.Arg)) != "plpgsql" {
			continue
		}
		body, err := j.parser.Body(written)
		if err != nil {
			return nil
		}
		for _, s := range body.Statements {
			nodes, _ := j.parser.Parse(s.Text) // what is no SQL reaches nothing
			inside = append(inside, nodes...)
		}
		return inside
	}
	inside, _ = j.insideOf(f)
	return inside
}
