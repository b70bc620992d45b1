package testkit

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openhqm/openhqm/tests/moving"
)

// Patience is how long nothing of a test may move before a helper that waits fails it. It is no expectation: a machine
// may be slow, and a test has failed only when it does not get on.
const Patience = 60 * time.Second

// longest bounds one wait all the same: clients that never stop keep a test moving although one thing never happens.
const longest = 5 * Patience

// Patiently returns a context for one wait of a test. It ends when nothing has moved for Patience: no call reached a
// backend of the test, and no process that it started wrote to its log. It ends after five times Patience in any case.
// Subtests of one test share what moves.
func Patiently(tb testing.TB) (context.Context, context.CancelFunc) {
	tb.Helper()
	return patiently(tb.Context(), Patience, Moves(tb).Load)
}

// WhileMoving returns a context that ends with the test, or when progress has returned the same for Patience. There is
// no other bound, so progress must not count what goes on by itself.
func WhileMoving(tb testing.TB, progress func() int64) (context.Context, context.CancelFunc) {
	tb.Helper()
	return moving.While(tb.Context(), Patience, progress)
}

// patiently is Patiently for other progress, and where the context of a test has ended or there is none.
func patiently(
	ctx context.Context, idle time.Duration, progress func() int64,
) (context.Context, context.CancelFunc) {
	bounded, end := context.WithTimeoutCause(ctx, longest, fmt.Errorf("did not happen within %s", longest))
	watched, stop := moving.While(bounded, idle, progress)
	return watched, func() {
		stop()
		end()
	}
}

// moves counts what moves in each test of the package: *atomic.Int64 by the name of the test.
var moves sync.Map

// Moves returns what counts as movement of a test, and of its subtests. A test adds to it for what the helpers here do
// not see.
func Moves(tb testing.TB) *atomic.Int64 {
	tb.Helper()
	name, _, _ := strings.Cut(tb.Name(), "/")
	count, _ := moves.LoadOrStore(name, new(atomic.Int64))
	return count.(*atomic.Int64) //nolint:forcetypeassert,errcheck // nothing else is stored
}
