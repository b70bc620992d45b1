package worker

import (
	"cmp"
	"math"
	"slices"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/ports"
)

// company is what may run beside a delivery. Survivors, which were in flight when a worker died, have less of it.
type company int

const (
	crowd     company = iota // as much as there is room for
	few                      // few in all, at the second delivery
	alone                    // nothing, from the third on
	companies                // how many there are
)

func companyOf(d *ports.Delivery) company {
	switch {
	case d.Deliveries >= application.FirstAlone:
		return alone
	case d.Deliveries >= application.FirstFew:
		return few
	default:
		return crowd
	}
}

// fewAtOnce is how many deliveries a pool holds while a survivor is among them.
const fewAtOnce = 4

// caution bounds what is fetched while there are survivors. The caller synchronizes it.
type caution struct {
	held [companies]int // deliveries by their company
	next company        // the least of what was last fetched: what comes next may be like it
}

// room returns how many deliveries may be fetched while so many are held; less than 1: none.
func (c *caution) room(held int) int {
	switch {
	case c.held[alone] > 0:
		return 0
	case c.next == alone:
		return 1 - held
	case c.held[few] > 0:
		return fewAtOnce - held
	case c.next == few:
		return max(fewAtOnce-held, 1)
	default:
		return math.MaxInt
	}
}

// divide returns the deliveries that may be called while so many are held, those with the least company first, and
// those that must be handed back. Survivors are among the latter while too much is held: none may wait here for that,
// because it might kill the process, and then would be counted against them. Of those that are delivered for the second
// time one may run beside whatever runs already: it would otherwise wait for the longest call of a busy process.
func (c *caution) divide(deliveries []ports.Delivery, held int) (kept, excess []ports.Delivery) {
	if len(deliveries) == 0 {
		return nil, nil
	}
	order := slices.Clone(deliveries)
	slices.SortStableFunc(order, func(a, b ports.Delivery) int { return cmp.Compare(companyOf(&b), companyOf(&a)) })
	c.next = companyOf(&order[0])
	atMost := math.MaxInt
	for i := range order {
		n := held + len(kept)
		var keep bool
		switch companyOf(&order[i]) {
		case alone:
			keep = n == 0 && len(order) == 1
		case few:
			if keep = n < fewAtOnce || c.held[few] == 0 && len(kept) == 0; keep {
				atMost = fewAtOnce
			}
		default:
			keep = n < atMost
		}
		if keep {
			kept = append(kept, order[i])
		} else {
			excess = append(excess, order[i])
		}
	}
	return kept, excess
}
