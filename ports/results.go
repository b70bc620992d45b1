package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// Results reads records. What it shows is durable. ErrNotFound where there is no record, or none any more.
type Results interface {
	// State gives a record without its result: cheap, however large the response.
	State(ctx context.Context, id domain.ID) (domain.Record, error)

	// Find gives a whole record.
	Find(ctx context.Context, id domain.ID) (domain.Record, error)

	// Wait blocks until the record is final or ctx ends, without polling, and gives the record as it then is, without its
	// result, also when ctx ended. A change made by another process is seen too.
	Wait(ctx context.Context, id domain.ID) (domain.Record, error)
}
