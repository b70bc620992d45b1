package cli

import (
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDataCommandsPassPathsOn(t *testing.T) {
	t.Parallel()
	program := testProgram()
	program.Data = DataTools{
		Check: func(dir string, out io.Writer) error {
			_, _ = fmt.Fprintln(out, "checked", dir)
			return errTest
		},
		Repair: func(dir string, out io.Writer) error {
			_, _ = fmt.Fprintln(out, "repaired", dir)
			return nil
		},
		Backup: func(dir, target string) error {
			if dir == target {
				return errTest
			}
			return nil
		},
	}
	tests := []struct {
		give           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"data", "check", "d"}, exitFailed, "checked d\n", "openhqm: " + errTest.Error() + "\n"},
		{[]string{"data", "repair", "d"}, exitOK, "", "repaired d\n"},
		{[]string{"data", "backup", "d", "t"}, exitOK, "t is a copy that embedded.dir can name\n", ""},
		{[]string{"data", "backup", "d", "d"}, exitFailed, "", "openhqm: " + errTest.Error() + "\n"},
	}
	for _, tt := range tests {
		code, stdout, stderr := run(program, tt.give...)
		require.Equal(t, tt.code, code, tt.give)
		require.Equal(t, tt.stdout, stdout)
		require.Equal(t, tt.stderr, stderr)
	}
}
