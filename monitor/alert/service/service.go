// Package service opens alert sinks for everything that shoutrrr speaks: Slack,
// Teams, Discord, Telegram, Matrix, Mattermost, e-mail, PagerDuty, Opsgenie, ntfy,
// Pushover and others. See https://shoutrrr.nickfedor.com for their URLs.
package service

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/whimbrel-db/whimbrel/monitor/alert"
)

// Open makes the route of any target: a webhook or command as alert.Open does,
// or a service. It does not connect. Errors do not hold the URL.
func Open(target alert.Target) (alert.Route, error) {
	route, err := alert.Open(target)
	if !errors.Is(err, alert.ErrUnknownScheme) {
		return route, err
	}
	scheme, _, _ := strings.Cut(strings.ToLower(target.URL), ":")
	scheme, _, _ = strings.Cut(scheme, "+")
	if known := schemes(); !slices.Contains(known, scheme) {
		return alert.Route{}, fmt.Errorf("%w: it is https, exec or one of %s", err, strings.Join(known, ", "))
	}
	services, err := router.New(nil, target.URL)
	if err != nil {
		return alert.Route{}, fmt.Errorf("the URL of alert sink %q is not as %s wants it: %s", target.Label(), scheme,
			target.Redact(reason(target.URL, scheme, err).Error()))
	}
	return alert.Route{
		Name: target.Label(), Sink: &sink{target: target, scheme: scheme, services: services},
		Severity: target.Severity, Environments: target.Environments,
	}, nil
}

// schemes are the services that there are, sorted. The one that only writes to
// a log of shoutrrr's own is none to us.
func schemes() []string {
	names := (&router.ServiceRouter{}).ListServices()
	names = slices.DeleteFunc(names, func(name string) bool { return name == "logger" })
	slices.Sort(names)
	return names
}

// reason is why a service does not take a URL: the router keeps that to itself.
func reason(address, scheme string, err error) error {
	parsed, unreadable := url.Parse(address)
	if unreadable != nil || parsed.Scheme != scheme {
		return err
	}
	service, unknown := (&router.ServiceRouter{}).NewService(scheme)
	if unknown != nil {
		return err
	}
	if cause := service.Initialize(parsed, nil); cause != nil {
		return cause
	}
	return err
}

// sink is a service of shoutrrr's.
type sink struct {
	target   alert.Target
	scheme   string
	services *router.ServiceRouter
}

// Send implements alert.Sink. shoutrrr knows no contexts: what does not answer in
// time is left to itself, and ends by the timeouts of its own, if it has any.
func (s *sink) Send(ctx context.Context, a alert.Alert) error {
	s.services.Timeout = router.DefaultTimeout
	if deadline, ok := ctx.Deadline(); ok {
		s.services.Timeout = max(time.Until(deadline), 0)
	}
	message, parameters := compose(s.scheme, a)
	sent := make(chan error, 1) // so that anyone who is late does not wait for a listener
	go func() { sent <- errors.Join(s.services.Send(message, &parameters)...) }()
	select {
	case err := <-sent:
		if err != nil {
			return alert.Temporary(errors.New(s.target.Redact(err.Error())))
		}
		return nil
	case <-ctx.Done():
		return alert.Temporary(errors.New("no answer in time"))
	}
}

// titled are the services that show a title of its own above the message.
var titled = []string{
	"bark", "discord", "gotify", "lark", "ntfy", "opsgenie", "pushbullet", "pushover", "slack", "smtp", "teams",
	"telegram",
}

// compose gives the message for a service, and what that service takes besides.
func compose(scheme string, a alert.Alert) (string, types.Params) {
	title := a.Title
	if a.Environment != "" {
		title = "[" + a.Environment + "] " + title
	}
	parameters := types.Params{}
	if slices.Contains(titled, scheme) {
		parameters.SetTitle(title)
	}
	switch scheme {
	case "pagerduty":
		parameters["dedup_key"], parameters["severity"], parameters["action"] = a.Key, pagerDutySeverity(
			a.Severity), "trigger"
		if a.Database != "" {
			parameters["source"] = a.Database
		}
		if a.Status == alert.Resolved {
			parameters["action"] = "resolve"
		}
	case "opsgenie":
		parameters["alias"], parameters["priority"] = a.Key, opsgeniePriority(a.Severity)
		if a.Status == alert.Resolved {
			// shoutrrr cannot close an alert of Opsgenie's: the resolution is one
			// of its own, that calls nobody.
			parameters["alias"], parameters["priority"] = a.Key+"/resolved", "P5"
		}
	}
	if _, ok := parameters.Title(); ok {
		return a.Text(), parameters
	}
	return title + "\n" + a.Text(), parameters
}

func pagerDutySeverity(s alert.Severity) string {
	switch s {
	case alert.Critical:
		return "critical"
	case alert.High:
		return "error"
	case alert.Medium:
		return "warning"
	}
	return "info"
}

func opsgeniePriority(s alert.Severity) string {
	switch s {
	case alert.Critical:
		return "P1"
	case alert.High:
		return "P2"
	case alert.Medium:
		return "P3"
	}
	return "P4"
}
