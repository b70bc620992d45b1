package codec

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain"
)

// The fields to read of a dead letter, which is a hash.
var (
	LetterFields = []string{"facts", "status", "attempts", "reason", "error", "code", "size", "failed"}
	// WholeLetterFields also has the original: a request, a message that was not accepted, or both.
	WholeLetterFields = append(slices.Clone(LetterFields), "request", "message", "fields")
)

// ReadWholeLetter reads WholeLetterFields. It returns nil when there is no dead letter. A request that cannot be read
// is returned as the original, because its bytes are all there is of it.
func ReadWholeLetter(id domain.ID, row script.Row) (*domain.DeadLetter, error) {
	letter, _, err := ReadStoredLetter(id, row)
	return letter, err
}

// ReadStoredLetter is ReadWholeLetter, and also returns the facts that are kept with the dead letter.
func ReadStoredLetter(id domain.ID, row script.Row) (*domain.DeadLetter, *domain.Record, error) {
	letter, rec, err := readLetter(id, row)
	if err != nil || letter == nil {
		return nil, nil, err
	}
	letter.Original.Fields = decodeFields(row.Bytes("fields"))
	if message := row.Bytes("message"); len(message) > 0 {
		letter.Original.Value = message
	}
	request := row.Bytes("request")
	if len(request) == 0 {
		return letter, rec, nil
	}
	req, err := DecodeRequest(rec, request)
	if err == nil {
		letter.Request = &req
	} else if letter.Original.Empty() {
		letter.Original.Value = request
	}
	return letter, rec, nil
}

// The parts of a field of an entry.
const (
	fieldName = iota + 1
	fieldValue
)

// EncodeFields writes the fields of an entry of a stream.
func EncodeFields(fields []domain.Field) []byte {
	e := newEncoder(64)
	for _, f := range fields {
		put(e, fieldName, f.Name)
		put(e, fieldValue, f.Value)
	}
	return e.buf
}

// decodeFields reads what EncodeFields wrote. Of damaged bytes it returns what comes before the damage.
func decodeFields(value []byte) (fields []domain.Field) {
	_ = decode(value, func(f uint64, v []byte) {
		switch {
		case f == fieldName:
			fields = append(fields, domain.Field{Name: string(v)})
		case f == fieldValue && len(fields) > 0:
			fields[len(fields)-1].Value = string(v)
		}
	})
	return fields
}

// contentSize is enough that two contents of one id by chance never have one name.
const contentSize = 16

// ContentOf names what a request says, but for its endpoint: a message may name none, and the default may change. A
// message with its id and another name is not the same message sent again.
func ContentOf(r *domain.Request) []byte {
	anywhere := *r
	anywhere.Endpoint = ""
	sum := anywhere.Fingerprint()
	return sum[:contentSize]
}

// ContentOfOriginal names a message that is not accepted.
func ContentOfOriginal(o *domain.Original) []byte {
	hash := sha256.New()
	_, _ = hash.Write(EncodeFields(o.Fields)) // a hash never fails
	_, _ = hash.Write([]byte{0})
	_, _ = hash.Write(o.Value)
	return hash.Sum(nil)[:contentSize]
}

// ReadLetter reads LetterFields. It returns nil when there is no dead letter.
func ReadLetter(id domain.ID, row script.Row) (*domain.DeadLetter, error) {
	letter, _, err := readLetter(id, row)
	return letter, err
}

// readLetter also returns the facts of the record.
func readLetter(id domain.ID, row script.Row) (*domain.DeadLetter, *domain.Record, error) {
	if !row.Exists("facts") {
		return nil, nil, nil
	}
	rec, err := DecodeFacts(id, row.Bytes("facts"))
	if err != nil {
		return nil, nil, err
	}
	return &domain.DeadLetter{
		ID: id, Endpoint: rec.Endpoint, ResentFrom: rec.ResentFrom, SubmittedAt: rec.SubmittedAt,
		Status: domain.Status(row.Text("status")), Attempts: int(row.Number("attempts")),
		Reason: domain.Reason(row.Text("reason")), Error: row.Text("error"), StatusCode: int(row.Number("code")),
		RequestSize: row.Number("size"), FailedAt: time.UnixMilli(row.Number("failed")).UTC(),
	}, &rec, nil
}
