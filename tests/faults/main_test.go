// Package faults_test does to the built program what happens in production: it is killed, stopped and abused.
//
// OPENHQM_TEST_KILLS=100 makes the test that kills it as long.
package faults_test

import (
	"testing"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
