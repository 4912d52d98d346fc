package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Webhook posts alerts as JSON. With a secret it signs them as Standard Webhooks
// (https://www.standardwebhooks.com) says, so that receivers in any language
// have a library to check them: the header webhook-signature is "v1," and the
// base64 of the HMAC-SHA256 of "ID.TIMESTAMP.BODY", where ID and TIMESTAMP are
// the headers webhook-id, the same when an alert is sent again, and
// webhook-timestamp, in seconds. A Webhook may be used concurrently.
type Webhook struct {
	address string
	key     []byte
	client  *http.Client
}

// secretPrefix marks secrets that are written in base64.
const secretPrefix = "whsec_"

// NewWebhook makes a webhook. A secret that begins with "whsec_" is base64, any
// other is taken as it is; without one, nothing is signed.
func NewWebhook(address, secret string) (*Webhook, error) {
	key, err := keyOfSecret(secret)
	if err != nil {
		return nil, err
	}
	// Redirections are refused: they could take the alert elsewhere.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Webhook{address: address, key: key, client: client}, nil
}

func keyOfSecret(secret string) ([]byte, error) {
	encoded, marked := strings.CutPrefix(secret, secretPrefix)
	if !marked {
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("the secret of a webhook begins with " + secretPrefix + ", but what follows is not base64")
	}
	return key, nil
}

// Send implements Sink. What may pass (no answer, 408, 429, 5xx) is Temporary.
func (w *Webhook) Send(ctx context.Context, a Alert) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.address, bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL is malformed")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "whimbrel")
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	request.Header.Set("webhook-id", a.ID)
	request.Header.Set("webhook-timestamp", timestamp)
	if len(w.key) > 0 {
		request.Header.Set("webhook-signature", "v1,"+sign(w.key, a.ID, timestamp, body))
	}
	response, err := w.client.Do(request)
	if err != nil {
		return Temporary(withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	// What is read to its end leaves the connection for the next alert.
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	return answer(response)
}

// answer turns a status into an error.
func answer(response *http.Response) error {
	err := fmt.Errorf("the receiver answered %s", response.Status)
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || code >= 500:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return TemporaryFor(err, time.Duration(min(max(seconds, 0), 3600))*time.Second)
	}
	return err
}

// withoutURL is an HTTP client's error without the URL that it quotes.
func withoutURL(err error) error {
	var quoting *url.Error
	if errors.As(err, &quoting) {
		return quoting.Err
	}
	return err
}

func sign(key []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Verify is for receivers in Go: it checks that a webhook with this header and
// body was signed with the secret, not more than tolerance ago.
func Verify(secret string, header http.Header, body []byte, now time.Time, tolerance time.Duration) error {
	key, err := keyOfSecret(secret)
	if err != nil {
		return err
	}
	timestamp := header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return errors.New("webhook-timestamp is missing or no number")
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return errors.New("webhook-timestamp is too old, or in the future")
	}
	expected := sign(key, header.Get("webhook-id"), timestamp, body)
	for signature := range strings.FieldsSeq(header.Get("webhook-signature")) {
		if given, ok := strings.CutPrefix(signature, "v1,"); ok && hmac.Equal([]byte(given), []byte(expected)) {
			return nil
		}
	}
	return errors.New("webhook-signature does not match")
}
