package adopt

import (
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"path"
	"strings"
	"unicode/utf16"

	"github.com/whimbrel-db/whimbrel/internal/foreign"
	"github.com/whimbrel-db/whimbrel/migration"
)

// tool is how another tool keeps its history, and how it keeps others out of it.
type tool struct {
	foreign.Tool
	// highWater is set where there is a single row with the newest version.
	highWater bool
	// keyed makes keys comparable; the same as a version's where it is nil.
	keyed func(string) string
	// lockTable is what the name of a second table ends in, in which the tool notes
	// that it is at work.
	lockTable string
	// locks are the advisory locks by which the tool keeps others out.
	locks func(Table) []int64
}

func (t tool) key(key string) string {
	if t.keyed != nil {
		return t.keyed(key)
	}
	return string(migration.Version(key).Canonical())
}

func sameKey(key string) string { return key }

// stem is a file's name without its extension, where it has one.
func stem(key string) string {
	for _, extension := range []string{".js", ".cjs", ".mjs", ".ts", ".cts", ".mts"} {
		if before, found := strings.CutSuffix(key, extension); found {
			return before
		}
	}
	return key
}

// fixed is the key of a lock that is the same everywhere.
func fixed(key int64) func(Table) []int64 { return func(Table) []int64 { return []int64{key} } }

// atlasLock is the hash of the name of Atlas' lock.
func atlasLock() uint32 {
	sum := fnv.New32()
	_, _ = sum.Write([]byte("atlas_migrate_execute"))
	return sum.Sum32()
}

// tools are those that can be adopted.
func tools() (all []tool) {
	for _, known := range foreign.Tools() {
		if known.Adoptable {
			t := beyond[known.Name]
			t.Tool = known
			all = append(all, t)
		}
	}
	return all
}

// beyond is what adopting takes beyond the list of tools, by the names of their formats.
var beyond = map[string]tool{
	"goose":           {locks: fixed(4097083626)},
	"golang-migrate":  {highWater: true, locks: golangMigrateLocks},
	"sql-migrate":     {keyed: sameKey},
	"flyway":          {locks: func(t Table) []int64 { return []int64{flywayLock(t)} }},
	"tern":            {highWater: true, locks: fixed(9628173550095224)},
	"atlas":           {locks: fixed(int64(atlasLock()))},
	"node-pg-migrate": {keyed: stem, locks: fixed(7241865325823964)},
	"db-migrate":      {keyed: path.Base},
	"knex":            {keyed: stem, lockTable: "_lock"},
	"prisma":          {keyed: sameKey, locks: fixed(72707369)},
	"drizzle":         {keyed: sameKey},
}

// golangMigrateLocks are the keys of golang-migrate's lock: a checksum of what is
// migrated, times a number, in 32 bits. As a program it takes the path of the URL
// for the database's name, with its slash; as a library it asks the database.
func golangMigrateLocks(t Table) (keys []int64) {
	for _, database := range []string{"/" + t.place.Database, t.place.Database} {
		keys = append(keys, int64(crc32.ChecksumIEEE([]byte(t.Schema+"\x00"+t.Name+"\x00"+database))*1486364155))
	}
	return keys
}

// flywayLock is the key of Flyway's lock: the letters of its name, plus what
// Java's String.hashCode gives for the table.
func flywayLock(t Table) int64 {
	var magic int64
	for _, letter := range []byte("Flyway") {
		magic = magic<<8 | int64(letter)
	}
	var hash int32
	for _, unit := range utf16.Encode([]rune(`"` + t.Schema + `"."` + t.Name + `"`)) {
		hash = 31*hash + int32(unit)
	}
	return magic + int64(hash)
}

// failed wraps what the server said.
func failed(doing string, err error) error { return fmt.Errorf("%s: %w", doing, err) }
