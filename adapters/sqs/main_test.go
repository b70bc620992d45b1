package sqs_test

import (
	"testing"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
