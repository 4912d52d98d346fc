package whimbrel

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/migration"
)

// This file knows which objects of the database repeatable migrations define, and
// whether they are there: a migration that runs once can drop or replace them, and so
// can anyone who is at psql.
//
// What a repeatable migration has created is recorded beside its row of the history,
// by the transaction that created it, from the catalog and not from its text: so what
// dynamic SQL creates is known as well, and the schema is the one in which it is. The
// names are kept, and no object identifiers, which a restored dump has not. Of one that
// was recorded without running, as by `adopt`, the text tells the names.

// defined is what is known of the objects of one repeatable migration.
type defined struct {
	known bool     // else nothing tells what it defines
	gone  []string // those that are not there, as "view public.names"
}

// createdHere are the catalog and the identifier of every object that this transaction
// has created or replaced: anyone who does so records the dependencies again. What is an
// implementation of another object, as the rule of a view, counts as that object.
// A row that is seen although what wrote it has not ended is of this transaction, or
// of a subtransaction, whose identifiers follow closely.
const createdHere = `SELECT DISTINCT coalesce(i.refclassid, d.classid) AS classid, coalesce(i.refobjid, d.objid) AS objid
	FROM (SELECT d.*, (d.xmin::text::bigint - pg_catalog.txid_current() % 4294967296 + 4294967296) % 4294967296 AS later FROM pg_catalog.pg_depend d) d
	LEFT JOIN pg_catalog.pg_depend i ON i.classid = d.classid AND i.objid = d.objid AND i.objsubid = 0 AND i.deptype = 'i'
	WHERE d.objsubid = 0 AND d.later < 1048576
	AND CASE WHEN pg_catalog.txid_current() + d.later >= pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot()) THEN true
		ELSE pg_catalog.txid_status(pg_catalog.txid_current() + d.later) = 'in progress' END`

// describedHere describes what this transaction has created, less what is temporary
// and what cannot be told from its table: constraints and defaults.
const describedHere = `SELECT pg_catalog.jsonb_build_object('class', k.relname, 'kind', i.type, 'identity', i.identity,
		'names', coalesce((SELECT ARRAY[n.nspname, t.typname] FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
			WHERE k.relname = 'pg_type' AND t.oid = c.objid), a.object_names::name[])) AS object
	FROM (` + createdHere + `) c JOIN pg_catalog.pg_class k ON k.oid = c.classid,
	pg_catalog.pg_identify_object(c.classid, c.objid, 0) i, pg_catalog.pg_identify_object_as_address(c.classid, c.objid, 0) a
	WHERE coalesce(i.schema, '') NOT LIKE 'pg\_%' AND (coalesce(a.object_names, '{}'))[1] NOT LIKE 'pg\_%' AND (k.relname IN ('pg_proc', 'pg_namespace', ` + otherClasses + `)
	OR k.relname = 'pg_rewrite' AND NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.oid = c.objid AND r.rulename = '_RETURN')
	OR k.relname = 'pg_trigger' AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.oid = c.objid AND t.tgisinternal)
	OR k.relname = 'pg_policy'
	OR k.relname = 'pg_class' AND EXISTS (SELECT FROM pg_catalog.pg_class r WHERE r.oid = c.objid AND r.relkind IN ('r', 'v', 'm', 'f', 'p', 'S', 'i', 'I'))
	OR k.relname = 'pg_type' AND EXISTS (SELECT FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class r ON r.oid = t.typrelid
		WHERE t.oid = c.objid AND t.typelem = 0 AND coalesce(r.relkind, 'c') = 'c'))`

// otherClasses are the catalogs of rarer objects, of which all are gone through.
const otherClasses = `'pg_operator', 'pg_opclass', 'pg_opfamily', 'pg_cast', 'pg_collation', 'pg_conversion', 'pg_event_trigger', ` +
	`'pg_ts_config', 'pg_ts_dict', 'pg_ts_parser', 'pg_ts_template', 'pg_statistic_ext', 'pg_language', 'pg_extension', ` +
	`'pg_foreign_server', 'pg_foreign_data_wrapper', 'pg_publication'`

// isThere is an expression: whether the object o is there. A schema that is not known
// is any but the system's.
const isThere = `CASE o.class
	WHEN 'pg_class' THEN EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relname = o.names[2] AND (n.nspname = o.names[1] OR o.names[1] = '' AND n.nspname NOT LIKE 'pg\_%'))
	WHEN 'pg_type' THEN EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
		WHERE t.typname = o.names[2] AND (n.nspname = o.names[1] OR o.names[1] = '' AND n.nspname NOT LIKE 'pg\_%'))
	WHEN 'pg_proc' THEN EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		WHERE p.proname = o.names[2] AND (n.nspname = o.names[1] OR o.names[1] = '' AND n.nspname NOT LIKE 'pg\_%')
		AND (o.identity IS NULL OR o.identity = (pg_catalog.pg_identify_object('pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, 0)).identity))
	WHEN 'pg_namespace' THEN EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = o.names[1])
	WHEN 'pg_trigger' THEN EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgname = o.names[3] AND t.tgrelid = pg_catalog.to_regclass(pg_catalog.quote_ident(o.names[1]) || '.' || pg_catalog.quote_ident(o.names[2])))
	WHEN 'pg_policy' THEN EXISTS (SELECT FROM pg_catalog.pg_policy y WHERE y.polname = o.names[3] AND y.polrelid = pg_catalog.to_regclass(pg_catalog.quote_ident(o.names[1]) || '.' || pg_catalog.quote_ident(o.names[2])))
	WHEN 'pg_rewrite' THEN EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.rulename = o.names[3] AND r.ev_class = pg_catalog.to_regclass(pg_catalog.quote_ident(o.names[1]) || '.' || pg_catalog.quote_ident(o.names[2])))
	ELSE (o.class, o.identity) IN (SELECT k.relname, (pg_catalog.pg_identify_object(d.classid, d.objid, 0)).identity
		FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class k ON k.oid = d.classid WHERE k.relname IN (` + otherClasses + `))
END`

// lookAtObjects asks the catalog for what the repeatable migrations that have run
// define. It only reads.
func (db *database) lookAtObjects(ctx context.Context, s *state) error {
	named := []json.RawMessage{}
	for _, a := range s.repeated {
		file, found := s.file(a.Version)
		if !found {
			continue
		}
		for _, o := range file.Defines() {
			named = append(named, namedInText(a.Version, o))
		}
	}
	written, err := json.Marshal(named)
	if err != nil {
		return err
	}
	recorded := "NULL::jsonb"
	if db.ready || db.history().has("objects") {
		recorded = "h.objects"
	}
	rows, err := db.conn.Query(ctx, fmt.Sprintf(`WITH h AS MATERIALIZED (
	SELECT h.version, %[2]s AS objects FROM %[1]s h WHERE h.version LIKE 'R\_\_%%'
), o AS MATERIALIZED (
	SELECT h.version, o.* FROM h, pg_catalog.jsonb_to_recordset(h.objects) AS o(class name, kind text, names name[], identity text)
	UNION ALL SELECT o.* FROM pg_catalog.jsonb_to_recordset($1::jsonb) AS o(version text, class name, kind text, names name[], identity text)
	JOIN h USING (version) WHERE h.objects IS NULL
)
SELECT h.version, h.objects IS NOT NULL OR o.version IS NOT NULL, coalesce(o.kind || ' ' || coalesce(pg_catalog.replace(o.identity, 'pg_catalog.', ''), pg_catalog.array_to_string(o.names, '.')), ''), coalesce(%[3]s, false)
FROM h LEFT JOIN o USING (version) ORDER BY 1, 3`, db.tables.history, recorded, isThere), string(written))
	if err != nil {
		return err
	}
	s.objects = map[migration.Version]defined{}
	var version migration.Version
	var known, there bool
	var object string
	_, err = pgx.ForEachRow(rows, []any{&version, &known, &object, &there}, func() error {
		d := s.objects[version]
		d.known = known
		if object != "" && !there {
			d.gone = append(d.gone, object)
		}
		s.objects[version] = d
		return nil
	})
	return err
}

// namedInText is what the text of a repeatable migration says that it creates.
func namedInText(version migration.Version, o migration.Object) json.RawMessage {
	class, names := "pg_class", []string{o.Schema, o.Name}
	switch o.Kind {
	case "function", "procedure", "aggregate":
		class = "pg_proc"
	case "type", "domain":
		class = "pg_type"
	case "schema":
		class, names = "pg_namespace", []string{o.Name}
	}
	text, err := json.Marshal(map[string]any{"version": version, "class": class, "kind": o.Kind, "names": names})
	if err != nil {
		panic("whimbrel: a name cannot be written: " + err.Error()) // it is text
	}
	return text
}

// recordObjects stores what a repeatable migration has created, with what it created
// earlier and leaves as it is, as by IF NOT EXISTS. What it dropped itself is no more.
func (r *run) recordObjects(p Planned) piece {
	return piece{statement: ours,
		text: fmt.Sprintf(
			`UPDATE %s h SET objects = (SELECT coalesce(pg_catalog.jsonb_agg(a.object ORDER BY a.object), '[]') FROM (%s
	UNION SELECT e FROM pg_catalog.jsonb_array_elements(h.objects) e, pg_catalog.jsonb_to_record(e) AS o(class name, kind text, names name[], identity text) WHERE %s
) a) WHERE h.version = %s`, r.db.tables.history, describedHere, isThere, r.quote(string(p.Migration.Version)))}
}

// replacedObjects notes, in the transaction of a migration with a version, that it has
// created or replaced what a repeatable one defines, which is therefore to run again.
// What is merely gone needs no note.
func (r *run) replacedObjects(p Planned) message {
	if !r.watchesObjects || p.Migration.Version.Repeatable() || p.RecordOnly() {
		return nil
	}
	return message{{statement: ours, text: fmt.Sprintf(`UPDATE %[1]s h SET checksum = '%[2]s' FROM (
	SELECT DISTINCT d.version FROM %[1]s d, pg_catalog.jsonb_to_recordset(d.objects) AS o(class name, identity text),
	(%[3]s) c JOIN pg_catalog.pg_class k ON k.oid = c.classid
	WHERE o.class = k.relname AND o.identity = (pg_catalog.pg_identify_object(c.classid, c.objid, 0)).identity
) r WHERE h.version = r.version`, r.db.tables.history, lost, createdHere)}}
}
