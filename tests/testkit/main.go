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

// endShared ends the servers that tests of a package shared. What is left over is in the system's directory for such
// things.
func endShared() {
	if sharedKafkaStarted != nil {
		sharedKafkaStarted.Close()
	}
	if sharedKafkaDir != "" {
		_ = os.RemoveAll(sharedKafkaDir)
	}
	if sharedSQSStarted != nil {
		sharedSQSStarted.Kill()
		_ = os.RemoveAll(sharedSQSStarted.dir)
	}
}
