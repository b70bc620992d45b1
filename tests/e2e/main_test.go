// Package e2e_test holds what users can rely on, tried on the built program.
package e2e_test

import (
	"os"
	"testing"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(redisAddress); address != "" {
		os.Exit(redisCLI(address))
	}
	testkit.Main(m)
}
