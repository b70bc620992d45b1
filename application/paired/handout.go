package paired

import (
	"github.com/openhqm/openhqm/ports"
)

// maxBatch bounds the deliveries of one Receive: their leases run while it goes on.
const maxBatch = 64

// handout is what one Receive returns, and the credit that it has left.
type handout struct {
	*ports.Allowance

	deliveries []ports.Delivery
}

func newHandout(credit ports.Credit) *handout {
	credit.Count = min(credit.Count, maxBatch)
	return &handout{Allowance: ports.NewAllowance(credit)}
}

// add adds deliveries of the store, and passes the error on.
func (h *handout) add(deliveries []ports.Delivery, err error) error {
	for i := range deliveries {
		r := &deliveries[i].Request
		h.Charge(r.Endpoint, r.Size())
	}
	h.deliveries = append(h.deliveries, deliveries...)
	return err
}
