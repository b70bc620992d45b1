package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openhqm/openhqm/tests/testkit"
)

// clients is how many submit at the same time.
const clients = 8

// load is clients that submit one request after the other, each until it is accepted: what a client learns from an
// error is that it must ask again with the same Idempotency-Key.
type load struct {
	t       *testing.T
	gateway *testkit.Gateway
	ledger  *ledger
	refused atomic.Int64    // answers 503
	ended   context.Context // no further request is begun
	end     context.CancelFunc
	group   sync.WaitGroup
}

func startLoad(t *testing.T, gateway *testkit.Gateway) *load {
	t.Helper()
	l := &load{t: t, gateway: gateway, ledger: newLedger()}
	l.ended, l.end = context.WithCancel(t.Context())
	t.Cleanup(l.stop)
	for client := range clients {
		l.group.Go(func() { l.submitAll(client) })
	}
	return l
}

// stop lets every client end with an accepted request. Something must serve meanwhile.
func (l *load) stop() {
	l.end()
	l.group.Wait()
}

func (l *load) submitAll(client int) {
	for number := 0; l.ended.Err() == nil; number++ {
		if !l.submit(newEntry(client, number)) {
			return
		}
	}
}

// submit asks until the request is accepted; false when the test ended or an answer makes no sense.
func (l *load) submit(e *entry) bool {
	ctx := l.t.Context()
	for {
		process, err := l.gateway.Serving(ctx)
		if err != nil {
			return false
		}
		answer, err := process.Client().TryPost(ctx, e.document(), http.Header{"Idempotency-Key": {e.key}})
		switch {
		case err == nil && answer.Code == http.StatusAccepted:
			e.id = answer.Header.Get("X-Correlation-Id")
			l.ledger.accept(e)
			testkit.Moves(l.t).Add(1)
			return true
		case err == nil && answer.Code != http.StatusServiceUnavailable:
			l.t.Errorf("%s: answered %d: %s", e.key, answer.Code, answer.Body)
			return false
		case err == nil:
			l.refused.Add(1)
		}
		if !pause(ctx) {
			return false
		}
	}
}

// pause is what a decent client does after an error; false when ctx ended.
func pause(ctx context.Context) bool {
	timer := time.NewTimer(5 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// entry is one request in the ledger.
type entry struct {
	key     string
	payload string
	options string // metadata
	flaky   bool   // the backend refuses its first attempt
	id      string // once it is accepted
}

// newEntry makes requests of several kinds: plain, delayed, urgent and large ones, and such that need two attempts.
func newEntry(client, number int) *entry {
	e := &entry{key: fmt.Sprintf("client-%d-%d", client, number)}
	kind, pad := "plain", ""
	switch number % 10 {
	case 3:
		kind, e.options = "delayed", `"delay": "200ms"`
	case 5:
		kind, e.flaky = flaky, true
	case 7:
		kind, e.options = "urgent", `"priority": 9`
	case 9:
		kind, pad = "large", strings.Repeat("<pad> ", 2000)
	}
	e.payload = fmt.Sprintf(`{"key":  %q, "kind": %q, "pad": %q}`, e.key, kind, pad)
	return e
}

func (e *entry) document() string {
	return fmt.Sprintf(`{"payload": %s, "metadata": {%s}}`, e.payload, e.options)
}

func (e *entry) attempts() int {
	if e.flaky {
		return 2
	}
	return 1
}

const flaky = "flaky"

// answerLoad echoes after up to 10 ms, so that there are always calls in flight. It refuses first attempts of the flaky
// kind.
func answerLoad(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
	reply := testkit.Delay(rand.N(10*time.Millisecond), testkit.Echo())
	if call.Attempt == 1 && strings.Contains(string(call.Body), flaky) {
		reply = testkit.Refuse(http.StatusServiceUnavailable)
	}
	reply(w, r, call)
}
