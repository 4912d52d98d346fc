package sandbox

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// copied are the settings that are taken over from a live database: those by which SQL
// comes to mean something else. No value of theirs can be a secret.
var copied = []string{
	"search_path", "timezone", "datestyle", "intervalstyle", "extra_float_digits", "bytea_output", "lc_monetary",
	"lc_numeric", "lc_time", "default_text_search_config", "xmlbinary", "xmloption", "check_function_bodies",
	"default_table_access_method", "default_toast_compression", "default_transaction_isolation",
	"default_transaction_deferrable", "session_replication_role", "row_security", "array_nulls", "backslash_quote",
	"lo_compat_privileges", "quote_all_identifiers", "standard_conforming_strings", "transform_null_equals",
	"plpgsql.variable_conflict",
}

// Like adds to a furnishing what a live database has: the names of its server's roles, and
// what ALTER DATABASE and ALTER ROLE say of settings, and the search_path wherever it is
// from. The connection is one as the migrations run on. Nothing is changed there.
func Like(ctx context.Context, conn *pgx.Conn, f devdb.Furnishing) (devdb.Furnishing, error) {
	rows, err := conn.Query(ctx, "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' ORDER BY 1",
		pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		f.Copied, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err == nil {
		rows, err = conn.Query(ctx, `SELECT name, CASE WHEN name = 'search_path'
	THEN pg_catalog.replace(setting, '"$user"', pg_catalog.quote_ident(session_user)) ELSE setting END
FROM pg_catalog.pg_settings WHERE pg_catalog.lower(name) = ANY ($1)
AND (name = 'search_path' OR source IN ('database', 'user', 'database user', 'global')) ORDER BY name`,
			pgx.QueryExecModeSimpleProtocol, copied)
	}
	if err == nil {
		f.Settings, err = pgx.CollectRows(rows, pgx.RowToStructByPos[devdb.Setting])
	}
	if err != nil {
		return f, fmt.Errorf("reading roles and settings: %w", err)
	}
	return f, nil
}

// apply makes a setting of a live database one of this. A server that does not know it, or
// not its value, goes without.
func apply(ctx context.Context, conn *pgx.Conn, setting devdb.Setting) error {
	_, err := conn.Exec(ctx, "SELECT pg_catalog.set_config($1, $2, false)", setting.Name, setting.Value)
	if err == nil {
		var database string
		if err := conn.QueryRow(ctx, "SELECT pg_catalog.current_database()").Scan(&database); err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "ALTER DATABASE "+pgx.Identifier{database}.Sanitize()+" SET "+
			pgx.Identifier(strings.Split(setting.Name, ".")).Sanitize()+" FROM CURRENT")
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return nil
	}
	return err
}
