package conformance

import (
	"flag"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

var waiting = flag.Int("conformance.waiting", 20000,
	"how many requests wait for a refused endpoint; from a million on the rate of another one is held to its promise")

// promised is the part of its rate that an endpoint keeps while a million requests wait for another one.
const promised = 0.9

func crowds() []testCase {
	return []testCase{
		{
			name: "a crowd that waits for a refused endpoint does not hold up another", run: crowdHoldsNothingUp,
			patience: 30 * time.Minute,
		},
	}
}

// crowdHoldsNothingUp measures how fast an endpoint's work is drained beside the crowd, and in storage without one. The
// best of many rounds in turn: what else goes on in the machine only slows down.
func crowdHoldsNothingUp(e *env) {
	w, empty := e.consumer(), e.another()
	emptyWorker := empty.consumer()
	e.acceptCrowd(*waiting)
	credit := plenty(64)
	credit.Endpoints = map[string]int{"dead": 0}
	var beside, alone float64
	rounds := 3
	if *waiting >= 1_000_000 {
		rounds = 30
	}
	for range rounds {
		alone = max(alone, empty.drainRate(emptyWorker, credit))
		beside = max(beside, e.drainRate(w, credit))
	}
	e.t.Logf("%d waiting: another endpoint's work drains at %.0f/s, %.2f of %.0f/s", *waiting, beside, beside/alone, alone)
	if *waiting >= 1_000_000 {
		require.GreaterOrEqual(e.t, beside/alone, promised)
	}

	e.requireDepth(ports.Depths{Ready: int64(*waiting)})
	require.Equal(e.t, "dead", e.one(w).Request.Endpoint, "with credit it comes")
}

// acceptCrowd accepts n requests for the refused endpoint.
func (e *env) acceptCrowd(n int) {
	e.t.Helper()
	const callers, batch = 4, 500
	var group errgroup.Group
	parts := make(chan []domain.Request, callers)
	for range callers {
		group.Go(func() error {
			var failed error
			for part := range parts { // to the end, so that nobody waits for it
				if err := acceptAll(e.ctx, e.Intake, part); err != nil {
					failed = err
				}
			}
			return failed
		})
	}
	for left := n; left > 0; left -= batch {
		parts <- newRequests(min(batch, left), to("dead"))
	}
	close(parts)
	require.NoError(e.t, group.Wait())
}

// drainRate accepts work for the other endpoint and returns how many requests a second are received and finished.
func (e *env) drainRate(w ports.Work, credit ports.Credit) float64 {
	e.t.Helper()
	const n = 2000
	reqs := newRequests(n, to("alive"))
	e.accept(reqs...)
	began := time.Now()
	var got []domain.ID
	for len(got) < n {
		deliveries := e.receive(w, credit)
		finishes := make([]ports.Finish, len(deliveries))
		for i, d := range deliveries {
			finishes[i] = finishOf(d, completed(d))
		}
		for _, err := range w.Finish(e.ctx, finishes) {
			require.NoError(e.t, err)
		}
		got = append(got, ids(deliveries)...)
	}
	took := time.Since(began)
	e.requireIDs(requestIDs(reqs), got) // nothing of the refused endpoint, and everything of this one
	return n / took.Seconds()
}
