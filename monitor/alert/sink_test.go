package alert_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/monitor"
	"github.com/whimbrel-db/whimbrel/monitor/alert"
)

// receiver is an HTTP server that keeps what it is sent.
type receiver struct {
	*httptest.Server
	mutex    sync.Mutex
	requests []*http.Request
	bodies   [][]byte
	statuses []int // of the answers, in order; then 204
}

func newReceiver(t *testing.T, statuses ...int) *receiver {
	r := &receiver{statuses: statuses}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.requests, r.bodies = append(r.requests, request), append(r.bodies, body)
		status := http.StatusNoContent
		if len(r.requests) <= len(r.statuses) {
			status = r.statuses[len(r.requests)-1]
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// try sends a sample to a target.
func try(t *testing.T, target alert.Target) alert.Delivery {
	t.Helper()
	route, err := alert.Open(target)
	require.NoError(t, err)
	deliveries := alert.Try(t.Context(), alert.Options{Routes: []alert.Route{route}, Environment: "production",
		Pause: time.Millisecond, Tries: 4}, "ann@db:5432/shop")
	require.Len(t, deliveries, 1)
	return deliveries[0]
}

func TestAWebhookGetsTheAlertAndItsSignature(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{secret, "any other text"} {
		r := newReceiver(t)
		delivery := try(t, alert.Target{URL: r.URL + "/hook?token=t0ken", Secret: secret})
		require.NoError(t, delivery.Err)
		require.Equal(t, 1, delivery.Tries)
		header, body := r.requests[0].Header, r.bodies[0]
		require.Equal(t, "application/json", header.Get("Content-Type"))
		require.Equal(t, "t0ken", r.requests[0].URL.Query().Get("token"))
		require.NoError(t, alert.Verify(secret, header, body, time.Now(), time.Minute))

		var a alert.Alert
		require.NoError(t, json.Unmarshal(body, &a))
		require.Equal(t, header.Get("webhook-id"), a.ID)
		require.Equal(t, alert.Test, a.Reason)
		require.Equal(t, "production", a.Environment)

		require.ErrorContains(t, alert.Verify("another", header, body, time.Now(), time.Minute), "does not match")
		require.ErrorContains(t, alert.Verify(secret, header, append(body, ' '), time.Now(), time.Minute), "does not match")
		require.ErrorContains(t, alert.Verify(secret, header, body, time.Now().Add(time.Hour), time.Minute), "too old")
		header.Set("webhook-id", "another")
		require.ErrorContains(t, alert.Verify(secret, header, body, time.Now(), time.Minute), "does not match")
		require.ErrorContains(t, alert.Verify(secret, http.Header{}, body, time.Now(), time.Minute), "webhook-timestamp")
	}
}

// The example of the specification of Standard Webhooks.
func TestTheSignatureIsThatOfStandardWebhooks(t *testing.T) {
	t.Parallel()
	header := http.Header{}
	header.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	header.Set("webhook-timestamp", "1614265330")
	header.Set("webhook-signature", "v1,other v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	require.NoError(t, alert.Verify(secret, header, []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0), time.Minute))
}

func TestAWebhookIsSentAgainWhereThatMayHelp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		statuses []int
		tries    int
		message  string
	}{
		"the receiver starts":     {[]int{503, 502}, 3, ""},
		"it is asked too often":   {[]int{429}, 2, ""},
		"it stays away":           {[]int{500, 500, 500, 500}, 4, "500 Internal Server Error"},
		"it does not know us":     {[]int{401}, 1, "401 Unauthorized"},
		"it sends us elsewhere":   {[]int{307}, 1, "307 Temporary Redirect"},
		"it does not have a page": {[]int{404}, 1, "404 Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, test.statuses...)
			delivery := try(t, alert.Target{URL: r.URL + "/T0KEN", Secret: secret})
			require.Equal(t, test.tries, delivery.Tries)
			require.Len(t, r.requests, test.tries)
			for _, request := range r.requests {
				require.Equal(t, r.requests[0].Header.Get("webhook-id"), request.Header.Get("webhook-id"))
			}
			if test.message == "" {
				require.NoError(t, delivery.Err)
				return
			}
			require.ErrorContains(t, delivery.Err, test.message)
			require.NotContains(t, delivery.Err.Error(), "T0KEN")
		})
	}
}

func TestNobodyAtTheAddressIsSaidWithoutTheToken(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	address := r.URL
	r.Close()
	delivery := try(t, alert.Target{URL: address + "/T0KEN?key=T0KEN"})
	require.Equal(t, 4, delivery.Tries)
	require.ErrorContains(t, delivery.Err, "refused")
	require.NotContains(t, delivery.Err.Error(), "T0KEN")
	require.Equal(t, address, delivery.Route)
}

func TestACommandGetsTheAlertOnItsStandardInput(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "alert.json")
	script := filepath.Join(t.TempDir(), "tell")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\ncat > \"$1\"\n"), 0o700))
	delivery := try(t, alert.Target{URL: "exec:" + script + "?arg=" + file})
	require.NoError(t, delivery.Err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var a alert.Alert
	require.NoError(t, json.Unmarshal(text, &a))
	require.Equal(t, "ann@db:5432/shop", a.Database)
	require.NoError(t, try(t, alert.Target{URL: "exec:true"}).Err) // from PATH
}

func TestACommandThatFailsIsQuotedWithoutItsArguments(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "tell")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho \"cannot log in with $1\" >&2\n"+
		"yes | head -c 100000\nexit 3\n"), 0o700))
	delivery := try(t, alert.Target{URL: "exec:" + script + "?arg=T0KEN"})
	require.EqualError(t, delivery.Err, "tell: exit status 3: cannot log in with xxxxx")
	require.Equal(t, 1, delivery.Tries)
	require.EqualError(t, try(t, alert.Target{URL: "exec:no-such-program"}).Err,
		"no-such-program cannot be run: executable file not found in $PATH")
	require.ErrorContains(t, try(t, alert.Target{URL: "exec:" + t.TempDir()}).Err, "permission denied")
}

func TestACommandThatDoesNotEndIsKilled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	begun := filepath.Join(t.TempDir(), "begun")
	require.NoError(t, os.Mkdir(filepath.Dir(begun)+"/x", 0o700))
	script := filepath.Join(t.TempDir(), "hang")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\ntouch \"$1\"\nexec sleep 3600\n"), 0o700))
	ended := make(chan error)
	go func() { ended <- alert.Command{Path: script, Arguments: []string{begun}}.Send(ctx, alert.Alert{}) }()
	require.Eventually(t, func() bool { _, err := os.Stat(begun); return err == nil }, time.Minute, time.Millisecond)
	cancel()
	require.EqualError(t, <-ended, "hang did not end in time and was killed")
}

func TestTargetsThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	for address, message := range map[string]string{
		"https://":         "has no host",
		"exec:":            "names no program",
		"https://T0KEN@%z": "percent-encoded",
		"":                 "unknown kind",
		"gopher://T0KEN":   `unknown kind of alert sink: "gopher"`,
	} {
		_, err := alert.Open(alert.Target{URL: address})
		require.ErrorContains(t, err, message, address)
		require.NotContains(t, err.Error(), "T0KEN")
	}
	_, err := alert.Open(alert.Target{URL: "https://host", Secret: "whsec_T0KEN!"})
	require.ErrorContains(t, err, "base64")
	require.NotContains(t, err.Error(), "T0KEN")
}

func TestATargetDoesNotShowItsSecrets(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"https://ann:S3cretword@host/S3cretword/x?key=S3cretword", "slack://hook:S3cretword@webhook",
		"discord://S3cretword@12345678",
		"telegram://S3cretword@telegram?chats=@a", "smtp://ann:S3cretword@host:25/?to=bob@example.com",
		"exec:tell?arg=S3cretword", "https://S3cretword@%z",
	} {
		target := alert.Target{URL: address, Secret: "an0ther"}
		require.Contains(t, strings.Join(target.Secrets(), " "), "S3cretword", address)
		for _, shown := range []string{target.String(), fmt.Sprintf("%v %+v %#v", target, target, target),
			target.Redact("at " + address + " an0ther: S3cretword")} {
			require.NotContains(t, shown, "S3cretword", address)
			require.NotContains(t, shown, "an0ther", address)
		}
	}
	require.Equal(t, "Post https://hooks.slack.com/xxxxx failed",
		alert.Target{URL: "slack://x"}.Redact("Post https://u:p@hooks.slack.com/services/T/B/X?x=1 failed"))
}

func FuzzAnyURLOpensOrIsRefusedWithoutBeingShown(f *testing.F) {
	for _, seed := range []string{"https://host/x", "exec:a?arg=b", "slack://a:b@c", "%zz", "::", "exec:?arg"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		const token = "qQ7zT0KENzQq"
		for _, address := range []string{rest + token, token + rest, "https://h/" + token + rest, "slack://" + token + "@" +
			rest} {
			target := alert.Target{URL: address, Name: "ops"}
			if _, err := alert.Open(target); err != nil {
				require.NotContains(t, strings.ToLower(err.Error()), strings.ToLower(token))
			}
			require.NotContains(t, target.Redact("at "+address), token)
			if target.Name = ""; !strings.HasPrefix(target.String(), "http") { // whose host is no secret
				require.NotContains(t, strings.ToLower(target.String()), strings.ToLower(token))
			}
		}
	})
}

// blocked is a sink that never answers and does not obey the context.
func blocked(t *testing.T) (alert.Sink, chan alert.Alert) {
	release, got := make(chan struct{}), make(chan alert.Alert, 100)
	t.Cleanup(func() { close(release) })
	return alert.SinkFunc(func(_ context.Context, a alert.Alert) error { got <- a; <-release; return nil }), got
}

// report keeps deliveries.
type report struct {
	mutex sync.Mutex
	all   []alert.Delivery
}

func (r *report) add(d alert.Delivery) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.all = append(r.all, d)
}

func failed(n int) monitor.Observation {
	return monitor.Observation{Record: whimbrel.Record{Time: time.Now(),
		Event: whimbrel.Failed{Migration: whimbrel.Ref{Version: "1", Name: fmt.Sprint(n)}}}}
}

func TestASinkThatHangsIsGivenUpAtTheEndAndEveryAlertIsAccountedFor(t *testing.T) {
	t.Parallel()
	hung, begun := blocked(t)
	var delivered report
	var said report
	watch := alert.Start(alert.Options{Report: said.add, Routes: []alert.Route{
		{Name: "hangs", Sink: hung},
		{Name: "works", Sink: alert.SinkFunc(func(_ context.Context,
			a alert.Alert) error {
			delivered.add(alert.Delivery{Alert: a})
			return nil
		})},
	}})
	watch.Observe(failed(0))
	<-begun
	const all = 100 // more than its queue holds
	for n := 1; n < all; n++ {
		watch.Observe(failed(n))
		require.Eventually(t,
			func() bool { delivered.mutex.Lock(); defer delivered.mutex.Unlock(); return len(delivered.all) == n+1 },
			time.Minute, time.Microsecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.EqualError(t, watch.Close(ctx), "64 alerts were not delivered in time")
	require.NoError(t, watch.Close(ctx)) // a second time does no harm
	watch.Observe(failed(0))
	watch.Refused(alert.Refusal{})

	lost := map[string]int{}
	require.Eventually(t, func() bool {
		said.mutex.Lock()
		defer said.mutex.Unlock()
		clear(lost)
		for _, d := range said.all {
			if d.Err != nil {
				lost[d.Route+": "+d.Err.Error()]++
			}
		}
		return len(said.all) == 2*all
	}, time.Minute, time.Millisecond)
	require.Equal(t, map[string]int{
		"hangs: given up: the run ended and the sink has not answered": 64,
		"hangs: dropped: too many alerts wait for this sink already":   all - 64,
	}, lost)
}

func TestSinksHearWhatTheyWant(t *testing.T) {
	t.Parallel()
	var heard report
	sink := func(name string) alert.Sink {
		return alert.SinkFunc(func(_ context.Context, a alert.Alert) error {
			heard.add(alert.Delivery{Route: name, Alert: a})
			return nil
		})
	}
	watch := alert.Start(alert.Options{Environment: "staging", Routes: []alert.Route{
		{Sink: sink("all")},
		{Sink: sink("high"), Severity: alert.High},
		{Sink: sink("critical"), Severity: alert.Critical},
		{Sink: sink("production"), Environments: []string{"production"}},
		{Sink: sink("staging"), Environments: []string{"production", "staging"}},
	}})
	watch.Refused(alert.Refusal{Command: "up", Database: "ann@db:5432/shop", Check: "disk_space",
		Message: "the disk is full", Remedy: "free some"})
	require.NoError(t, watch.Close(t.Context()))
	var names []string
	for _, d := range heard.all {
		names = append(names, d.Route)
		require.Equal(t, alert.Refused, d.Alert.Reason)
		require.Equal(t, "whimbrel up did not begin, because of disk_space: the disk is full", d.Alert.Message)
	}
	require.ElementsMatch(t, []string{"all", "high", "staging"}, names)
}

func TestASinksFaultIsAFailureAndNotTheProgramsEnd(t *testing.T) {
	t.Parallel()
	var said report
	watch := alert.Start(alert.Options{Report: said.add, Routes: []alert.Route{
		{Name: "panics", Sink: alert.SinkFunc(func(context.Context, alert.Alert) error { panic("oh") })},
		{Name: "fails", Sink: alert.SinkFunc(func(context.Context, alert.Alert) error { return errors.New("no") })},
	}})
	watch.Observe(failed(1))
	require.NoError(t, watch.Close(t.Context()))
	require.Len(t, said.all, 2)
	for _, d := range said.all {
		require.Error(t, d.Err)
		require.Equal(t, 1, d.Tries)
	}
}
