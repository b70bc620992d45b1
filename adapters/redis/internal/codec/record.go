package codec

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
)

// A record is a hash. Its fields, beside those of StateFields:
//
//	request    what DecodeRequest reads; gone when the record is final
//	response   what DecodeResponse reads, of the last attempt that was answered
//	queue      where it waits: <lane>:<endpoint>, or one of the special names in prelude.lua; gone when it is final, and
//	           so are the next four
//	size       domain.Request.Size
//	entry      its entry in the stream of that queue; empty while it is delayed
//	token      of the delivery, while it is PROCESSING
//	message    what other programs read, while it is delayed
//	finished   names the last call that saved an outcome
//	key        the idempotency key that it holds, if it has one
//	content    ContentOf or ContentOfOriginal of what came as a message
//	unsent     there while a carrier is to have it, it has a key, and the carrier is not known to have it

// The fields to read of a record.
var (
	StateFields    = script.State
	WholeFields    = append(slices.Clone(StateFields), "response") // of all that clients get
	HandoverFields = append(slices.Clone(StateFields), "request")  // of a ready request for other programs
)

// State is a record as it was read from StateFields.
type State struct {
	domain.Record

	result domain.Result // without response; it counts only when the record is final
}

// EndedState returns the state of a record that has just become final.
func EndedState(rec domain.Record, result domain.Result) State { return State{rec, result} }

// WithResult returns the record as ports.Results does, but without response.
func (s *State) WithResult() domain.Record {
	rec := s.Record
	if rec.Status.Final() {
		result := s.result
		rec.Result = &result
	}
	return rec
}

// ReadState reads StateFields. It reports false when there is no record.
func ReadState(id domain.ID, row script.Row) (State, bool, error) {
	if len(row.Values) < len(StateFields) {
		return State{}, false, fmt.Errorf("read record %s: %w", id, errCorrupt)
	}
	if !row.Exists("facts") {
		return State{}, false, nil
	}
	rec, err := DecodeFacts(id, row.Bytes("facts"))
	if err != nil {
		return State{}, false, err
	}
	rec.Status = domain.Status(row.Text("status"))
	rec.UpdatedAt, rec.NextAttemptAt = FromMicros(row.Number("updated")), FromMicros(row.Number("next"))
	rec.Attempts, rec.Deliveries = int(row.Number("attempts")), int(row.Number("deliveries"))
	rec.ResponseSize = row.Number("answered")
	return State{Record: rec, result: domain.Result{
		Reason: domain.Reason(row.Text("reason")), Error: row.Text("error"),
		CompletedAt: FromMicros(row.Number("completed")), ProcessingTime: time.Duration(row.Number("took")),
	}}, true, nil
}

// ReadRecord reads WholeFields. It reports false when there is no record.
func ReadRecord(id domain.ID, row script.Row) (domain.Record, bool, error) {
	state, found, err := ReadState(id, row)
	if err != nil || !found {
		return domain.Record{}, false, err
	}
	rec := state.WithResult()
	if response := row.Bytes("response"); rec.Result != nil && len(response) > 0 {
		rec.Result.Response, err = DecodeResponse(response)
	}
	return rec, true, err
}

// The names of special queues: see prelude.lua.
const (
	PlainQueue   = ""  // the stream that other programs read
	CarriedQueue = "-" // a carrier has the message
	HandedQueue  = ">" // other programs get it from another broker
)

// What the name of a queue begins with.
const (
	HighLane = "high:"
	LowLane  = "low:"
)

// QueueOf returns the name of the queue of a request: its lane and its endpoint.
func QueueOf(r *domain.Request) string {
	if r.Lane() == domain.LaneHigh {
		return HighLane + r.Endpoint
	}
	return LowLane + r.Endpoint
}

// overdueAfter is how long after its deadline a request is ended that nobody works on. Until it is final a record has
// no lifetime in Redis: should no process run for days, the first one still finds what was accepted, and ends it.
const overdueAfter = 5 * time.Second

// OverdueAt returns when a request with that deadline is ended that nobody works on.
func OverdueAt(deadline time.Time) time.Time { return deadline.Add(overdueAfter) }

// ResponseFields returns the fields code, response and answered of a record, which are empty without a response.
func ResponseFields(r *domain.Response) (code string, response []byte, answered int64) {
	if r == nil {
		return "", []byte{}, 0
	}
	return strconv.Itoa(r.StatusCode), EncodeResponse(r), r.Size()
}

// Micros writes a time for a record; the zero time is empty.
func Micros(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

// FromMicros reads what Micros wrote; 0 is the zero time.
func FromMicros(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// Millis returns the first whole millisecond that is not before t; the zero time is 0.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Add(time.Millisecond - 1).UnixMilli()
}
