package migration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/migration"
)

// What plainly marks the down migration is never run as a part of the up migration.
func TestAMarkThatIsNotReadIsSeen(t *testing.T) {
	t.Parallel()
	for _, mark := range []string{
		"-- migrate Down", "--migrate Down", "--- +migrate Down", "/* +migrate Down */", "-- down", "-- ==== DOWN ====",
		"-- 1 down",
		"--- !Downs", "-- @DOWN", "-- rollback:", "--down", "-- DOWN", "-- Down:", "-- [down]", "-- >>> down <<<",
		"-- migrate:Down?",
		"-- Down Migration Script", "-- undo", "-- @undo", "-- revert", "-- Rollback script", "-- migration down",
		"-- goose Down",
		"-- sql-migrate down", "/* DOWN */", "/*\n * Down\n */", "-- rollback (down)", "-- begin down",
		"-- start of the down section",
		"-- roll back", "-- the way back", "-- 002.down.sql", "-- users.down.sql", "-- V2 down", "-- *** ROLLBACK ***",
		"-- #down",
		"-- +down", "-- :down", "--\tdown", "  -- down", "-- dbmate down", "-- teardown", "-- migrate down notransaction",
		"-- ~~~down~~~",
		"-- down\n-- ====", "-- ====\n-- down\n-- ====", "-- down\n\n-- it takes the table away", "-- down --",
		"-- migrate Dwon", "-- Down Migraton", "-- rolback", "-- +micrate Down", "---- create above / drop below",
		"-- drop below", "-- ＤＯＷＮ",
		"-- D O W N", "-- region down", "-- direction: down", "-- type=DOWN", "-- Rollback plan", "-- rollback commands",
		"-- roll-back",
		"-- reverting", "-- downwards", "-- DB rollback", "-- tear down", "-- down\n-- drop the table",
		"-- down\n-- drops it again",
		"/*\n * DOWN\n * drops the table again\n */", "/*\n\n -- +migrate Down\n\n*/",
	} {
		for _, begin := range []string{"", "-- up\n", "-- +migrate Up\n", "\uFEFF"} {
			for _, lineEnd := range []string{"", "\n\n"} {
				text := begin + "CREATE TABLE kept (id int);\n" + lineEnd + mark + "\nDROP TABLE kept;\n"
				m, err := migration.Parse("1_kept.sql", text)
				if err != nil { // it is refused as another tool's mark, or as a slip
					require.NotEmpty(t, migration.Problems(err)[0].Remedy, mark)
					continue
				}
				require.NotNil(t, m.UnreadMark, "%q", text)
				require.Equal(t, migration.CodeUnreadMark, m.UnreadMark.Code)
				require.Equal(t, "1_kept.sql", m.UnreadMark.Path)
				require.Contains(t, m.UnreadMark.Remedy, "-- +migrate Down")
			}
		}
	}
	m, err := migration.Parse("1_kept.sql", "CREATE TABLE kept (id int);\n\n  -- down\nDROP TABLE kept;\n")
	require.NoError(t, err)
	require.Equal(t, "1_kept.sql:3:3: \"-- down\" looks like a mark, but is none that is read: "+
		"what is below it would run as a part of the up migration", m.UnreadMark.Error())
}

// What says more than a mark does is a remark, and so is what no statement follows.
func TestARemarkIsNoMark(t *testing.T) {
	t.Parallel()
	const up, down = "CREATE TABLE kept (id int);\n", "ALTER TABLE kept ADD COLUMN n int;\n"
	for _, text := range []string{
		up + "-- down the road this will have more columns\n" + down, up + "-- rollback: see the runbook\n" + down,
		up + "-- rollback\n", up + "-- rollback: see the runbook\n", up + "/* down */", up + "-- down\n-- DROP TABLE kept;\n",
		up + "-- Rollback:\n--   DROP TABLE kept;\n" + down, up + "-- To undo:\n--\tALTER TABLE kept DROP COLUMN n;\n\n" +
			down,
		"-- Rollback:\n-- DROP TABLE kept;\n\n" + up, up + "-- +migrate Prose\n-- down\n" + down, up +
			"--+migrate prose\n/* down */\n" + down,
		up + "-- Rollback:\n-- (by hand)\n-- DROP TABLE kept;\n" + down, up +
			"-- Rollback\n-- ====\n-- DROP TABLE kept;\n-- ====\n" + down,
		up + "-- Rollback:\n--   see the runbook\n" + down, up + "/*\n * It has more columns.\n *\n * Rollback\n */\n" + down,
		up + "/* Rollback:\n DROP TABLE kept; */\n" + down, up + "-- town\n" + down, up + "-- migration done\n" + down,
		up + "-- migrate towns\n" + down, up + "-- drop down\n" + down, up + "-- undo type\n" + down, up +
			"-- type: breakdown\n" + down,
		up + "-- +migrate Prose\n-- what comes next\n-- down\n" + down, up + "SELECT 1; -- down\n" + down, up +
			"SELECT 1 /* down */;\n" + down,
		up + "SELECT\n-- down\n1;\n" + down, up + "SELECT 'a\n-- down\n';\n" + down, up +
			"DO $$\nBEGIN\n-- down\nNULL;\nEND $$;\n" + down,
		"-- ==== UP ====\n-- +migrate Up\n" + up + "-- ==== DOWN ====\n-- +migrate Down\nDROP TABLE kept;\n",
		"-- +migrate Up\n" + up + "-- +migrate Down\n-- down\nDROP TABLE kept;\n", "-- up\n" + up, "-- up\n" + up +
			"-- up\n" + down,
		up + "-- scale down\n" + down, up + "-- down payments\n" + down, up + "-- shut down the queue\n" + down, up +
			"-- drop down list\n" + down,
		up + "-- undo log\n" + down, up + "-- revert #123: the column is wanted again\n" + down, up + "-- breakdown\n" + down,
		up + "-- up and down\n" + down, up + "-- countdown\n" + down, up + "--\n" + down, up + "-- ----\n" + down, up +
			"-- 2\n" + down,
		"-- Revert migration 42\n" + down, "-- Rollback of 0041\n\n" + down, "/* undo */\n" + down,
		"-- +migrate Up\n-- reverse the migration\n" + down,
		up + "-- section 2\n" + down, up + "-- migration\n" + down, up + "-- see 001_kept.down.sql for the way back\n" + down,
	} {
		m, err := migration.Parse("1_kept.sql", text)
		require.NoError(t, err, "%q", text)
		require.Nil(t, m.UnreadMark, "%q", text)
		require.NotEmpty(t, m.Up.Statements, "%q", text)
	}
}
