package ports

import "github.com/openhqm/openhqm/domain"

// Endpoints is what is configured right now. A *sync/atomic.Pointer implements it.
type Endpoints interface {
	// Load returns the endpoints as they are at this moment. It does not block. Whoever works on a request loads once and
	// keeps to what it got, so that a reload never mixes two configurations.
	Load() *EndpointSet
}

// EndpointSet is all endpoints of one configuration, and what calls them. A reload makes another one: a set never
// changes, and stays usable for as long as somebody has it.
type EndpointSet struct {
	ByName  map[string]domain.Endpoint
	Default string  // of requests that name none; empty: they must name one
	Backend Backend // calls those of this set; nil in processes that call none
}
