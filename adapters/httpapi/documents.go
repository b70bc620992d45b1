package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// smallDocument is about the size in bytes of a document without a result.
const smallDocument = 512

func receiptDocument(receipt ports.Receipt) []byte {
	o := newObject(smallDocument)
	o.text("correlation_id", string(receipt.ID))
	o.text("status", string(domain.Pending))
	o.time("submitted_at", receipt.SubmittedAt)
	return o.end()
}

func statusDocument(record *domain.Record) []byte {
	o := newObject(smallDocument)
	o.text("correlation_id", string(record.ID))
	o.text("status", string(record.Status))
	o.time("submitted_at", record.SubmittedAt)
	o.time("updated_at", record.UpdatedAt)
	o.number("attempts", int64(record.Attempts))
	if !record.NextAttemptAt.IsZero() {
		o.time("next_attempt_at", record.NextAttemptAt)
	}
	o.text("endpoint", record.Endpoint)
	addResentFrom(o, record.ResentFrom)
	return o.end()
}

func pendingDocument(record *domain.Record) []byte {
	o := newObject(smallDocument)
	o.text("correlation_id", string(record.ID))
	o.text("status", string(record.Status))
	return o.end()
}

// resultDocument describes a record that is final.
func resultDocument(record *domain.Record) []byte {
	result := record.Result
	if result == nil { // nothing more is known than that it ended
		result = &domain.Result{CompletedAt: record.UpdatedAt}
	}
	o := newObject(smallDocument + responseSize(result.Response))
	o.text("correlation_id", string(record.ID))
	o.text("status", string(record.Status))
	if response := result.Response; response != nil {
		o.number("status_code", int64(response.StatusCode))
		o.raw("headers", headersDocument(response.Header))
		addContent(o, "result", response.Header, response.Body)
	}
	if result.Error != "" {
		o.text("error", result.Error)
	}
	o.number("attempts", int64(record.Attempts))
	o.number("processing_time_ms", result.ProcessingTime.Milliseconds())
	o.time("submitted_at", record.SubmittedAt)
	o.time("completed_at", result.CompletedAt)
	addResentFrom(o, record.ResentFrom)
	return o.end()
}

// responseSize estimates what a response takes in a document, so that the buffer seldom grows.
func responseSize(response *domain.Response) int {
	if response == nil {
		return 0
	}
	return smallDocument + base64.StdEncoding.EncodedLen(len(response.Body))
}

// headersDocument gives a field's value as a string, and as a list when it is repeated.
func headersDocument(header domain.Header) []byte {
	o := newObject(smallDocument)
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if values := header[name]; len(values) == 1 {
			o.text(name, values[0])
		} else {
			o.texts(name, values)
		}
	}
	return o.end()
}

// addContent adds the bytes of a message in the plainest form that gives all of them back: JSON as it stands, text as a
// string, anything else in base64. JSON that is not UTF-8 is no JSON (RFC 8259 section 8.1) and would spoil the
// document around it.
func addContent(o *jsonObject, name string, header domain.Header, body []byte) {
	switch {
	case !utf8.Valid(body):
		o.base64(name, body)
		o.text(name+"_encoding", "base64")
	case isJSON(header.Get("Content-Type")) && json.Valid(body):
		o.raw(name, body)
	default:
		o.validText(name, body)
	}
}
