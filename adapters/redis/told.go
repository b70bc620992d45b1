package redis

import (
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports/envelope"
)

// told is a message for others.
type told struct {
	stream  string
	message []byte
}

// owed are the messages that a debt is paid with. A request that is there no more is told of no more.
func (r *relay) owed(d *debt, values *owedValues) []told {
	var messages []told
	if values.record != nil {
		message, err := r.resultOf(d.id, values.record.Val())
		r.lament(d.id, message, err)
		if message != nil {
			messages = append(messages, told{r.db.opts.Responses, message})
		}
	}
	if values.letter != nil {
		message, err := letterOf(d.id, values.letter.Val())
		r.lament(d.id, message, err)
		if message != nil {
			messages = append(messages, told{r.db.opts.DeadLetterStream, message})
		}
	}
	return messages
}

// lament logs that there is no message for a request: its lifetime is over, somebody removed it, or it is damaged.
func (r *relay) lament(id domain.ID, message []byte, err error) {
	if message != nil {
		return
	}
	if n := r.gone.note(r.db.opts.Now()); n > 0 {
		r.db.opts.Logger.Warn("requests are gone before others were told of them", "count", n, "correlation_id", id,
			"error", err)
	}
}

// resultOf writes the result message of a record, nil when there is none. A body that is too large for it is told by
// its URL.
func (r *relay) resultOf(id domain.ID, values []any) ([]byte, error) {
	rec, found, err := decodeWhole(id, values)
	if err != nil || !found || rec.Result == nil {
		return nil, err
	}
	result := envelope.Result{ID: id, Status: rec.Status, Result: *rec.Result}
	response := result.Result.Response
	if response != nil && len(response.Body) > envelope.MaxInlineBody && r.db.opts.ResultURL != nil {
		result.URL = r.db.opts.ResultURL(id)
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
