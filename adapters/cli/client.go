package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/openhqm/openhqm/domain"
)

const (
	callTimeout = 30 * time.Second
	maxAnswer   = 1 << 30 // bytes; an original may have server.max_body_size, and base64 makes it larger
	maxPage     = 1000    // dead letters in one call
	deadLetters = "/api/v1/dead-letters"
)

// errGone: the dead letter never existed, or somebody else has removed it.
var errGone = errors.New("no such dead letter (any more)")

// client calls the api. An answer that it returns has the bytes that the server sent.
type client struct {
	base string
	key  string // empty: none
	http http.Client
}

// close closes idle connections.
func (c *client) close() { c.http.CloseIdleConnections() }

func newClient(base, key string) *client {
	return &client{base: base, key: key, http: http.Client{
		Transport: &http.Transport{}, // no proxy from the environment: the key is for the api alone
		Timeout:   callTimeout,
		// A redirect must not get the key.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// deadLetterDocument is a dead letter as the api describes it.
type deadLetterDocument struct {
	ID         string `json:"correlation_id"`
	Endpoint   string `json:"endpoint"`
	Reason     string `json:"reason"`
	Error      string `json:"error"`
	Attempts   int    `json:"attempts"`
	Status     string `json:"status"`
	StatusCode int    `json:"status_code"`
	Submitted  string `json:"submitted_at"`
	Failed     string `json:"failed_at"`
	ResentFrom string `json:"resent_from"`

	Request *originalDocument `json:"request"`
}

type originalDocument struct {
	Method          string            `json:"method"`
	Path            string            `json:"path"`
	Query           string            `json:"query"`
	Headers         map[string]any    `json:"headers"` // a string, or a list of them
	Payload         json.RawMessage   `json:"payload"`
	PayloadEncoding string            `json:"payload_encoding"`
	Priority        int               `json:"priority"`
	MaxAttempts     int               `json:"max_attempts"`
	Labels          map[string]string `json:"labels"`
	Owner           string            `json:"owner"`
	Deadline        string            `json:"deadline"`
}

// pageDocument is a page of the list.
type pageDocument struct {
	DeadLetters []deadLetterDocument `json:"dead_letters"`
	NextBefore  string               `json:"next_before"`
}

// resentDocument says which request a dead letter has become.
type resentDocument struct {
	ID         string `json:"correlation_id"`
	ResentFrom string `json:"resent_from"`
}

// resentPageDocument says what was done with a page.
type resentPageDocument struct {
	Resent  []resentDocument `json:"resent"`
	Skipped []struct {
		ID     string `json:"correlation_id"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"skipped"`
	More       bool   `json:"more"`
	NextBefore string `json:"next_before"`
}

func (c *client) list(filter filter) (page pageDocument, answer []byte, err error) {
	query := url.Values{"limit": {strconv.Itoa(filter.limit)}}
	for name, value := range map[string]string{
		"endpoint": filter.endpoint, "reason": filter.reason, "before": filter.before,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	answer, err = c.letters(http.MethodGet, "?"+query.Encode(), nil, http.StatusOK, &page)
	return page, answer, err
}

func (c *client) show(id string) (letter deadLetterDocument, answer []byte, err error) {
	answer, err = c.letters(http.MethodGet, "/"+url.PathEscape(id), nil, http.StatusOK, &letter)
	return letter, answer, err
}

func (c *client) resend(id string) (resent resentDocument, answer []byte, err error) {
	answer, err = c.letters(http.MethodPost, "/"+url.PathEscape(id)+"/resend", nil, http.StatusAccepted, &resent)
	return resent, answer, err
}

func (c *client) resendMany(filter filter, rate int) (page resentPageDocument, answer []byte, err error) {
	order := struct {
		Endpoint string `json:"endpoint,omitempty"`
		Reason   string `json:"reason,omitempty"`
		Before   string `json:"before,omitempty"`
		Limit    int    `json:"limit"`
		Rate     int    `json:"rate,omitempty"`
	}{filter.endpoint, filter.reason, filter.before, filter.limit, rate}
	body, err := json.Marshal(order)
	if err != nil {
		return page, nil, err
	}
	answer, err = c.letters(http.MethodPost, "/resend", body, http.StatusAccepted, &page)
	return page, answer, err
}

func (c *client) purge(id string) error {
	_, err := c.letters(http.MethodDelete, "/"+url.PathEscape(id), nil, http.StatusNoContent, nil)
	return err
}

// backup makes a backup and returns where it is on the machine of the api.
func (c *client) backup() (path string, answer []byte, err error) {
	var made struct {
		Path string `json:"path"`
	}
	answer, err = c.call(http.MethodPost, "/api/v1/backup", nil, http.StatusCreated, &made)
	return made.Path, answer, err
}

// letters calls what the api has for dead letters. The error is errGone for one that does not exist.
func (c *client) letters(method, path string, body []byte, want int, into any) ([]byte, error) {
	answer, err := c.call(method, deadLetters+path, body, want, into)
	if refused, ok := errors.AsType[*refusedError](err); ok && refused.code == "NOT_FOUND" {
		err = errGone
	}
	if err != nil {
		return nil, fmt.Errorf("dlq: %w", err)
	}
	return answer, nil
}

// call makes one request and returns the bytes of the answer, decoded into the given value too unless that is nil. Any
// other status than want is an error, a *refusedError if the api sent it.
func (c *client) call(method, path string, body []byte, want int, into any) ([]byte, error) {
	request, err := http.NewRequestWithContext(
		context.Background(), method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		request.Header.Set(domain.HeaderKey, c.key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode != want {
		return nil, refusal(response.StatusCode, answer)
	}
	if into == nil {
		return answer, nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return nil, fmt.Errorf("the answer is not from an openhqm api: %w", err)
	}
	return answer, nil
}

// refusedError is a problem document that the api sent (RFC 9457).
type refusedError struct {
	status       int
	code, detail string
}

// Error implements error.
func (e *refusedError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.status, plain(e.code), plain(e.detail))
}

// refusal returns the error for an answer with a status that was not wanted.
func refusal(status int, answer []byte) error {
	var problem struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
	if json.Unmarshal(answer, &problem) != nil || problem.Code == "" {
		return fmt.Errorf("status %d without a code: is this an openhqm api?", status)
	}
	return &refusedError{status, problem.Code, problem.Detail}
}
