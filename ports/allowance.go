package ports

import "maps"

// Allowance is what is left of a Credit while deliveries are chosen for it. Every implementation of Work.Receive uses
// it, so that all of them mean the same by a credit. It is not safe for concurrent use.
type Allowance struct {
	left   Credit
	chosen int // deliveries charged so far
}

// NewAllowance returns an Allowance of the whole credit. It copies what it changes, so that the credit stays as it is.
func NewAllowance(credit Credit) *Allowance {
	credit.Endpoints = maps.Clone(credit.Endpoints)
	return &Allowance{left: credit}
}

// Left returns the credit that is left. It shares its maps with the Allowance: the caller only reads them, and before
// the next Charge or Return.
func (a *Allowance) Left() Credit { return a.left }

// Refuses reports whether the endpoint may have no further delivery, because the caller does not know it or its own
// bound is reached.
func (a *Allowance) Refuses(endpoint string) bool {
	if _, known := a.left.Known[endpoint]; a.left.Known != nil && !known {
		return true
	}
	n, bounded := a.left.Endpoints[endpoint]
	return bounded && n <= 0
}

// Fits reports whether a delivery of that domain.Request.Size, in bytes, is within what is left of Count and Bytes. The
// first delivery fits whatever its size.
func (a *Allowance) Fits(size int64) bool {
	return a.left.Count > 0 && (a.chosen == 0 || size <= a.left.Bytes)
}

// Charge takes a delivery of that endpoint and size, in bytes, out of what is left, whether or not it fits.
func (a *Allowance) Charge(endpoint string, size int64) { a.change(endpoint, size, 1) }

// Return undoes a Charge, for a delivery that is not handed out after all.
func (a *Allowance) Return(endpoint string, size int64) { a.change(endpoint, -size, -1) }

func (a *Allowance) change(endpoint string, size int64, n int) {
	a.chosen += n
	a.left.Count -= n
	a.left.Bytes -= size
	if credit, bounded := a.left.Endpoints[endpoint]; bounded {
		a.left.Endpoints[endpoint] = credit - n
	}
}
