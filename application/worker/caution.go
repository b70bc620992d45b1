package worker

import (
	"cmp"
	"math"
	"slices"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/ports"
)

// suspicion says how much may run beside a delivery, because it was in flight when a worker died.
type suspicion int

const (
	trusted suspicion = iota // as much as there is room for
	suspect                  // fewSuspects in all
	alone                    // nothing
	suspicions
)

func suspicionOf(d *ports.Delivery) suspicion {
	switch {
	case d.Deliveries >= application.FirstAlone:
		return alone
	case d.Deliveries >= application.FirstSuspect:
		return suspect
	default:
		return trusted
	}
}

// fewSuspects is how many deliveries a pool fetches while it holds a suspect.
const fewSuspects = 4

// caution bounds what is fetched while there are suspects. The caller synchronizes it.
type caution struct {
	held [suspicions]int // deliveries by suspicion
	more bool            // the last ones that were fetched had suspects among them, so the next ones may, too
}

// room returns how many deliveries may be fetched while so many are held.
func (c *caution) room(held int) int {
	switch {
	case c.held[alone] > 0:
		return 0
	case c.held[suspect] > 0:
		return fewSuspects - held
	case c.more:
		return 1
	default:
		return math.MaxInt
	}
}

// divide returns the deliveries that may be called while so many are held, the most suspicious first, and those that
// must be handed back. It keeps at least one.
func (c *caution) divide(deliveries []ports.Delivery, held int) (kept, excess []ports.Delivery) {
	order := slices.Clone(deliveries)
	slices.SortStableFunc(order, func(a, b ports.Delivery) int { return cmp.Compare(suspicionOf(&b), suspicionOf(&a)) })
	keep := len(order)
	c.more = false
	if len(order) > 0 {
		switch suspicionOf(&order[0]) {
		case alone:
			c.more, keep = true, 1
		case suspect:
			c.more, keep = true, min(keep, max(fewSuspects-held, 1))
		case trusted, suspicions:
		}
	}
	return order[:keep], order[keep:]
}
