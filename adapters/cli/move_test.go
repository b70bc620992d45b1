package cli

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMoveNeedsTwoFiles(t *testing.T) {
	t.Parallel()
	for _, give := range []string{"move", "move --from a.yaml", "move --to b.yaml --dry-run"} {
		code, stdout, stderr := run(testProgram(), strings.Fields(give)...)
		require.Equal(t, exitUsage, code, give)
		require.Empty(t, stdout, give)
		require.Equal(t, "openhqm: move: name two configuration files, with --from and --to; see openhqm move --help\n",
			stderr, give)
	}
}

func TestMovePassesItsOrderOn(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]MoveOrder{
		"move --from a.yaml --to b.yaml":           {From: "a.yaml", To: "b.yaml"},
		"move --dry-run --from=a.yaml --to=b.yaml": {From: "a.yaml", To: "b.yaml", DryRun: true},
	} {
		program := testProgram()
		var got MoveOrder
		program.Move = func(order MoveOrder, stdout io.Writer) error {
			got = order
			_, err := io.WriteString(stdout, "moved\n")
			return err
		}
		code, stdout, stderr := run(program, strings.Fields(give)...)
		require.Equal(t, exitOK, code)
		require.Equal(t, want, got)
		require.Equal(t, "moved\n", stdout)
		require.Empty(t, stderr)
	}
}
