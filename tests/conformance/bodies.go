package conformance

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// large is more than may lie in a queue (256 KiB); such a body is somewhere else, and has a lifetime of its own there.
const large = 1 << 20

func bodies() []testCase {
	return []testCase{
		{
			name: "large bodies outlive the lifetime of finals while they are unfinished", run: unfinishedKeepBodies,
			settings: Settings{TTL: 300 * time.Millisecond},
		},
		{
			name: "the large body of a dead letter is whole when its record is gone", run: deadLettersKeepBodies,
			settings: Settings{TTL: 300 * time.Millisecond, DeadLetterTTL: time.Hour},
		},
		{
			name: "a large body survives a crash of its worker", run: crashesKeepBodies,
			settings: Settings{Lease: short},
		},
	}
}

// largeBody is another one each time, and no pattern that a store could make smaller.
func largeBody() []byte {
	body := make([]byte, large)
	_, _ = rand.NewChaCha8([32]byte{byte(rand.Uint32()), byte(rand.Uint32())}).Read(body) // it never fails
	return body
}

// outlive waits until what became final now is gone.
func (e *env) outlive() {
	e.t.Helper()
	marker := newRequest(notBefore(now().Add(time.Hour)))
	e.accept(marker)
	e.cancel(marker.ID)
	e.eventually(func() bool { return e.gone(marker.ID) }, "a final record is never deleted")
}

func unfinishedKeepBodies(e *env) {
	w := e.consumer()
	soonDue := now().Add(2 * time.Second)
	retried, held := newRequest(withBody(largeBody())), newRequest(withBody(largeBody()))
	ready := newRequest(withBody(largeBody()))
	delayed := newRequest(withBody(largeBody()), notBefore(soonDue))
	e.accept(retried)
	d := e.one(w)
	out := again(d, soonDue)
	out.Response = newResponse(http.StatusServiceUnavailable, string(largeBody()))
	e.finish(w, d, out)
	e.accept(held)
	holding := e.one(w)
	e.accept(ready, delayed)

	e.outlive()
	e.finish(w, holding, again(holding, time.Time{}))
	e.outlive()
	e.reopen()

	w = e.consumer()
	want := map[domain.ID]domain.Request{retried.ID: retried, held.ID: held, ready.ID: ready, delayed.ID: delayed}
	for _, d := range e.collect(w, len(want)) {
		e.requireRequest(want[d.Request.ID], d.Request)
		delete(want, d.Request.ID)
		if d.Request.ID == retried.ID {
			e.finish(w, d, failed(d))
			e.requireResponse(out.Response, e.find(retried.ID).Result.Response)
		}
	}
	require.Empty(e.t, want)
}

func deadLettersKeepBodies(e *env) {
	request := newRequest(withBody(largeBody()))
	e.bury(e.consumer(), request)
	e.eventually(func() bool { return e.gone(request.ID) }, "the record is never deleted")
	for range 2 { // once more after reopening
		letter, err := e.DeadLetters.Find(e.ctx, request.ID)
		require.NoError(e.t, err)
		require.NotNil(e.t, letter.Request)
		e.requireRequest(request, *letter.Request)
		e.reopen()
	}
	e.requireDepthOnceSeen(e.consumer(), ports.Depths{DeadLetters: 1})
}

func crashesKeepBodies(e *env) {
	request := newRequest(withBody(largeBody()))
	e.accept(request)
	for range 2 {
		dying, kill := e.mortal()
		e.requireRequest(request, e.one(dying).Request)
		kill()
	}
	w := e.consumer()
	d := e.one(w)
	e.requireRequest(request, d.Request)
	out := completed(d)
	out.Response.Body = largeBody()
	e.finish(w, d, out)
	e.requireResponse(out.Response, e.find(request.ID).Result.Response)
}
