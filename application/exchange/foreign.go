package exchange

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// What ids begin with that are derived from the place of a message. A request and a result may lie at places of the
// same name, so each has a prefix of its own. They never change: a message that is handed out again gets the same id.
const (
	carriedPrefix = "message-" // requests that a carrier hands to workers
	requestPrefix = "stream-"  // requests that RequestsIn reads
	resultPrefix  = "result-"  // results that cannot be read
)

// errNoValue is the error for a message without a value, and errNoPayload that for the entry of a stream.
var (
	errNoValue   = errors.New("the message has no value")
	errNoPayload = errors.New(`the entry has no field "payload"`)
)

// Reader reads requests that other programs may have written. It is safe for concurrent use.
type Reader struct {
	documents func() envelope.Reader
	ignored   *ignored
}

// NewReader returns a Reader, which reads documents by what documents returns at that moment. It logs, once a minute,
// that messages have members which it ignores.
func NewReader(documents func() envelope.Reader, now func() time.Time, logger *slog.Logger) *Reader {
	return &Reader{documents: documents, ignored: newIgnored("requests", now, logger)}
}

// ReadCarried reads a message that a carrier handed out, which another program may have written. One without an id gets
// one that is derived from its place. With an error the request still has an id and times.
func (r *Reader) ReadCarried(received *ports.Received) (envelope.Message, error) {
	return r.read(received, carriedPrefix)
}

func (r *Reader) read(received *ports.Received, prefix string) (envelope.Message, error) {
	documents, nameless := r.documents(), derivedID(prefix, received.Place)
	if err := missing(received); err != nil {
		return envelope.Message{Request: domain.Request{
			ID: nameless, SubmittedAt: received.Arrived, Deadline: received.Arrived.Add(documents.MaxAge),
		}}, err
	}
	m, err := documents.Read(received.Value, received.Arrived, nameless)
	if err == nil {
		r.ignored.note(m.Request.ID, m.Ignored)
	}
	return m, err
}

// missing returns why there is no document in a message, if there is none.
func missing(received *ports.Received) error {
	switch {
	case received.Value != nil:
		return nil
	case len(received.Fields) > 0:
		return errNoPayload
	default:
		return errNoValue
	}
}

// Rejected returns a carried message that cannot be read for Store.Reject.
func Rejected(received *ports.Received, req domain.Request, cause error) ports.Rejection {
	return rejected(received, req, carriedPrefix, cause)
}

// IDUsed returns a carried message whose id belongs to another request for Store.Reject. Its dead letter
// has an id that is derived from the place, and can be sent again.
func IDUsed(received *ports.Received, req domain.Request) ports.Rejection {
	return idUsed(received, req, carriedPrefix)
}

func rejected(received *ports.Received, req domain.Request, prefix string, cause error) ports.Rejection {
	return ports.Rejection{
		Request: req, Spare: derivedID(prefix, received.Place), Original: originalOf(received),
		Reason: domain.ReasonUndecodable, Cause: cause,
	}
}

func idUsed(received *ports.Received, req domain.Request, prefix string) ports.Rejection {
	rejection := rejected(received, req, prefix, fmt.Errorf("%w: %s", ports.ErrIDUsed, req.ID))
	rejection.Request.ID, rejection.Whole, rejection.Reason = rejection.Spare, true, domain.ReasonIDConflict
	return rejection
}

func originalOf(received *ports.Received) domain.Original {
	return domain.Original{Value: received.Value, Fields: received.Fields}
}

// derivedID names a message that has no id of its own by the place where it lies, which is the same at every hand-out.
func derivedID(prefix, place string) domain.ID {
	if id := domain.ID(prefix + place); id.Valid() {
		return id
	}
	sum := sha256.Sum256([]byte(place))
	return domain.ID(prefix + hex.EncodeToString(sum[:]))
}

// ignored logs that messages have members that nobody reads, which may be misspelt. It is safe for concurrent use.
type ignored struct {
	kind   string
	now    func() time.Time
	logger *slog.Logger

	mu    sync.Mutex
	rarer outage.Rarely
}

func newIgnored(kind string, now func() time.Time, logger *slog.Logger) *ignored {
	return &ignored{kind: kind, now: now, logger: logger, rarer: outage.Rarely{Quiet: time.Minute}}
}

// note counts a message, if it has such members.
func (i *ignored) note(id domain.ID, members []string) {
	if len(members) == 0 {
		return
	}
	i.mu.Lock()
	n := i.rarer.Note(i.now())
	i.mu.Unlock()
	if n > 0 {
		i.logger.Warn("messages have members that are ignored (see whether their producer misspells them)",
			"kind", i.kind, "count", n, "correlation_id", id, "members", members)
	}
}
