package envelope_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
)

// A message carries a request over a broker. A JSON body travels as it is, byte for byte.
func ExampleAppend() {
	document := envelope.Append(nil, &envelope.Message{Request: domain.Request{
		ID: "order-17", Endpoint: "shop", Path: "/orders", Body: []byte(`{"item": "tea",  "n": 2}`),
		Header: domain.Header{"Content-Type": {"application/json"}},
	}})
	fmt.Println(strings.Replace(string(document), `,"metadata"`, ",\n\"metadata\"", 1)) // on two lines, for readers

	arrived := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	m, err := envelope.Decode(document, arrived, len(document))
	fmt.Println(m.Request.ID, m.Request.Endpoint, m.Request.Path, string(m.Request.Body), err)
	// Output:
	// {"correlation_id":"order-17","payload":{"item": "tea",  "n": 2},"headers":{"Content-Type":"application/json"},
	// "metadata":{"endpoint":"shop","path":"/orders"}}
	// order-17 shop /orders {"item": "tea",  "n": 2} <nil>
}

// A foreign message is one that another program wrote. It may lack an id, an endpoint and times; the reader completes
// them, and rejects what cannot be forwarded.
func ExampleReader_Read() {
	reader := envelope.Reader{DefaultEndpoint: "shop", MaxAge: time.Hour, MaxSize: 1 << 20}
	arrived := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

	m, err := reader.Read([]byte(`{"payload": {"item": "tea"}, "color": "green"}`), arrived, "topic-0-42")
	fmt.Println(m.Request.ID, m.Request.Endpoint, string(m.Request.Body), m.Request.Deadline.Sub(arrived), err)

	_, err = reader.Read([]byte(`{"payload": 1, "metadata": {"priority": 11}}`), arrived, "topic-0-43")
	fmt.Println(err)
	// Output:
	// topic-0-42 shop {"item": "tea"} 1h0m0s <nil>
	// metadata.priority: must be an integer from 0 to 9
}
