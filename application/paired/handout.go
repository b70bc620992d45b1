package paired

import (
	"maps"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// maxBatch bounds the deliveries of one Receive: their leases run while it goes on.
const maxBatch = 64

// handout is what one Receive returns, and the credit that it has left.
type handout struct {
	left       ports.Credit
	charged    int // requests that the credit was charged with
	deliveries []ports.Delivery
}

func newHandout(credit ports.Credit) *handout {
	credit.Count, credit.Endpoints = min(credit.Count, maxBatch), maps.Clone(credit.Endpoints)
	return &handout{left: credit}
}

// add adds deliveries of the store, and passes the error on.
func (h *handout) add(deliveries []ports.Delivery, err error) error {
	for i := range deliveries {
		h.charge(&deliveries[i].Request, 1)
	}
	h.deliveries = append(h.deliveries, deliveries...)
	return err
}

// refuses reports whether the endpoint of a request has no credit.
func (h *handout) refuses(r *domain.Request) bool {
	if h.left.Known != nil {
		if _, known := h.left.Known[r.Endpoint]; !known {
			return true
		}
	}
	n, limited := h.left.Endpoints[r.Endpoint]
	return limited && n <= 0
}

// fits reports whether there is room for a request in count and bytes. A first one always fits.
func (h *handout) fits(r *domain.Request) bool {
	return h.left.Count > 0 && (h.charged == 0 || h.left.Bytes >= r.Size())
}

// charge charges the credit with a request n times; a negative n refunds it.
func (h *handout) charge(r *domain.Request, n int) {
	h.charged += n
	h.left.Count -= n
	h.left.Bytes -= int64(n) * r.Size()
	if credit, limited := h.left.Endpoints[r.Endpoint]; limited {
		h.left.Endpoints[r.Endpoint] = credit - n
	}
}
