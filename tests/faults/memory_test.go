package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// memoryBound is what a process with the default configuration may have resident, in bytes, however much comes at once:
// the memory that configs/deploy gives it. Without a limit, the soft limit of Go's heap is 1 GiB (bootstrap/memory.go:
// 256 MiB each for bodies that are received, results that are read, worker.max_bytes and the rest). How much of it is
// garbage at the moment of the peak is up to the collector.
const memoryBound = 1536 << 20

const (
	largeCrowd  = 64 // worker.count
	largePieces = 159
	largePiece  = 64 << 10 // bytes; all together just less than server.max_body_size and proxy.max_response_size
)

// largeText is a JSON text that is another one for each number. It is never in memory as a whole: what is measured is
// the gateway.
type largeText struct{ piece []byte }

func newLargeText(number int) largeText {
	piece := bytes.Repeat(fmt.Appendf(nil, "%15d,", number), largePiece/16)
	copy(piece, `"`)
	copy(piece[len(piece)-2:], `",`)
	return largeText{piece}
}

const (
	largeBegin = "["
	largeEnd   = "0]"
	largeSize  = len(largeBegin) + largePieces*largePiece + len(largeEnd)
)

// WriteTo writes all of it.
func (l largeText) WriteTo(w io.Writer) (int64, error) {
	parts := []io.Reader{strings.NewReader(largeBegin)}
	for range largePieces {
		parts = append(parts, bytes.NewReader(l.piece))
	}
	return io.Copy(w, io.MultiReader(append(parts, strings.NewReader(largeEnd))...))
}

var errOther = errors.New("another text")

// compare reads as many bytes as the text has, and compares each.
func (l largeText) compare(r io.Reader) error {
	buffer := make([]byte, largePiece)
	next := func(want []byte) error {
		got := buffer[:len(want)]
		if _, err := io.ReadFull(r, got); err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return errOther
		}
		return nil
	}
	err := next([]byte(largeBegin))
	for range largePieces {
		err = errors.Join(err, next(l.piece))
	}
	return errors.Join(err, next([]byte(largeEnd)))
}

// largeBackend answers with the large text whose number is the path, as soon as it is released.
type largeBackend struct {
	*httptest.Server

	waiting atomic.Int64  // calls that have arrived
	release chan struct{} // closed: they are answered
}

// newLargeBackend makes a backend; check reads the body of each call.
func newLargeBackend(t *testing.T, check func(l largeText, body io.Reader) error) *largeBackend {
	t.Helper()
	b := &largeBackend{release: make(chan struct{})}
	b.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		text := newLargeText(number)
		if err = errors.Join(err, check(text, r.Body)); err != nil {
			t.Errorf("call of %s: %v", r.URL, err)
			return
		}
		b.waiting.Add(1)
		select {
		case <-b.release:
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(largeSize))
		_, _ = text.WriteTo(w) // a caller that has left does not want it
	}))
	b.Listener = testkit.CountedListener{Listener: b.Listener, Bytes: testkit.Moves(t)}
	b.Start()
	t.Cleanup(func() {
		b.CloseClientConnections()
		b.Close()
	})
	return b
}

func TestMemoryIsBoundedWhileManySubmitAsMuchAsTheyMay(t *testing.T) {
	t.Parallel()
	backend := newLargeBackend(t, largeText.compare)
	config := testkit.OneBackend(backend.URL) + "server: {read_timeout: 1h}\n" // for room: the last comes when all fit
	process := testkit.NewPlainGateway(t, config).Start()
	client := process.Client()
	ids := make([]string, largeCrowd)
	ctx, cancel := testkit.WhileMoving(t, testkit.Moves(t).Load)
	defer cancel()

	crowd(t, largeCrowd, largeCrowd, func(number int) (err error) {
		ids[number], err = submitLarge(ctx, t, client.Address, number)
		return err
	})
	requireMemory(t, process, "all were submitted at once, and wait")
	depth := client.Depth()
	require.InDelta(t, largeCrowd, depth.Ready+depth.Leased, 0)
	require.Positive(t, depth.Ready, "only as many are fetched as there is memory for")
	close(backend.release)

	requireLarge(t, client, ids)
	requireMemory(t, process, "all were answered with as much")
}

func TestMemoryIsBoundedWhileManyBackendsAnswerAsMuchAsTheyMay(t *testing.T) {
	t.Parallel()
	backend := newLargeBackend(t, func(largeText, io.Reader) error { return nil })
	process := testkit.NewPlainGateway(t, testkit.OneBackend(backend.URL)).Start()
	client := process.Client()

	ids := submitMany(t, client, largeCrowd, func(number int) string {
		return fmt.Sprintf(`{"payload": 1, "metadata": {"path": "/%d"}}`, number)
	})
	testkit.Until(t, "all slots are taken", func() bool { return backend.waiting.Load() == largeCrowd })
	close(backend.release)

	requireLarge(t, client, ids)
	requireMemory(t, process, "all were answered at once")
}

// submitLarge submits a large text and returns the id.
func submitLarge(ctx context.Context, t *testing.T, address string, number int) (string, error) {
	t.Helper()
	begin := fmt.Sprintf(`{"metadata": {"path": "/%d"}, "payload": `, number)
	got, err := exchange(ctx, t, address, func(conn net.Conn) {
		text("%s%sContent-Length: %d\r\n\r\n%s", submitLine, jsonType, len(begin)+largeSize+1, begin)(conn)
		_, _ = newLargeText(number).WriteTo(conn) // a server that does not take it says so
		text("}")(conn)
	})
	if err != nil || got.code != http.StatusAccepted {
		return "", fmt.Errorf("answered %d %.300s: %w", got.code, got.body, err)
	}
	var receipt testkit.Receipt
	err = json.Unmarshal(got.body, &receipt)
	return receipt.CorrelationID, err
}

// requireLarge waits for all results, one after the other, and compares every byte.
func requireLarge(t *testing.T, client *testkit.Client, ids []string) {
	t.Helper()
	ctx, cancel := testkit.WhileMoving(t, func() int64 { return client.Bytes() + testkit.Moves(t).Load() })
	defer cancel()
	for number, id := range ids {
		document := finalDocument(ctx, t, client, id)
		head, result, _ := bytes.Cut(document, []byte(`"result":`))
		require.Contains(t, string(head), `"COMPLETED"`)
		require.NoError(t, newLargeText(number).compare(bytes.NewReader(result)), id)
	}
}

// finalDocument returns the document of a result. It is not decoded, which would take long.
func finalDocument(ctx context.Context, t *testing.T, client *testkit.Client, id string) []byte {
	t.Helper()
	for {
		answer, err := client.Response(ctx, id, "30s")
		require.NoError(t, err)
		if answer.Code != http.StatusAccepted {
			require.Equal(t, http.StatusOK, answer.Code)
			return answer.Body
		}
	}
}

func requireMemory(t *testing.T, process *testkit.Process, when string) {
	t.Helper()
	peak := process.PeakMemory()
	t.Logf("%s: at most %d MiB were resident", when, peak>>20)
	require.Less(t, peak, int64(memoryBound), when)
}
