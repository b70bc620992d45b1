package envelope_test

import (
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain/envelope"
)

// fuzzLimit is how long a fuzzed message may be, and fuzzMemory what reading one may allocate at most: a fixed part,
// and a few times its length for texts, header maps and their slices.
const fuzzLimit = 64 << 10

func fuzzMemory(length int) uint64 { return 256<<10 + 64*uint64(length) }

func FuzzDecode(f *testing.F) {
	for name := range goldenMessages() {
		f.Add(golden(f, "message", name))
	}
	f.Add([]byte(`{"payload":[{"a":"\\\""}],"metadata":{"timeout":0.0001,"labels":{"\u0061":"\ud800"}}}`))
	f.Add([]byte(`{"correlation_id":".","timestamp":"9999-12-31T00:00:00Z","data":1,"metadata":{"delay":"48h"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := allocated()
		first, err := envelope.Decode(data, arrived, fuzzLimit)
		require.LessOrEqual(t, allocated()-before, fuzzMemory(len(data)))
		if err != nil {
			return
		}
		document := envelope.Append(nil, &first)
		again, err := envelope.Decode(document, arrived, 10*fuzzLimit)
		require.NoError(t, err, "%s", document)
		first.Ignored = nil // Append writes nothing of it
		require.Equal(t, first, again, "%s", document)
	})
}

func FuzzDecodeResult(f *testing.F) {
	for name := range goldenResults() {
		f.Add(golden(f, "result", name))
	}
	f.Add([]byte(`{"status":"COMPLETED","headers":{"Content-Type":"text/json"},"result":null,"error":"\ud800"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := allocated()
		first, err := envelope.DecodeResult(data, arrived, fuzzLimit)
		require.LessOrEqual(t, allocated()-before, fuzzMemory(len(data)))
		if err != nil {
			return
		}
		document := envelope.AppendResult(nil, &first)
		again, err := envelope.DecodeResult(document, arrived, 10*fuzzLimit)
		require.NoError(t, err, "%s", document)
		first.Ignored = nil // Append writes nothing of it
		require.Equal(t, first, again, "%s", document)
	})
}

// allocated returns the bytes that were ever allocated by the process. What runs beside a fuzzed call counts too, which
// the fixed part of fuzzMemory allows for.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
