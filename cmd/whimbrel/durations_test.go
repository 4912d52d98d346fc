package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/forecast"
	"github.com/whimbrel-db/whimbrel/monitor"
	"github.com/whimbrel-db/whimbrel/monitor/alert"
	"github.com/whimbrel-db/whimbrel/pipeline"
	"github.com/whimbrel-db/whimbrel/preflight"
	"github.com/whimbrel-db/whimbrel/squash"
	"github.com/whimbrel-db/whimbrel/trial"
)

// timed are the types with durations that are written as JSON, and those that embed them.
var timed = []any{
	whimbrel.Blocker{}, whimbrel.LeaseWaiting{}, whimbrel.LeaseTaken{}, whimbrel.HookFinished{}, whimbrel.LockWaiting{},
	whimbrel.TrafficWaiting{}, whimbrel.Retrying{}, whimbrel.Reconnected{}, whimbrel.BatchProgress{},
	whimbrel.BatchResumed{}, whimbrel.StepFinished{}, whimbrel.MigrationFinished{}, whimbrel.Failed{},
	whimbrel.RunFinished{}, whimbrel.Result{}, whimbrel.Outcome{}, whimbrel.Applied{}, whimbrel.LogEntry{},
	whimbrel.StepEntry{}, pipeline.Step{}, preflight.Backups{}, preflight.Replica{}, preflight.Result{},
	preflight.Sessions{}, preflight.Session{}, preflight.Idle{}, squash.Baseline{}, forecast.Estimate{},
	monitor.Metrics{}, monitor.Durations{}, monitor.Attempt{}, alert.Alert{}, alert.Session{}, trial.Report{},
	trial.Result{}, trial.Measure{}, trial.Lock{}, trial.Timing{}, trial.Finished{},
	deployment{}, deliveryJSON{}, squashed{}, resultJSON{}, whimbrel.Status{}, whimbrel.Verification{},
	preflight.Report{}, pipeline.Report{}, verified{},
}

// Every value is filled and written; what is written is in a file, by which names and
// milliseconds stay what they are. What libraries can read they read back.
func TestDurationsAreMillisecondsInJSON(t *testing.T) {
	t.Parallel()
	var all bytes.Buffer
	for _, v := range timed {
		filled := reflect.New(reflect.TypeOf(v))
		fillAll(filled.Elem(), 0)
		text, err := json.Marshal(filled.Elem().Interface())
		require.NoError(t, err)
		fmt.Fprintf(&all, "%T %s\n", v, text)
		text, err = json.Marshal(reflect.Zero(filled.Elem().Type()).Interface())
		require.NoError(t, err)
		fmt.Fprintf(&all, "%T %s\n", v, text)
		if _, read := filled.Interface().(json.Unmarshaler); read && filled.Elem().Type().PkgPath() !=
			reflect.TypeFor[deployment]().PkgPath() {
			again := reflect.New(reflect.TypeOf(v))
			written, err := json.Marshal(filled.Interface())
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(written, again.Interface()), "%T", v)
			read, err := json.Marshal(again.Interface())
			require.NoError(t, err)
			require.JSONEq(t, string(written), string(read), "%T", v)
		}
	}
	const golden = "testdata/durations.txt"
	if *update {
		require.NoError(t, os.WriteFile(golden, all.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), all.String())
}

// fillAll gives every field a value, and every list one element.
func fillAll(v reflect.Value, depth int) {
	if !v.CanSet() || depth > 6 {
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("<" + v.Type().Name() + ">")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32:
		v.SetInt(7)
	case reflect.Int64:
		v.SetInt(1_234_567_000)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAll(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillAll(v.Index(0), depth+1)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillAll(key, depth+1)
		fillAll(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			fillAll(v.Field(i), depth+1)
		}
	}
}
