// Package testkit runs the built program for tests and meets it as its users do: over HTTP, by signals, by its files
// and its output. It knows nothing of the product's code, so a test that uses it holds whatever the inside looks like.
//
// Helpers that take no error end the test when something is wrong, so they belong into the test's own goroutine. Those
// that return an error may be called from any.
package testkit

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Patience is how long a helper waits for what must happen before it fails the test. It is no expectation: a machine
// may be slow, and whoever waits in vain is wrong only once it is certain.
const Patience = 60 * time.Second

// Main runs the tests of a package, ends the servers that they shared, looks for goroutines that they left behind, and
// removes the program. It is all that a TestMain does.
func Main(m *testing.M) {
	code := m.Run()
	endShared()
	removeBinaries()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
