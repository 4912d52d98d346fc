package prometheus

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Gateway is a push gateway: https://github.com/prometheus/pushgateway.
type Gateway struct {
	URL string // http://host:9091; a user and a password in it are sent as basic authentication
	Job string // "whimbrel" unless set
	// Grouping are further labels of the group that a push replaces, such as the
	// instance. Groups of different databases must differ in one.
	Grouping []present.Label
}

// Push replaces the metrics of the gateway's group by those of the collector. It
// returns when the gateway has them, at the latest when the context ends. Errors
// do not hold the URL.
func (c *Collector) Push(ctx context.Context, gateway Gateway) error {
	address, err := gateway.address()
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, address,
		bytes.NewReader(c.Text(present.PrometheusText)))
	if err != nil {
		return errors.New("the URL of the push gateway is malformed")
	}
	request.Header.Set("Content-Type", present.PrometheusText.ContentType())
	response, err := http.DefaultClient.Do(request)
	var quoting *url.Error
	if errors.As(err, &quoting) {
		err = quoting.Err
	}
	if err != nil {
		return fmt.Errorf("pushing metrics: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 512))
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("pushing metrics: the gateway answered %s: %s", response.Status,
			strings.ToValidUTF8(strings.TrimSpace(string(said)), "?"))
	}
	return nil
}

// address is the URL of the group: /metrics/job/JOB/LABEL/VALUE….
func (g Gateway) address() (string, error) {
	parsed, err := url.Parse(g.URL)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
		return "", errors.New("the URL of the push gateway is malformed: write http://host:9091")
	}
	job := g.Job
	if job == "" {
		job = "whimbrel"
	}
	group := segment("job", job)
	for _, label := range g.Grouping {
		group += segment(label.Name, label.Value)
	}
	base := strings.TrimSuffix(parsed.String(), "/")
	return base + "/metrics" + group, nil
}

// segment is a label in the group's path. What cannot be in a path, and the
// empty value, are written in base64, as the gateway's documentation says.
func segment(name, value string) string {
	if value == "" {
		return "/" + name + "@base64/="
	}
	if strings.Contains(value, "/") {
		return "/" + name + "@base64/" + base64.RawURLEncoding.EncodeToString([]byte(value))
	}
	return "/" + name + "/" + url.PathEscape(value)
}

// WriteFile writes the metrics for the node exporter's textfile collector, which
// reads files that end in ".prom" in its folder. The file appears whole or not at
// all, and what a reader has open stays as it was.
func (c *Collector) WriteFile(path string) (err error) {
	folder, name := filepath.Split(path)
	if filepath.Ext(name) != ".prom" {
		return fmt.Errorf("the textfile %s is one that the node exporter does not read: its name must end in .prom", path)
	}
	if folder == "" {
		folder = "."
	}
	// The collector leaves out names that do not end in .prom.
	file, err := os.CreateTemp(folder, "."+name+".*")
	if err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.Write(c.Text(present.PrometheusText))
	if err == nil {
		err = file.Chmod(0o644) // the exporter runs as another user
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}
