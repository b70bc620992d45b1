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
	crowd company = iota // as much as there is room for
	few                  // few in all, at the second delivery
	alone                // nothing, from the third on
	companies
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
	more bool           // the last ones that were fetched had survivors among them, so the next ones may, too
}

// room returns how many deliveries may be fetched while so many are held.
func (c *caution) room(held int) int {
	switch {
	case c.held[alone] > 0:
		return 0
	case c.held[few] > 0:
		return fewAtOnce - held
	case c.more:
		return 1
	default:
		return math.MaxInt
	}
}

// divide returns the deliveries that may be called while so many are held, those with the least company first, and
// those that must be handed back. It keeps at least one.
func (c *caution) divide(deliveries []ports.Delivery, held int) (kept, excess []ports.Delivery) {
	order := slices.Clone(deliveries)
	slices.SortStableFunc(order, func(a, b ports.Delivery) int { return cmp.Compare(companyOf(&b), companyOf(&a)) })
	keep := len(order)
	c.more = false
	if len(order) > 0 {
		switch companyOf(&order[0]) {
		case alone:
			c.more, keep = true, 1
		case few:
			c.more, keep = true, min(keep, max(fewAtOnce-held, 1))
		case crowd, companies:
		}
	}
	return order[:keep], order[keep:]
}
