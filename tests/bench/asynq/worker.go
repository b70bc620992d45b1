package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/hibiken/asynq"
)

// newServer makes what fetches tasks. It looks for new ones every 10 ms, not every second as asynq does by itself:
// a slow start would otherwise be counted as slow work.
func newServer(o options) *asynq.Server {
	return asynq.NewServer(asynq.RedisClientOpt{Addr: o.redis}, asynq.Config{
		Concurrency:       o.workers,
		TaskCheckInterval: 10 * time.Millisecond,
		LogLevel:          asynq.WarnLevel,
	})
}

// worker forwards tasks to the backend.
type worker struct {
	client  *http.Client
	backend string
}

var _ asynq.Handler = (*worker)(nil)

func newWorker(o options) *worker {
	transport := &http.Transport{MaxIdleConns: o.workers, MaxIdleConnsPerHost: o.workers}
	return &worker{client: &http.Client{Transport: transport}, backend: o.backend}
}

// result is what is kept of a response.
type result struct {
	StatusCode int         `json:"status_code"`
	Headers    http.Header `json:"headers"`
	Body       []byte      `json:"body"`
}

// ProcessTask makes one call and keeps the whole response.
func (w *worker) ProcessTask(ctx context.Context, task *asynq.Task) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.backend, bytes.NewReader(task.Payload()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("backend answered %d", resp.StatusCode)
	}
	text, err := json.Marshal(result{resp.StatusCode, resp.Header, body})
	if err != nil {
		return err
	}
	_, err = task.ResultWriter().Write(text)
	return err
}
