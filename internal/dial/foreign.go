package dial

import (
	"slices"
	"strings"
)

// A foreignParameter is one that addresses have for another program.
type foreignParameter struct {
	of      string // whose it is
	instead string // what to write, with VALUE in the place of its value
}

// libpq are the parameters that libpq reads, up to PostgreSQL 18, and database, which
// the driver reads as dbname; see
// https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS.
var libpq = strings.Fields(`
	application_name channel_binding client_encoding connect_timeout database dbname fallback_application_name gssdelegation gssencmode gsslib
	host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbspn krbsrvname load_balance_hosts max_protocol_version
	min_protocol_version oauth_client_id oauth_client_secret oauth_issuer oauth_scope options passfile password port replication require_auth
	requirepeer scram_client_key scram_server_key service servicefile sslcert sslcertmode sslcompression sslcrl sslcrldir sslkey sslkeylogfile
	ssl_max_protocol_version ssl_min_protocol_version sslmode sslnegotiation sslpassword sslrootcert sslsni target_session_attrs
	tcp_user_timeout user`)

func isLibpq(name string) bool { return slices.Contains(libpq, name) }

const (
	noPool  = "take it away: whimbrel has no pool of connections"
	noCache = "take it away: whimbrel keeps no prepared statements behind a pooler"
	path    = "write search_path=VALUE in its place"
)

// foreignOf says whose a parameter is, in whatever letters it is written.
func foreignOf(name string) foreignParameter {
	lower := strings.ToLower(name)
	if f, ok := foreign[lower]; ok {
		return f
	}
	switch {
	case strings.HasPrefix(lower, "x-"):
		return foreignParameter{"golang-migrate", "take it away: whimbrel's own options are flags, and keys of whimbrel.yaml"}
	// which are settings as well
	case lower != name && isLibpq(lower) && lower != "application_name" && lower != "client_encoding":
		return foreignParameter{"nobody", "write it in small letters, " + lower}
	}
	return foreignParameter{}
}

// foreign are the parameters of other programs, in small letters. None is a setting of
// PostgreSQL's.
var foreign = func() map[string]foreignParameter {
	all := map[string]foreignParameter{}
	for _, group := range []struct{ of, instead, names string }{
		{"Prisma", path, "schema"},
		{"Prisma", "take it away: whimbrel notices a pooler by itself", "pgbouncer"},
		{"Prisma", noPool, "connection_limit pool_timeout single_use_connections max_connection_lifetime " +
			"max_idle_connection_lifetime"},
		{"Prisma", "write statement_timeout in its place, with its unit, as 30s", "socket_timeout"},
		{"Prisma", "write sslmode=require in its place, or sslmode=verify-full where certificates are to be checked",
			"sslaccept"},
		{"Prisma", "write sslcert and sslkey in its place, which are files of PEM", "sslidentity"},
		{"Prisma and asyncpg", noCache, "statement_cache_size prepared_statement_cache_size prepared_statement_name_func"},
		{"pgx", noPool, `pool_max_conns pool_min_conns pool_min_idle_conns pool_max_conn_lifetime pool_max_conn_lifetime_jitter
			pool_max_conn_idle_time pool_health_check_period pool_ping_timeout`},
		{"pgx", noCache, "statement_cache_mode prefer_simple_protocol"},
		{"lib/pq", noCache, "binary_parameters disable_prepared_binary_result"},
		{"sqlx", noCache, "statement-cache-capacity"},
		{"sqlx", "write sslmode in its place", "ssl-mode"},
		{"JDBC", path, "currentschema"},
		{"JDBC", "write application_name in its place", "applicationname"},
		{"JDBC", "write connect_timeout in its place, in seconds", "connecttimeout logintimeout"},
		{"JDBC", "write statement_timeout in its place, with its unit, as 30s", "sockettimeout querytimeout"},
		{"JDBC", "write target_session_attrs in its place", "targetservertype"},
		{"JDBC", "write load_balance_hosts=random in its place", "loadbalancehosts"},
		{"JDBC", "write sslmode in its place", "sslfactory sslfactoryarg sslhostnameverifier"},
		{"JDBC", "write keepalives=1 in its place", "tcpkeepalive"},
		{"JDBC", noCache, "preparethreshold preparedstatementcachequeries preparedstatementcachesizemib prefer_query_mode " +
			"preferquerymode"},
		{"JDBC", "take it away", "rewritebatchedinserts stringtype defaultrowfetchsize readonly binarytransfer autosave " +
			"allowencodingchanges assumeminserverversion"},
		{"Rails", path, "schema_search_path"},
		{"Rails", noPool, "pool checkout_timeout idle_timeout reaping_frequency min_threads max_threads keepalive max_age"},
		{"Rails", noCache, "prepared_statements statement_limit"},
		{"Rails", "take it away", "advisory_locks adapter database_tasks"},
		{"Rails", "write client_min_messages in its place", "min_messages"},
		{"another program", "take it away: whimbrel speaks UTF-8", "encoding charset"},
		{"another program", "write connect_timeout in its place, in seconds",
			"timeout connectiontimeout connectiontimeoutmillis command_timeout"},
		{"Django", noPool, "conn_max_age conn_health_checks"},
		{"SQLAlchemy", noPool, "pool_size max_overflow pool_recycle pool_pre_ping poolclass"},
		{"SQLAlchemy", "take it away", "async_fallback server_settings drivername driver"},
		{"node-postgres", noPool, "max min maxconnections minconnections idletimeoutmillis allowexitonidle"},
		{"node-postgres", "take it away: sslmode means here what it means to libpq", "uselibpqcompat"},
		{"node-postgres", "write sslmode=require in its place, or sslmode=disable", "ssl tls"},
		{"node-postgres", "write statement_timeout in its place, with its unit, as 30s", "query_timeout"},
		{"Supabase", "take it away", "supa workaround"},
		{"Neon", "write options=endpoint%3DVALUE in its place", "endpoint"},
		{"Neon", "write options=project%3DVALUE in its place", "project"},
		{".NET", "write host in its place", "server hostname"},
		{".NET", "write user in its place", "username uid userid"},
		{".NET", "write password in its place", "pwd passwd"},
		{".NET", "write dbname in its place", "db initialcatalog"},
		{".NET", noPool, "pooling minpoolsize maxpoolsize"},
		{"older libpq", "write sslmode=require in its place", "requiressl"},
		{"older libpq", "take it away", "authtype tty"},
	} {
		for name := range strings.FieldsSeq(group.names) {
			all[name] = foreignParameter{group.of, group.instead}
		}
	}
	return all
}()
