package main

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
	dlqCallTimeout = 30 * time.Second // of one call
	dlqMaxAnswer   = 1 << 30          // bytes: an original can be as large as server.max_body_size, and base64 is larger
	dlqMaxPage     = 1000             // of dead letters in one call
	dlqPath        = "/api/v1/dead-letters"
)

// errGone says that somebody else has removed the dead letter, or that there never was one.
var errGone = errors.New("there is no such dead letter, or not any more")

// dlqClient calls the api. What it gives of an answer has the bytes that the server sent.
type dlqClient struct {
	base string
	key  string // empty: none
	http http.Client
}

// close lets go of the connections.
func (c *dlqClient) close() { c.http.CloseIdleConnections() }

func newDLQClient(base, key string) *dlqClient {
	return &dlqClient{base: base, key: key, http: http.Client{
		Transport: &http.Transport{}, // no proxy from the environment: the key is for the api alone
		Timeout:   dlqCallTimeout,
		// The key must not go where somebody else says.
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

// resentDocument is a dead letter that was sent again.
type resentDocument struct {
	ID         string `json:"correlation_id"`
	ResentFrom string `json:"resent_from"`
}

// resentPageDocument is what became of a page.
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

func (c *dlqClient) list(filter dlqFilter) (page pageDocument, answer []byte, err error) {
	query := url.Values{"limit": {strconv.Itoa(filter.limit)}}
	for name, value := range map[string]string{
		"endpoint": filter.endpoint, "reason": filter.reason, "before": filter.before,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	answer, err = c.call(http.MethodGet, "?"+query.Encode(), nil, http.StatusOK, &page)
	return page, answer, err
}

func (c *dlqClient) show(id string) (letter deadLetterDocument, answer []byte, err error) {
	answer, err = c.call(http.MethodGet, "/"+url.PathEscape(id), nil, http.StatusOK, &letter)
	return letter, answer, err
}

func (c *dlqClient) resend(id string) (resent resentDocument, answer []byte, err error) {
	answer, err = c.call(http.MethodPost, "/"+url.PathEscape(id)+"/resend", nil, http.StatusAccepted, &resent)
	return resent, answer, err
}

func (c *dlqClient) resendMany(filter dlqFilter, rate int) (page resentPageDocument, answer []byte, err error) {
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
	answer, err = c.call(http.MethodPost, "/resend", body, http.StatusAccepted, &page)
	return page, answer, err
}

func (c *dlqClient) purge(id string) error {
	_, err := c.call(http.MethodDelete, "/"+url.PathEscape(id), nil, http.StatusNoContent, nil)
	return err
}

// call makes one request. Any status but the wanted one is an error; errGone for the 404 of a dead letter.
func (c *dlqClient) call(method, path string, body []byte, want int, into any) ([]byte, error) {
	request, err := http.NewRequestWithContext(
		context.Background(), method, c.base+dlqPath+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("dlq: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		request.Header.Set(domain.HeaderKey, c.key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("dlq: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, dlqMaxAnswer))
	if err != nil {
		return nil, fmt.Errorf("dlq: read the answer: %w", err)
	}
	if response.StatusCode != want {
		return nil, refusal(response.StatusCode, answer)
	}
	if into == nil {
		return answer, nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return nil, fmt.Errorf("dlq: the answer is not one of an openhqm: %w", err)
	}
	return answer, nil
}

// refusal makes an error of an answer that is not the wanted one.
func refusal(status int, answer []byte) error {
	var problem struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
	if json.Unmarshal(answer, &problem) != nil || problem.Code == "" {
		return fmt.Errorf("dlq: status %d, and no word of an openhqm", status)
	}
	if problem.Code == "NOT_FOUND" {
		return fmt.Errorf("dlq: %w", errGone)
	}
	return fmt.Errorf("dlq: %d %s: %s", status, plain(problem.Code), plain(problem.Detail))
}
