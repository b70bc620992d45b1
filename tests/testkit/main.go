// Package testkit runs the built program for tests, and uses it as its users do: over HTTP, by signals, by its files
// and its output. It also runs real brokers; Carriers is the table of those that only carry messages. It knows nothing
// of the product's code, so its tests stay valid whatever the inside looks like.
//
// Helpers that return no error end the test when something is wrong. Call them from the test's own goroutine. Those
// that return an error may be called from any.
package testkit

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

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
