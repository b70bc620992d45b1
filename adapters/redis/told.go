package redis

import (
	"context"
	"errors"
	"slices"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// resultOf writes the result message of a record, nil when there is none. A body that is too large for it is told by
// its URL.
func (db *DB) resultOf(id domain.ID, values []any) ([]byte, error) {
	return db.resultWithin(envelope.MaxInlineBody, id, values)
}

// briefResultOf tells every body by its URL.
func (db *DB) briefResultOf(id domain.ID, values []any) ([]byte, error) {
	return db.resultWithin(0, id, values)
}

func (db *DB) resultWithin(inline int, id domain.ID, values []any) ([]byte, error) {
	rec, found, err := decodeWhole(id, values)
	if err != nil || !found || rec.Result == nil {
		return nil, err
	}
	result := envelope.Result{ID: id, Status: rec.Status, Result: *rec.Result}
	response := result.Result.Response
	if response != nil && len(response.Body) > inline && db.opts.ResultURL != nil {
		result.URL = db.opts.ResultURL(id)
		result.Result.Response = &domain.Response{StatusCode: response.StatusCode, Header: response.Header}
	}
	return envelope.AppendResult(nil, &result), nil
}

// letterOf writes the message of a dead letter, nil when there is none. One whose original a broker still carries is
// told by its URL: it is told again when it has that.
func (db *DB) letterOf(id domain.ID, values []any) ([]byte, error) {
	letter, rec, err := decodeLetter(id, values)
	if err != nil || letter == nil {
		return nil, err
	}
	told := toldLetter(letter)
	original := []byte(text(values, len(letterFields)))
	if told.Message = []byte(text(values, len(letterFields)+1)); len(told.Message) == 0 {
		if len(original) == 0 {
			return db.briefLetterOf(id, values)
		}
		req, err := decodeRequest(rec, original)
		if err != nil {
			told.Message = original // as much as there is of it
		} else {
			told.Message = envelope.Append(nil, &envelope.Message{Request: req})
		}
	}
	return envelope.AppendDeadLetter(nil, &told), nil
}

// briefLetterOf tells the original by the URL of the dead letter.
func (db *DB) briefLetterOf(id domain.ID, values []any) ([]byte, error) {
	letter, _, err := decodeLetter(id, values)
	if err != nil || letter == nil {
		return nil, err
	}
	told := toldLetter(letter)
	if db.opts.LetterURL != nil {
		told.URL = db.opts.LetterURL(id)
	}
	return envelope.AppendDeadLetter(nil, &told), nil
}

// toldLetter is what is told of a dead letter besides its original.
func toldLetter(letter *domain.DeadLetter) envelope.DeadLetter {
	return envelope.DeadLetter{
		ID: letter.ID, Error: letter.Error, Attempts: letter.Attempts, FailedAt: letter.FailedAt,
	}
}

// drop gives up telling others of what is too large for them. It stays in the store for its lifetime.
func (db *DB) drop(_ context.Context, id domain.ID, cause error) error {
	db.opts.Logger.Error("others cannot be told of a request: it is too large for them in every form",
		"correlation_id", id, "error", cause)
	return nil
}

// originalFields are what the message of a ready request is made of.
var originalFields = append(slices.Clone(stateFields), "request")

// errOver says that a request needs no message any more.
var errOver = errors.New("the request has ended")

// requestOf writes the whole message of a ready request, nil when there is none.
func requestOf(id domain.ID, values []any) ([]byte, error) {
	st, found, err := decodeState(id, values)
	switch {
	case err != nil || !found:
		return nil, err
	case st.Status.Final():
		return nil, errOver
	}
	req, err := decodeRequest(&st.Record, []byte(text(values, len(stateFields))))
	if err != nil {
		return nil, err
	}
	return envelope.Append(nil, &envelope.Message{Request: req, RetryCount: st.Attempts}), nil
}

// refuse ends a request that is too large to be handed over.
func (db *DB) refuse(ctx context.Context, id domain.ID, cause error) error {
	err := db.conclude(ctx, []ports.Conclusion{{ID: id, Status: domain.Failed, Result: domain.Result{
		Reason: domain.ReasonRejected, Error: "it cannot be handed over: " + cause.Error(), CompletedAt: db.opts.Now(),
	}}})[0]
	if errors.Is(err, ports.ErrNotFound) {
		return nil // there is nothing to end
	}
	return err
}
