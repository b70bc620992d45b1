package testkit

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
)

// DecodeDeadLetter reads a document of queue.dead_letters as another program would: with encoding/json, and without any
// code of the gateway.
func DecodeDeadLetter(data []byte) (envelope.DeadLetter, error) {
	var d struct {
		Message  json.RawMessage `json:"message"`
		Encoding string          `json:"message_encoding"`
		Fields   []struct {
			Name    string `json:"name"`
			NameIn  string `json:"name_encoding"`
			Value   string `json:"value"`
			ValueIn string `json:"value_encoding"`
		} `json:"fields"`
		URL      string    `json:"message_url"`
		ID       domain.ID `json:"correlation_id"`
		Error    string    `json:"error"`
		Attempts int       `json:"attempts"`
		FailedAt time.Time `json:"failed_at"`
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return envelope.DeadLetter{}, err
	}
	message := []byte(d.Message)
	if d.Encoding != "" {
		var encoded string
		if err := json.Unmarshal(message, &encoded); err != nil || d.Encoding != "base64" {
			return envelope.DeadLetter{}, fmt.Errorf("message %s with message_encoding %q", message, d.Encoding)
		}
		var err error
		if message, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return envelope.DeadLetter{}, err
		}
	}
	var fields []domain.Field
	for _, f := range d.Fields {
		name, err := decodeText(f.Name, f.NameIn)
		if err != nil {
			return envelope.DeadLetter{}, err
		}
		value, err := decodeText(f.Value, f.ValueIn)
		if err != nil {
			return envelope.DeadLetter{}, err
		}
		fields = append(fields, domain.Field{Name: name, Value: value})
	}
	return envelope.DeadLetter{
		Message: message, Fields: fields, URL: d.URL, ID: d.ID, Error: d.Error, Attempts: d.Attempts, FailedAt: d.FailedAt,
	}, nil
}

// decodeText returns the bytes of a text with an encoding of our documents.
func decodeText(text, encoding string) (string, error) {
	switch encoding {
	case "":
		return text, nil
	case "base64":
		decoded, err := base64.StdEncoding.DecodeString(text)
		return string(decoded), err
	default:
		return "", fmt.Errorf("unknown encoding %q", encoding)
	}
}
