package redis

import (
	"slices"

	"github.com/openhqm/openhqm/ports"
)

// decodeResultNotice reads the values of wholeFields.
func decodeResultNotice(n *ports.Notice, values []any) error {
	rec, found, err := decodeWhole(n.ID, values)
	if err == nil && found {
		n.Record = &rec
	}
	return err
}

// decodeLetterNotice reads the values of wholeLetterFields. An original whose bytes cannot be read is told as it is.
func decodeLetterNotice(n *ports.Notice, values []any) error {
	letter, rec, err := decodeLetter(n.ID, values)
	if err != nil || letter == nil {
		return err
	}
	n.Letter = letter
	request, message := text(values, len(letterFields)), text(values, len(letterFields)+1)
	switch {
	case message != "":
		n.Original = []byte(message)
	case request != "":
		req, err := decodeRequest(rec, []byte(request))
		if err != nil {
			n.Original = []byte(request)
			return nil //nolint:nilerr // there is as much of it as there is
		}
		letter.Request = &req
	}
	return nil
}

// handoverFields are what a ready request is read from.
var handoverFields = append(slices.Clone(stateFields), "request")

// decodeHandover reads the values of handoverFields. One that has ended has no request any more.
func decodeHandover(n *ports.Notice, values []any) error {
	st, found, err := decodeState(n.ID, values)
	if err != nil || !found {
		return err
	}
	if !st.Status.Final() {
		req, err := decodeRequest(&st.Record, []byte(text(values, len(stateFields))))
		if err != nil {
			return err
		}
		n.Request = &req
	}
	n.Record = &st.Record
	return nil
}
