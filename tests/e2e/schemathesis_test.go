package e2e_test

import (
	"context"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// What the gateway says of itself in /openapi.yaml holds for thousands of requests that a program made up.
func TestTheGatewayAnswersAsItsDocumentSays(t *testing.T) {
	t.Parallel()
	python(t)
	gateway := testkit.NewGateway(t, "").Start()
	ctx, cancel := context.WithTimeout(t.Context(), 10*testkit.Patience)
	defer cancel()
	url := "http://" + gateway.Client().Address

	output, err := exec.CommandContext(ctx, "../../scripts/schemathesis", url).CombinedOutput()

	require.NoError(t, err, "%s", output)
	require.Regexp(t, `API Links:\s+[1-9][0-9]* covered`, string(output), "no call led to another one")
}
