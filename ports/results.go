package ports

import (
	"context"

	"github.com/openhqm/openhqm/domain"
)

// Results reads records. What it returns is durable. The times of records are by the clock of the store, which all
// processes share. Errors match ErrNotFound when there is no record, or none any more.
type Results interface {
	// State returns a record without its result: cheap, however large the response.
	State(ctx context.Context, id domain.ID) (domain.Record, error)

	// Find returns a whole record.
	Find(ctx context.Context, id domain.ID) (domain.Record, error)

	// Wait blocks until the record is final or ctx ends, without polling. It returns the record as it is then, without
	// its result, also when ctx ended. It notices changes by other processes too.
	Wait(ctx context.Context, id domain.ID) (domain.Record, error)
}
