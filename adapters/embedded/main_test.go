package embedded

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if runChild() {
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
