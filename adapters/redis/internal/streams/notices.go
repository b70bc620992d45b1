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

// decodeLetterNotice reads codec.WholeLetterFields.
func decodeLetterNotice(n *ports.Notice, row script.Row) (err error) {
	n.Letter, err = codec.ReadWholeLetter(n.ID, row)
	return err
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
