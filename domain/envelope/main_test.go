package envelope_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// arrived is when the broker took the messages of these tests, and limit how long they may be.
var arrived = time.Date(2026, 3, 4, 12, 0, 0, 123_000_000, time.UTC)

const limit = 1 << 20

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}
