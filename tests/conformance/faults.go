package conformance

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

var faultSeed = flag.Uint64("conformance.seed", 0, "seed of the random faults; 0: a new one, which is logged")

func faults() []testCase {
	return []testCase{
		{
			name: "under random faults what goes in comes out, and nothing is final twice", run: randomFaults,
			settings: Settings{Lease: 500 * time.Millisecond}, patience: 5 * time.Minute,
		},
	}
}

// randomFaults sends requests through consumers that crash, lose leases, retry, release and finish twice.
func randomFaults(e *env) {
	n := 10000
	if testing.Short() {
		n = 2000
	}
	seed := *faultSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	e.t.Logf("to repeat: -conformance.seed=%d", seed)

	reqs := newRequests(n)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range reqs {
		reqs[i].Priority = random.IntN(10)
		reqs[i].Endpoint = []string{"a", "b", "c"}[random.IntN(3)]
	}
	book := newLedger(reqs)
	working, stop := context.WithCancel(e.ctx)
	defer stop()
	group, failed := errgroup.WithContext(working)
	for i := range 4 {
		c := &clumsy{e: e, ledger: book, random: rand.New(rand.NewPCG(seed, uint64(i+1)))}
		group.Go(func() error { return c.run(failed) })
	}
	for part := range len(reqs) / 100 {
		e.accept(reqs[part*100 : (part+1)*100]...)
	}
	select {
	case <-book.done:
	case <-failed.Done():
	}
	stop()
	require.NoError(e.t, group.Wait())
	for _, r := range reqs {
		require.NoError(e.t, book.check(e.find(r.ID)))
	}
	w := e.consumer()
	e.requireNothingLeft(w)
	e.nothing(w, plenty(1))
}

// clumsy works like a consumer that many things happen to.
type clumsy struct {
	e      *env
	ledger *ledger
	random *rand.Rand
	old    []ports.Delivery // of lives that ended: they will be finished late
}

// run lives one life after the other, until ctx ends or everything is final.
func (c *clumsy) run(ctx context.Context) error {
	for ctx.Err() == nil {
		life, crash := context.WithCancel(ctx)
		err := c.live(life, c.e.NewConsumer(life))
		crash()
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// live works until a crash, which leaves deliveries unfinished: a random one, or one when nothing more comes.
func (c *clumsy) live(ctx context.Context, w ports.Work) error {
	for {
		deliveries, err := c.receive(ctx, w)
		if err != nil || len(deliveries) == 0 {
			return err
		}
		for _, d := range deliveries {
			if err := c.ledger.handedOut(d); err != nil {
				return err
			}
		}
		crash := c.random.IntN(20) == 0
		for i, d := range deliveries {
			if crash && i >= len(deliveries)/2 {
				c.old = append(c.old, deliveries[i:]...)
				return nil
			}
			if err := c.work(ctx, w, d); err != nil {
				return err
			}
		}
		if err := c.finishLate(ctx, w); err != nil {
			return err
		}
	}
}

// receive returns nothing when only what this consumer itself holds is left, so that it crashes.
func (c *clumsy) receive(ctx context.Context, w ports.Work) ([]ports.Delivery, error) {
	bounded, cancel := context.WithTimeout(ctx, c.e.quiet())
	defer cancel()
	deliveries, err := w.Receive(bounded, plenty(1+c.random.IntN(64)))
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, nil
	}
	return deliveries, err
}

// work ends one delivery in one of many ways.
func (c *clumsy) work(ctx context.Context, w ports.Work, d ports.Delivery) error {
	later := now().Add(time.Duration(c.random.IntN(50)) * time.Millisecond)
	out := completed(d)
	switch c.random.IntN(20) {
	case 0, 1:
		out = again(d, later)
	case 2:
		out = again(d, time.Time{})
		out.Response = newResponse(503, "busy")
	case 3:
		out = released(d, later)
	case 4: // hangs until it is stopped
		c.old = append(c.old, d)
		return nil
	case 5:
		if err := c.finish(ctx, w, d, out); err != nil { // and once more
			return err
		}
	}
	return c.finish(ctx, w, d, out)
}

// finishLate finishes what earlier lives left, whether it is still theirs or not.
func (c *clumsy) finishLate(ctx context.Context, w ports.Work) error {
	for len(c.old) > 0 && c.random.IntN(3) == 0 {
		i := c.random.IntN(len(c.old))
		d := c.old[i]
		c.old[i] = c.old[len(c.old)-1]
		c.old = c.old[:len(c.old)-1]
		if err := c.finish(ctx, w, d, completed(d)); err != nil {
			return err
		}
	}
	return nil
}

func (c *clumsy) finish(ctx context.Context, w ports.Work, d ports.Delivery, out domain.Outcome) error {
	return c.ledger.finish(d.Request.ID, out, func() error {
		errs := w.Finish(context.WithoutCancel(ctx), []ports.Finish{finishOf(d, out)})
		if len(errs) != 1 {
			return errors.New("finish: not one answer for each delivery")
		}
		return errs[0]
	})
}
