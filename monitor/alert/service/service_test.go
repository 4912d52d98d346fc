package service

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/monitor/alert"
)

// letter is what the mail server below was given.
type letter struct {
	from, to string
	lines    []string
}

// mailServer speaks as much of SMTP (RFC 5321) as a client needs to deliver a
// letter. Recipients at "nowhere" are refused.
func mailServer(t *testing.T) (address string, letters chan letter) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	letters = make(chan letter, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			receive(conn, letters)
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return listener.Addr().String(), letters
}

func receive(conn net.Conn, letters chan letter) {
	defer func() { _ = conn.Close() }()
	say := func(text string) { _, _ = fmt.Fprint(conn, text+"\r\n") }
	say("220 test ESMTP")
	var l letter
	inData := false
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		line := lines.Text()
		verb := strings.ToUpper(strings.SplitN(line, " ", 2)[0])
		switch {
		case inData && line == ".":
			inData = false
			letters <- l
			l = letter{}
			say("250 accepted")
		case inData:
			l.lines = append(l.lines, strings.TrimPrefix(line, "."))
		case verb == "MAIL":
			l.from = line
			say("250 ok")
		case verb == "RCPT" && strings.Contains(line, "@nowhere"):
			say("550 no such user")
		case verb == "RCPT":
			l.to = line
			say("250 ok")
		case verb == "DATA":
			inData = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return
		default: // EHLO, RSET
			say("250 test")
		}
	}
}

func try(t *testing.T, target alert.Target) alert.Delivery {
	t.Helper()
	route, err := Open(target)
	require.NoError(t, err)
	return alert.Try(t.Context(), alert.Options{Routes: []alert.Route{route}, Environment: "production", Tries: 2,
		Pause: time.Millisecond}, "ann@db:5432/shop")[0]
}

func TestAlertsGoByMail(t *testing.T) {
	t.Parallel()
	address, letters := mailServer(t)
	delivery := try(t, alert.Target{URL: "smtp://" + address +
		"/?from=whimbrel@example.com&to=ops@example.com&starttls=no"})
	require.NoError(t, delivery.Err)
	l := <-letters
	require.Contains(t, l.from, "<whimbrel@example.com>")
	require.Contains(t, l.to, "<ops@example.com>")
	text := strings.Join(l.lines, "\n")
	require.Contains(t, text, "Subject: [production] whimbrel: a test of the alerts")
	require.Contains(t, text, "This is a sample")
	require.Contains(t, text, "Database: ann@db:5432/shop")
}

func TestMailThatIsRefusedIsTriedAgainAndSaidWithoutThePassword(t *testing.T) {
	t.Parallel()
	address, _ := mailServer(t)
	delivery := try(t, alert.Target{Name: "mail", URL: "smtp://ann:S3cretword@" + address +
		"/?from=a@example.com&to=S3cretword@nowhere&starttls=no&auth=none"})
	require.Equal(t, 2, delivery.Tries)
	require.ErrorContains(t, delivery.Err, "no such user")
	require.NotContains(t, delivery.Err.Error(), "S3cretword")
}

func TestAlertsGoToServicesOverHTTP(t *testing.T) {
	t.Parallel()
	requests, bodies := make(chan *http.Request, 1), make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- string(body)
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(server.Close)
	delivery := try(t, alert.Target{URL: "ntfy://" + strings.TrimPrefix(server.URL, "http://") + "/topic?scheme=http"})
	require.NoError(t, delivery.Err)
	require.Equal(t, "ntfy", delivery.Route)
	require.Equal(t, "/topic", (<-requests).URL.Path)
	require.Contains(t, <-bodies, "This is a sample")
}

func TestAServiceThatDoesNotAnswerIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and is silent
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	route, err := Open(alert.Target{URL: "smtp://" + listener.Addr().String() +
		"/?from=a@example.com&to=S3cretword@example.com"})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.EqualError(t, route.Sink.Send(ctx, alert.Alert{}), "no answer in time")
}

func TestWebhooksAndCommandsAreOpenedToo(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"https://host/x", "exec:true"} {
		route, err := Open(alert.Target{URL: address, Severity: alert.High, Environments: []string{"production"}})
		require.NoError(t, err)
		require.Equal(t, alert.High, route.Severity)
		require.Equal(t, []string{"production"}, route.Environments)
	}
}

func TestURLsThatCannotBeOpenedAreRefusedWithoutBeingShown(t *testing.T) {
	t.Parallel()
	for address, message := range map[string]string{
		"slak://S3cretword":                 `unknown kind of alert sink: "slak": it is https, exec or one of bark, discord,`,
		"logger://S3cretword":               "unknown kind of alert sink",
		"slack://S3cretword":                `"slack" is not as slack wants it`,
		"pagerduty:///S3cretword":           "integration key",
		"telegram://S3cretword@telegram":    `"telegram" is not as telegram wants it`,
		"smtp://ann:S3cretword@h/?from=S":   "toAddress missing",
		"discord://S3cretword@1/?S3cretw=1": `"discord" is not as discord wants it`,
		"opsgenie://S3cretword:x/":          "cannot be read",
		"":                                  "unknown kind",
	} {
		_, err := Open(alert.Target{URL: address})
		require.Error(t, err, address)
		require.NotContains(t, err.Error(), "S3cretw", address)
		if message != "cannot be read" {
			require.ErrorContains(t, err, message, address)
		}
	}
}

func TestEveryServiceTakesWhatIsComposedForIt(t *testing.T) {
	t.Parallel()
	a := alert.Sample("production", "ann@db:5432/shop", time.Now())
	a.Migration = &whimbrel.Ref{Version: "1", Name: "a"}
	for _, scheme := range titled {
		require.Contains(t, schemes(), scheme)
	}
	for _, scheme := range schemes() {
		message, parameters := compose(scheme, a)
		title, separate := parameters.Title()
		require.Contains(t, title+message, "[production] whimbrel: a test of the alerts", scheme)
		require.Equal(t, !separate, strings.HasPrefix(message, "[production]"), scheme)
	}
	_, err := (&router.ServiceRouter{}).NewService("slack")
	require.NoError(t, err)
}

func TestPagersAreToldWhatTheAlertIsAboutAndWhenItIsOver(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		severity           alert.Severity
		status             alert.Status
		action, pagerDuty  string
		alias, opsgenieOne string
	}{
		{alert.Critical, alert.Firing, "trigger", "critical", "key", "P1"},
		{alert.High, alert.Firing, "trigger", "error", "key", "P2"},
		{alert.Medium, alert.Firing, "trigger", "warning", "key", "P3"},
		{alert.Low, alert.Firing, "trigger", "info", "key", "P4"},
		{alert.High, alert.Resolved, "resolve", "error", "key/resolved", "P5"},
	} {
		a := alert.Alert{Key: "key", Severity: test.severity, Status: test.status, Database: "shop"}
		_, parameters := compose("pagerduty", a)
		require.Equal(t, "key", parameters["dedup_key"])
		require.Equal(t, test.action, parameters["action"])
		require.Equal(t, test.pagerDuty, parameters["severity"])
		require.Equal(t, "shop", parameters["source"])
		_, parameters = compose("opsgenie", a)
		require.Equal(t, test.alias, parameters["alias"])
		require.Equal(t, test.opsgenieOne, parameters["priority"])
	}
}
