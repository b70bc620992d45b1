package exchange

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// What ids begin with that are derived from the place of a message. A request and a result may lie at places of the
// same name, so each has a prefix of its own. They never change: a message that is handed out again gets the same id.
const (
	carriedPrefix = "message-" // requests that a carrier hands to workers
	requestPrefix = "stream-"  // requests that RequestsIn reads
	resultPrefix  = "result-"  // results that cannot be read
)

var errNoValue = errors.New("the message has no value")

// ReadCarried reads a message that a carrier handed out, which another program may have written. One without an id gets
// one that is derived from its place. With an error the request still has an id and times.
func ReadCarried(reader envelope.Reader, received *ports.Received) (envelope.Message, error) {
	return read(reader, received, carriedPrefix)
}

func read(reader envelope.Reader, received *ports.Received, prefix string) (envelope.Message, error) {
	nameless := derivedID(prefix, received.Place)
	if received.Value == nil {
		return envelope.Message{Request: domain.Request{
			ID: nameless, SubmittedAt: received.Arrived, Deadline: received.Arrived.Add(reader.MaxAge),
		}}, errNoValue
	}
	return reader.Read(received.Value, received.Arrived, nameless)
}

// derivedID names a message that has no id of its own by the place where it lies, which is the same at every hand-out.
func derivedID(prefix, place string) domain.ID {
	if id := domain.ID(prefix + place); id.Valid() {
		return id
	}
	sum := sha256.Sum256([]byte(place))
	return domain.ID(prefix + hex.EncodeToString(sum[:]))
}
