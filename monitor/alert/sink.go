package alert

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/redact"
)

// Sink takes alerts to somebody. Send is called by one goroutine at a time. It
// returns when the alert is delivered, at the latest when the context ends; a
// sink that does not obey delays only what is meant for itself. Its errors never
// hold a secret.
type Sink interface {
	Send(ctx context.Context, a Alert) error
}

// SinkFunc is a function as a Sink.
type SinkFunc func(ctx context.Context, a Alert) error

// Send implements Sink.
func (f SinkFunc) Send(ctx context.Context, a Alert) error { return f(ctx, a) }

// Temporary marks an error as one that may pass: the alert is sent again.
func Temporary(err error) error { return &temporary{cause: err} }

// TemporaryFor is Temporary, where the receiver said how long to wait.
func TemporaryFor(err error, wait time.Duration) error { return &temporary{cause: err, wait: wait} }

type temporary struct {
	cause error
	wait  time.Duration
}

func (t *temporary) Error() string { return t.cause.Error() }
func (t *temporary) Unwrap() error { return t.cause }

// Route is a sink and what it wants.
type Route struct {
	Name string // for messages about it; never a secret
	Sink Sink
	// Severity is the least that is sent to it. What resolves an alert has the
	// severity of that alert.
	Severity Severity
	// Environments are those it hears of; none means all.
	Environments []string
}

func (r Route) wants(a Alert) bool {
	return a.Severity.rank() >= r.Severity.rank() && (len(r.Environments) == 0 || slices.Contains(r.Environments,
		a.Environment))
}

// Target describes a sink, as a configuration file does.
type Target struct {
	Name string // shown in messages; the kind of the sink where it is empty
	// URL is where alerts go: https://… (a webhook), exec:/path/to/program?arg=…
	// (a command, looked for in PATH where it has no slash), or, opened by package
	// service, slack://…, smtp://… and the like. It may hold secrets.
	URL string
	// Secret signs webhooks.
	Secret string
	// Severity and Environments are the Route's.
	Severity     Severity
	Environments []string
}

// ErrUnknownScheme says that a URL belongs to none of the sinks here.
var ErrUnknownScheme = errors.New("unknown kind of alert sink")

// Open makes the route of a webhook or a command. Other URLs are
// ErrUnknownScheme. It does not connect. Errors do not hold the URL.
func Open(t Target) (Route, error) {
	parsed, err := url.Parse(t.URL)
	if err != nil {
		return Route{}, fmt.Errorf("the URL of alert sink %q cannot be read: it begins with a scheme, as https:// or "+
			"slack://, and special characters in it are percent-encoded", t.Name)
	}
	var sink Sink
	switch parsed.Scheme {
	case "http", "https":
		if parsed.Host == "" {
			return Route{}, fmt.Errorf("the URL of alert sink %q has no host", t.Label())
		}
		sink, err = NewWebhook(t.URL, t.Secret)
	case "exec":
		command := Command{Path: parsed.Path, Arguments: parsed.Query()["arg"]}
		if parsed.Path == "" {
			command.Path = parsed.Opaque
		}
		if command.Path == "" {
			return Route{}, fmt.Errorf("the URL of alert sink %q names no program: write "+
				"exec:/path/to/program?arg=first&arg=second", t.Label())
		}
		sink = command
	default:
		return Route{}, fmt.Errorf("%w: %q", ErrUnknownScheme, shown(parsed.Scheme))
	}
	return Route{Name: t.Label(), Sink: sink, Severity: t.Severity, Environments: t.Environments}, err
}

// Label names the target in messages, without a secret: its name, or else the
// scheme, with the host of a webhook.
func (t Target) Label() string {
	if t.Name != "" {
		return t.Name
	}
	parsed, err := url.Parse(t.URL)
	switch {
	case err != nil || parsed.Scheme == "":
		return "alert sink"
	case parsed.Scheme == "http" || parsed.Scheme == "https":
		return parsed.Scheme + "://" + parsed.Host
	}
	return shown(parsed.Scheme)
}

// shown is a scheme that may be shown. Where somebody forgot to write one, what
// is in its place may be part of a token.
func shown(scheme string) string {
	letters := strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz+")
	if letters != "" || len(scheme) > 20 {
		return redact.Mask
	}
	return scheme
}

// String is the Label, so that a Target can be printed.
func (t Target) String() string { return t.Label() }

// GoString is the Label too.
func (t Target) GoString() string { return "alert.Target(" + t.Label() + ")" }
