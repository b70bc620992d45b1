package httpapi

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
	"github.com/openhqm/openhqm/ports"
)

// Approximate sizes of documents, in bytes.
const (
	receiptSize   = 128 // the most frequent one
	smallDocument = 512 // without a result
)

// newDocument begins a document of about size bytes.
func newDocument(size int) *rawjson.Writer { return rawjson.Append(make([]byte, 0, size)) }

// receiptDocument describes an accepted request with its last known status.
func receiptDocument(receipt ports.Receipt, last domain.Status) []byte {
	o := newDocument(receiptSize)
	o.Text("correlation_id", string(receipt.ID))
	o.Text("status", string(last))
	o.Time("submitted_at", receipt.SubmittedAt)
	return o.Close()
}

func statusDocument(record *domain.Record) []byte {
	o := newDocument(smallDocument)
	o.Text("correlation_id", string(record.ID))
	o.Text("status", string(record.Status))
	o.Time("submitted_at", record.SubmittedAt)
	o.Time("updated_at", record.UpdatedAt)
	o.Int("attempts", int64(record.Attempts))
	if !record.NextAttemptAt.IsZero() {
		o.Time("next_attempt_at", record.NextAttemptAt)
	}
	o.Text("endpoint", record.Endpoint)
	addResentFrom(o, record.ResentFrom)
	return o.Close()
}

func pendingDocument(record *domain.Record) []byte {
	o := newDocument(smallDocument)
	o.Text("correlation_id", string(record.ID))
	o.Text("status", string(record.Status))
	return o.Close()
}

// resultDocument describes a final record.
func resultDocument(record *domain.Record) []byte {
	result := record.Result
	if result == nil { // only that it ended is known
		result = &domain.Result{CompletedAt: record.UpdatedAt}
	}
	o := newDocument(smallDocument + responseSize(result.Response))
	o.Text("correlation_id", string(record.ID))
	o.Text("status", string(record.Status))
	if response := result.Response; response != nil {
		o.Int("status_code", int64(response.StatusCode))
		addHeader(o, response.Header)
		envelope.AppendContent(o, "result", response.Header, response.Body)
	}
	if result.Error != "" {
		o.Text("error", result.Error)
	}
	o.Int("attempts", int64(record.Attempts))
	o.Int("processing_time_ms", result.ProcessingTime.Milliseconds())
	o.Time("submitted_at", record.SubmittedAt)
	o.Time("completed_at", result.CompletedAt)
	addResentFrom(o, record.ResentFrom)
	return o.Close()
}

// responseSize estimates the bytes of a response in a document, so that the buffer rarely grows.
func responseSize(response *domain.Response) int {
	if response == nil {
		return 0
	}
	return smallDocument + base64.StdEncoding.EncodedLen(len(response.Body))
}

// addHeader writes a field's value as a string, or as a list when the field is repeated.
func addHeader(o *rawjson.Writer, header domain.Header) {
	o.Open("headers")
	for _, name := range slices.Sorted(maps.Keys(header)) {
		o.Values(name, header[name])
	}
	o.End()
}

// addTexts writes texts by name, sorted.
func addTexts(o *rawjson.Writer, name string, texts map[string]string) {
	o.Open(name)
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		o.Text(key, texts[key])
	}
	o.End()
}

// ResultURL returns where the response of a backend can be fetched: a path, unless there is a publicURL to put before
// it.
func ResultURL(publicURL string, id domain.ID) string {
	return strings.TrimSuffix(publicURL, "/") + responsePath + string(id) + "/raw"
}

// LetterURL returns where a dead letter can be fetched, as ResultURL does.
func LetterURL(publicURL string, id domain.ID) string {
	return strings.TrimSuffix(publicURL, "/") + "/api/v1/dead-letters/" + string(id)
}
