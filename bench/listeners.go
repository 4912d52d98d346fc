package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/monitor"
	"github.com/whimbrel-db/whimbrel/monitor/alert"
	"github.com/whimbrel-db/whimbrel/monitor/prometheus"
	"github.com/whimbrel-db/whimbrel/monitor/telemetry"
)

// nobody is the comparator's name in the table.
const nobody = "nobody listens"

// listeners are runs that everything listens to: a structured log, alerts by
// webhook, OpenTelemetry's traces and metrics, Prometheus. The second row also
// counts what is sent when the run is over.
func (l *lab) listeners(s sizes) []contest {
	name := fmt.Sprintf("up of %d, with all listeners", s.many)
	none := l.onFresh(nobody, s.many, call(false, up))
	return []contest{{"ms", []pair{
		{name, l.onFresh("whimbrel", s.many, l.heard(false)), none, atMost(1.05)},
		{name + " and what is sent at the end", l.onFresh("whimbrel", s.many, l.heard(true)), none, nothing},
	}}}
}

// heard is an up that all listeners hear.
func (l *lab) heard(toTheEnd bool) work {
	return func(ctx context.Context, url string, h history) (figure float64, err error) {
		receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter,
			r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		}))
		defer receiver.Close()
		all, err := listenTo(ctx, receiver.URL, l.folder)
		if err != nil {
			return 0, err
		}
		m, err := whimbrel.New(whimbrel.Config{
			Target:   whimbrel.Target{DatabaseURL: url},
			Project:  whimbrel.Project{Migrations: h.migrations},
			Listener: monitor.Listen(all.observers...),
		})
		if err != nil {
			return 0, errors.Join(err, all.close(ctx))
		}
		figure, err = timed(func() error {
			err := up(ctx, m)
			if toTheEnd {
				err = errors.Join(err, all.close(ctx))
			}
			return err
		})
		if !toTheEnd {
			err = errors.Join(err, all.close(ctx))
		}
		return figure, err
	}
}

// audience is everybody who listens.
type audience struct {
	observers []monitor.Observer
	close     func(context.Context) error
}

// endpoint is the variable that switches telemetry on.
const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

// listenTo starts everybody, who tell a receiver and a folder.
func listenTo(ctx context.Context, receiver, folder string) (audience, error) {
	if err := os.Setenv(endpoint, receiver); err != nil {
		return audience{}, err
	}
	traced, err := telemetry.Start(ctx, telemetry.Options{})
	if err = errors.Join(err, os.Unsetenv(endpoint)); err != nil {
		return audience{}, err
	}
	route, err := alert.Open(alert.Target{URL: receiver, Secret: "secret"})
	if err != nil {
		return audience{}, err
	}
	file, err := os.Create(filepath.Join(folder, "events.log"))
	if err != nil {
		return audience{}, err
	}
	logger, err := monitor.NewLogger(file, monitor.LogJSON, slog.LevelInfo)
	if err != nil {
		return audience{}, errors.Join(err, file.Close())
	}
	watch, counted := alert.Start(alert.Options{Routes: []alert.Route{route}}), prometheus.New("production")
	return audience{
		observers: []monitor.Observer{monitor.Log(logger), watch.Observe, traced.Observer(), counted.Observe},
		close: func(ctx context.Context) error {
			return errors.Join(watch.Close(ctx), traced.Close(ctx), counted.WriteFile(filepath.Join(folder, "run.prom")),
				counted.Push(ctx, prometheus.Gateway{URL: receiver}), file.Close())
		},
	}, nil
}
