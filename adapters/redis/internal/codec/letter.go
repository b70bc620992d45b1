package codec

import (
	"slices"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
)

// The fields to read of a dead letter, which is a hash.
var (
	LetterFields = []string{"facts", "status", "attempts", "reason", "error", "code", "size", "failed"}
	// WholeLetterFields also has the original: a request, or a message that could not be read.
	WholeLetterFields = append(slices.Clone(LetterFields), "request", "message")
)

// ReadLetter reads LetterFields, and returns the dead letter with the facts of its record. It returns nil when there is
// none.
func ReadLetter(id domain.ID, row script.Row) (*domain.DeadLetter, *domain.Record, error) {
	if !row.Exists("facts") {
		return nil, nil, nil
	}
	rec, err := DecodeFacts(id, row.Bytes("facts"))
	if err != nil {
		return nil, nil, err
	}
	return &domain.DeadLetter{
		ID: id, Endpoint: rec.Endpoint, ResentFrom: rec.ResentFrom, SubmittedAt: rec.SubmittedAt,
		Status: domain.Status(row.Text("status")), Attempts: int(row.Number("attempts")),
		Reason: domain.Reason(row.Text("reason")), Error: row.Text("error"), StatusCode: int(row.Number("code")),
		RequestSize: row.Number("size"), FailedAt: time.UnixMilli(row.Number("failed")).UTC(),
	}, &rec, nil
}
