package envelope_test

import (
	"math"
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
		first, err := envelope.Decode(data, arrived, fuzzLimit)
		requireMemory(t, len(data), func() { _, _ = envelope.Decode(data, arrived, fuzzLimit) })
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
		first, err := envelope.DecodeResult(data, arrived, fuzzLimit)
		requireMemory(t, len(data), func() { _, _ = envelope.DecodeResult(data, arrived, fuzzLimit) })
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

// requireMemory holds that a call allocates no more than its input may cost. What the runtime allocates beside it
// counts too, so the least of a few calls is what it needs.
func requireMemory(t *testing.T, size int, call func()) {
	t.Helper()
	const tries = 5
	least := uint64(math.MaxUint64)
	for range tries {
		before := allocated()
		call()
		if least = min(least, allocated()-before); least <= fuzzMemory(size) {
			return
		}
	}
	require.LessOrEqual(t, least, fuzzMemory(size))
}

// allocated returns the bytes that were ever allocated by the process. What runs beside a fuzzed call counts too, which
// the fixed part of fuzzMemory allows for.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
