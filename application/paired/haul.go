package paired

import (
	"maps"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// maxBatch bounds the deliveries of one Receive: their leases run while it goes on.
const maxBatch = 64

// haul is what one Receive gives.
type haul struct {
	left       ports.Credit
	given      int // deliveries that the credit was charged with
	deliveries []ports.Delivery
}

func newHaul(credit ports.Credit) *haul {
	credit.Count, credit.Endpoints = min(credit.Count, maxBatch), maps.Clone(credit.Endpoints)
	return &haul{left: credit}
}

// take adds deliveries of the store.
func (h *haul) take(deliveries []ports.Delivery, err error) error {
	for i := range deliveries {
		h.charge(&deliveries[i].Request, 1)
	}
	h.deliveries = append(h.deliveries, deliveries...)
	return err
}

// refuses reports whether the endpoint of a request has no credit.
func (h *haul) refuses(r *domain.Request) bool {
	if h.left.Known != nil {
		if _, known := h.left.Known[r.Endpoint]; !known {
			return true
		}
	}
	n, limited := h.left.Endpoints[r.Endpoint]
	return limited && n <= 0
}

// fits reports whether there is room for a request in count and bytes. There always is for a first one.
func (h *haul) fits(r *domain.Request) bool {
	return h.left.Count > 0 && (h.given == 0 || h.left.Bytes >= r.Size())
}

// charge charges the credit with a request n times; less than 0 takes it back.
func (h *haul) charge(r *domain.Request, n int) {
	h.given += n
	h.left.Count -= n
	h.left.Bytes -= int64(n) * r.Size()
	if credit, limited := h.left.Endpoints[r.Endpoint]; limited {
		h.left.Endpoints[r.Endpoint] = credit - n
	}
}
