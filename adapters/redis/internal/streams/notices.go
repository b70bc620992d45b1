package streams

import (
	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/ports"
)

// decodeResultNotice reads codec.WholeFields.
func decodeResultNotice(n *ports.Notice, row script.Row) error {
	rec, found, err := codec.ReadRecord(n.ID, row)
	if err == nil && found {
		n.Record = &rec
	}
	return err
}

// decodeLetterNotice reads codec.WholeLetterFields. An original that cannot be decoded is sent as its bytes.
func decodeLetterNotice(n *ports.Notice, row script.Row) error {
	letter, rec, err := codec.ReadLetter(n.ID, row)
	if err != nil || letter == nil {
		return err
	}
	n.Letter = letter
	request, message := row.Bytes("request"), row.Bytes("message")
	switch {
	case len(message) > 0:
		n.Original = message
	case len(request) > 0:
		req, err := codec.DecodeRequest(rec, request)
		if err != nil {
			n.Original = request
			return nil //nolint:nilerr // these bytes are all there is of it
		}
		letter.Request = &req
	}
	return nil
}

// decodeHandover reads codec.HandoverFields. A request that has ended is not handed over any more.
func decodeHandover(n *ports.Notice, row script.Row) error {
	state, found, err := codec.ReadState(n.ID, row)
	if err != nil || !found {
		return err
	}
	if !state.Status.Final() {
		req, err := codec.DecodeRequest(&state.Record, row.Bytes("request"))
		if err != nil {
			return err
		}
		n.Request = &req
	}
	n.Record = &state.Record
	return nil
}
