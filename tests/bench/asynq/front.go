package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/hibiken/asynq"
)

// kind is the type of all tasks.
const kind = "request"

// maxBody is server.max_body_size of OpenHQM.
const maxBody = 10 << 20

// front takes requests in.
type front struct{ client *asynq.Client }

// ServeHTTP decodes a submit, enqueues its payload and answers 202 with the id. Attempts, the time of one and how long
// the result is kept are the defaults of OpenHQM.
func (f front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Payload  json.RawMessage `json:"payload"`
		Metadata map[string]any  `json:"metadata"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	info, err := f.client.EnqueueContext(r.Context(), asynq.NewTask(kind, body.Payload),
		asynq.MaxRetry(3), asynq.Timeout(300*time.Second), asynq.Retention(time.Hour))
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, `{"correlation_id":%q,"status":"PENDING","submitted_at":%q}`,
		info.ID, time.Now().UTC().Format(time.RFC3339Nano))
}
