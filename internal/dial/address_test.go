package dial_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/dial"
)

// local is the address of the tests' server with other parameters.
func local(parameters string) string {
	address := server.TCPURL("postgres")
	if strings.Contains(address, "?") {
		return address + "&" + parameters
	}
	return address + "?" + parameters
}

func TestWhatLibpqReadsIsHonouredOrLeftUndone(t *testing.T) {
	t.Parallel()
	for name, parameters := range map[string]string{
		"keepalives":                     "keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3",
		"no keepalives":                  "keepalives=0",
		"a bound for what is under way":  "tcp_user_timeout=30000",
		"the server's address":           "hostaddr=127.0.0.1",
		"no encryption by GSSAPI":        "gssencmode=disable&gsslib=gssapi&gssdelegation=0&krbsrvname=postgres",
		"channel binding if it is there": "channel_binding=prefer&sslmode=prefer",
		"any kind of login":              "require_auth=!gss",
		"compression of TLS":             "sslcompression=1",
		"the kind of server":             "target_session_attrs=read-write",
		"hosts in any order":             "load_balance_hosts=random",
		"options":                        "options=-c%20statement_timeout%3D7s",
		"a name if there is none":        "fallback_application_name=shop",
		"no replication":                 "replication=false",
		"versions of TLS":                "ssl_min_protocol_version=TLSv1.2&ssl_max_protocol_version=TLSv1.3",
		"a list that is not there":       "sslcrl=/nowhere/root.crl",
		"OAuth, which nobody asks for":   "oauth_issuer=https://id.example.com&oauth_client_id=x",
		"the encoding of the place":      "client_encoding=auto",
		"the server's user over TCP":     "requirepeer=nobody-of-that-name",
		"versions of the protocol":       "min_protocol_version=3.0&max_protocol_version=3.0",
		"nothing":                        "sslcompression=&gssencmode=&hostaddr=&keepalives=",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := dial.Parse(local(parameters))
			require.NoError(t, err)
			conn, err := dial.Open(t.Context(), config)
			require.NoError(t, err)
			dial.Close(conn)
		})
	}
}

func TestSettingsOfPostgreSQLAndOfTheApplicationReachTheServer(t *testing.T) {
	t.Parallel()
	for setting, value := range map[string]string{
		"search_path": "audit, public", "statement_timeout": "7s", "application_name": "shop", "shop.tenant": "seven",
		"TimeZone":                  "Asia/Tokyo",
		"fallback_application_name": "spare",
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			config, err := dial.Parse(local(setting + "=" + url.PathEscape(value)))
			require.NoError(t, err)
			conn, err := dial.Open(t.Context(), config)
			require.NoError(t, err)
			defer dial.Close(conn)
			var got string
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT current_setting($1)", strings.TrimPrefix(setting,
				"fallback_")).Scan(&got))
			require.Equal(t, value, got)
		})
	}
}

func TestAddressesOfOtherProgramsAreNamedWithWhatToWrite(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][2]string{
		"postgres://u:hunter2x@h/d?schema=sales": {"schema (of Prisma)", "search_path=sales"},
		"postgres://u:hunter2x@h/d?pgbouncer=true&connection_limit=1": {"connection_limit (of Prisma), pgbouncer (of " +
			"Prisma)", "no pool"},
		"postgres://u:hunter2x@h/d?pool_timeout=3":                {"pool_timeout", "no pool"},
		"postgres://u:hunter2x@h/d?pool_max_conns=4":              {"pool_max_conns (of pgx)", "no pool"},
		"postgres://u:hunter2x@h/d?statement_cache_mode=describe": {"statement_cache_mode", "take it away"},
		"postgres://u:hunter2x@h/d?sslaccept=strict":              {"sslaccept", "sslmode=verify-full"},
		"postgres://u:hunter2x@h/d?socket_timeout=3":              {"socket_timeout", "statement_timeout"},
		"postgres://u:hunter2x@h/d?currentSchema=sales":           {"currentSchema (of JDBC)", "search_path=sales"},
		"postgres://u:hunter2x@h/d?x-migrations-table=m": {"x-migrations-table (of golang-migrate)",
			"whimbrel.yaml"},
		"postgres://u:hunter2x@h/d?sslMode=require":   {"sslMode", "small letters, sslmode"},
		"postgres://u:hunter2x@h/d?ssl=no-verify":     {"ssl", "sslmode=require"},
		"postgres://u:hunter2x@h/d?sslmode=no-verify": {"sslmode", "no-verify is require"},
		"postgres://u:hunter2x@h/d?statement-cache-capacity=3": {"statement-cache-capacity (of sqlx)",
			"take it away"},
		"postgres://u:hunter2x@h/d?gssencmode=require":           {"gssencmode", "GSSAPI"},
		"postgres://u:hunter2x@h/d?replication=database":         {"replication", "ordinary connection"},
		"postgres://u:hunter2x@h/d?keepalives_idle=long":         {"keepalives_idle", "number"},
		"postgres://u:hunter2x@h/d?hostaddr=db.example.com":      {"no IP address", "192.0.2.7"},
		"postgres://u:hunter2x@a,b/d?hostaddr=192.0.2.1,::1,::2": {"2 hosts and 3 addresses", "one for each"},
		"jdbc:postgresql://db.example.com/shop?user=a&password=hunter2": {"jdbc:",
			"postgres://user:password@host:5432/database"},
		"prisma+postgres://db.example.com/?api_key=hunter2x": {"prisma+postgres:", "the database's own"},
		"prisma://db.example.com/?api_key=hunter2x":          {"prisma:", "the database's own"},
		"postgresql+psycopg2://u:hunter2x@h/d":               {"postgresql+psycopg2:", "take the driver away"},
		"mysql://u:hunter2x=y@h/d":                           {"mysql:", "whimbrel migrates PostgreSQL"},
		"POSTGRES://u:hunter2x@h/d?sslmode=disable":          {"POSTGRES:", "postgres://"},
		"postgres:u=hunter2x":                                {"postgres:", "postgres://"},
		"Server=h;Port=5432;User Id=u;Password=hunter2x":     {"semicolons", "keywords with blanks"},
		"Host=h;Username=u;Password=hunter2x":                {"", "host"},
		"Server=h Password=hunter2x":                         {"Server", "write host"},
		"host=h password=open hunter2x-&=x":                  {"none of PostgreSQL's", "quotes"},
		"\"postgres://u:hunter2x@h/d\"\n":                    {"a line end and a pair of quotes", "without"},
		" postgres://u:hunter2x@h/d?sslmode=disable":         {"white space", "without"},
		"postgres://u:hunter2x@h/d\r\n":                      {"a line end", "without"},
		"DATABASE_URL=postgres://u:hunter2x@h/d": {"name of a variable before it: DATABASE_URL",
			"value alone"},
		"export PG_URL='postgresql://u:hunter2x@h/d'": {"name of a variable before it: PG_URL",
			"value alone"},
		"“postgres://u:hunter2x@h/d”":                         {"a pair of quotes", "without"},
		"<postgres://u:hunter2x@h/d>":                         {"a pair of brackets", "without"},
		`"postgres://u:hunter2x@h/d\n"`:                       {"a pair of quotes and a line end", "without"},
		"host=postgres://u:hunter2x@h/d":                      {"a whole address", "DATABASE_URL"},
		"host=h dbname=postgres://u:hunter2x@h/d":             {"a whole address", "DATABASE_URL"},
		"host=db.example.com:5433 dbname=d password=hunter2x": {"a port behind it", "DB_PORT"},
		"'host=h user=u'":                                     {"a pair of quotes", "without"},
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			_, err := dial.Parse(address)
			var wrong *dial.AddressError
			require.ErrorAs(t, err, &wrong)
			require.Contains(t, wrong.Problem, want[0])
			require.Contains(t, wrong.Remedy, want[1])
			require.NotContains(t, wrong.Problem+wrong.Remedy, "hunter2")
			require.NotContains(t, wrong.Problem+wrong.Remedy, "sesame")
		})
	}
}

func TestAddressesThatLookLikeOthersAreRead(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][3]string{
		"postgres://u:p@h/d?default_query_exec_mode=exec&statement_cache_capacity=0": {"h", "d", "p"},
		"  host=h dbname=d password=p\n":                                             {"h", "d", "p"},
		"host = h\ndbname = d\npassword = 'jdbc:p;x=\"'":                             {"h", "d", "jdbc:p;x=\""},
		"password=a;b=c host=h  dbname=d":                                            {"h", "d", "a;b=c"},
		"host=h dbname=d password=a;b=c":                                             {"h", "d", "a;b=c"},
		"host=h dbname=d password=postgres://x":                                      {"h", "d", "postgres://x"},
		"password=postgres://x host=h dbname=d":                                      {"h", "d", "postgres://x"},
		"host=h dbname=<d> password=p\\n":                                            {"h", "<d>", "pn"},
		"host=fe80::1 dbname=d password=p":                                           {"fe80::1", "d", "p"},
		"host=/tmp/a:1 dbname=d password=p":                                          {"/tmp/a:1", "d", "p"},
		"postgres://u:p%0A@h/%22d%22":                                                {"h", "\"d\"", "p\n"},
		"postgresql://u:jdbc%3A@h/d?ssl=true":                                        {"h", "d", "jdbc:"},
		"postgres://u:p@h/d?hostaddr=192.0.2.7&sslmode=verify-full":                  {"192.0.2.7", "d", "p"},
		"postgres:///d?hostaddr=192.0.2.7&password=p":                                {"192.0.2.7", "d", "p"},
		"dbname=d hostaddr=192.0.2.7 password=p":                                     {"192.0.2.7", "d", "p"},
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			config, err := dial.Parse(address)
			require.NoError(t, err)
			require.Equal(t, want, [3]string{config.Host, config.Database, config.Password})
		})
	}
	config, err := dial.Parse("postgres://u@db.example.com/d?hostaddr=192.0.2.7&sslmode=verify-full")
	require.NoError(t, err)
	require.Equal(t, "db.example.com", config.TLSConfig.ServerName, "the certificate is that of the host")
}

func TestAServerThatRunsAsSomebodyElseIsNotTalkedTo(t *testing.T) {
	t.Parallel()
	config, err := dial.Parse(server.URL("postgres") + "&requirepeer=nobody-of-that-name")
	require.NoError(t, err)
	_, err = dial.Open(t.Context(), config)
	if strings.HasPrefix(config.Host, "/") {
		require.ErrorContains(t, err, "requirepeer asks for a server that runs as")
	}
}
