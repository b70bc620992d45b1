package exchange_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// noon is the time in the tests of this package.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
