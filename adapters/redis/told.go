package redis

import (
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports/envelope"
)

// resultOf writes the result message of a record, nil when there is none. A body that is too large for it is told by
// its URL.
func (db *DB) resultOf(id domain.ID, values []any) ([]byte, error) {
	rec, found, err := decodeWhole(id, values)
	if err != nil || !found || rec.Result == nil {
		return nil, err
	}
	result := envelope.Result{ID: id, Status: rec.Status, Result: *rec.Result}
	response := result.Result.Response
	if response != nil && len(response.Body) > envelope.MaxInlineBody && db.opts.ResultURL != nil {
		result.URL = db.opts.ResultURL(id)
		result.Result.Response = &domain.Response{StatusCode: response.StatusCode, Header: response.Header}
	}
	return envelope.AppendResult(nil, &result), nil
}

// letterOf writes the message of a dead letter, nil when there is none.
func letterOf(id domain.ID, values []any) ([]byte, error) {
	letter, rec, err := decodeLetter(id, values)
	if err != nil || letter == nil {
		return nil, err
	}
	original, message := text(values, len(letterFields)), []byte(text(values, len(letterFields)+1))
	if len(message) == 0 {
		req, err := decodeRequest(rec, []byte(original))
		if err != nil {
			message = []byte(original) // as much as there is of it
		} else {
			message = envelope.Append(nil, &envelope.Message{Request: req})
		}
	}
	return envelope.AppendDeadLetter(nil, &envelope.DeadLetter{
		Message: message, ID: id, Error: letter.Error, Attempts: letter.Attempts, FailedAt: letter.FailedAt,
	}), nil
}
