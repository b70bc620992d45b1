package redis

import (
	"fmt"
	"strconv"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
)

// A record is a hash. Its fields, beside those of stateFields:
//
//	request    what decodeRequest reads; gone when the record is final
//	response   what decodeResponse reads, of the last attempt that was answered
//	queue      <lane>:<endpoint>, where it waits, or nothing when consumers that are not ours have it, or ">" when those
//	           have it from another broker, or "-" while a broker carries it, and then there is no request here; gone
//	           when it is final, and so are the next four
//	size       domain.Request.Size
//	entry      its entry in the stream of that queue; empty while it is delayed
//	token      of the delivery, while it is PROCESSING
//	message    the one for consumers that are not ours, while it is delayed
//	finished   names the last call that saved an outcome
//	key        the idempotency key that it holds, if it has one
//	unsent     there while a broker is to carry it, it has a key, and the broker is not known to have it

// stateFields are the fields that a record is read from, in this order.
var stateFields = script.State

// state is a record as it was read.
type state struct {
	domain.Record

	result domain.Result // without response; meant only when the record is final
}

// withResult gives the record as Find does, but without response.
func (s *state) withResult() domain.Record {
	rec := s.Record
	if rec.Status.Final() {
		result := s.result
		rec.Result = &result
	}
	return rec
}

// whole gives the record as Find does.
func (s *state) whole(response []byte) (rec domain.Record, err error) {
	rec = s.withResult()
	if rec.Result != nil && len(response) > 0 {
		rec.Result.Response, err = decodeResponse(response)
	}
	return rec, err
}

// decodeWhole reads the values of wholeFields. It reports false when there is no record.
func decodeWhole(id domain.ID, values []any) (domain.Record, bool, error) {
	st, found, err := decodeState(id, values)
	if err != nil || !found {
		return domain.Record{}, false, err
	}
	rec, err := st.whole([]byte(text(values, len(stateFields))))
	return rec, true, err
}

// decodeState reads the values of stateFields. It reports false when there is no record.
func decodeState(id domain.ID, values []any) (state, bool, error) {
	if len(values) < len(stateFields) {
		return state{}, false, fmt.Errorf("read record %s: %w", id, errCorrupt)
	}
	row := script.Row{Names: stateFields, Values: values}
	if !row.Exists("facts") {
		return state{}, false, nil
	}
	rec, err := decodeFacts(id, row.Bytes("facts"))
	if err != nil {
		return state{}, false, err
	}
	rec.Status = domain.Status(row.Text("status"))
	rec.UpdatedAt, rec.NextAttemptAt = fromMicros(row.Number("updated")), fromMicros(row.Number("next"))
	rec.Attempts, rec.Deliveries = int(row.Number("attempts")), int(row.Number("deliveries"))
	rec.ResponseSize = row.Number("answered")
	return state{Record: rec, result: domain.Result{
		Reason: domain.Reason(row.Text("reason")), Error: row.Text("error"),
		CompletedAt: fromMicros(row.Number("completed")), ProcessingTime: time.Duration(row.Number("took")),
	}}, true, nil
}

// micros writes a time for a record; the zero time is empty.
func micros(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

func fromMicros(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// millis is the first whole millisecond that is not before t; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Add(time.Millisecond - 1).UnixMilli()
}
