package paired_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openhqm/openhqm/domain"
)

// noon is the time in the tests of this package.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newRequest(id domain.ID) domain.Request {
	return domain.Request{
		ID: id, Endpoint: "orders", Header: domain.Header{}, Body: []byte("body"),
		SubmittedAt: noon, Deadline: noon.Add(time.Hour),
	}
}

// withKey returns a request with an idempotency key.
func withKey(r domain.Request) domain.Request {
	r.Idempotency = &domain.Idempotency{Key: "key", ExpiresAt: noon.Add(time.Hour)}
	return r
}
