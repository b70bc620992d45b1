package outage

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Refusals notes what a broker refuses while it does everything else: a permission that is missing, a name under which
// there is something else. That is no outage, which would begin and end with each call. Whoever is refused tries again
// within LongestPause, so what nobody has met for RefusalStands is over. It is safe for concurrent use.
type Refusals struct {
	Name   string // of the broker
	Logger *slog.Logger
	Now    func() time.Time

	some   atomic.Bool // there are some: what every call looks at
	mu     sync.Mutex
	met    map[string]*refusal // by text
	logged time.Time           // the last line
}

// refusal is one of them.
type refusal struct {
	err    error
	last   time.Time
	logged bool
}

const (
	// RefusalStands is how long a refusal counts that nobody meets again.
	RefusalStands = 3 * LongestPause

	maxRefusals = 16 // that are told apart
)

// Note notes a refusal. The first one is logged at once, and any other once, when 5 s have passed since the last line.
func (r *Refusals) Note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := err.Error()
	one := r.met[text]
	switch {
	case one == nil && len(r.met) == maxRefusals:
		return
	case one == nil:
		one = &refusal{err: err}
		if r.met == nil {
			r.met = make(map[string]*refusal)
		}
		r.met[text] = one
		r.some.Store(true)
	}
	one.last = r.Now()
	if !one.logged && one.last.Sub(r.logged) >= usualQuiet {
		one.logged, r.logged = true, one.last
		r.Logger.Error("broker refuses a part of the work; retrying until it is allowed (check permissions and names)",
			"broker", r.Name, "error", err)
	}
}

// Expire forgets what nobody has met for RefusalStands, and logs when nothing is left. It is cheap when there is
// nothing.
func (r *Refusals) Expire() {
	if !r.some.Load() {
		return
	}
	now := r.Now()
	r.forget(func(one *refusal) bool { return now.Sub(one.last) >= RefusalStands })
}

// End forgets the refusals that match, because what was refused has been done. It is cheap when there is nothing.
func (r *Refusals) End(match func(error) bool) {
	if !r.some.Load() {
		return
	}
	r.forget(func(one *refusal) bool { return match(one.err) })
}

func (r *Refusals) forget(match func(*refusal) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.met)
	maps.DeleteFunc(r.met, func(_ string, one *refusal) bool { return match(one) })
	if len(r.met) == 0 && before > 0 {
		r.some.Store(false)
		r.Logger.Info("broker refuses nothing any more", "broker", r.Name)
	}
}

// Standing returns what is refused, sorted by text; empty: nothing is.
func (r *Refusals) Standing() []error {
	r.Expire()
	r.mu.Lock()
	defer r.mu.Unlock()
	errs := make([]error, 0, len(r.met))
	for _, one := range r.met {
		errs = append(errs, one.err)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}
