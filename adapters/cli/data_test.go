package cli

import (
	"fmt"
	"io"
	"net/http"
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

func TestARunningAPIBacksItselfUp(t *testing.T) {
	t.Parallel()
	const made = `{"path":"/backups/20261129T010203.000000Z"}`
	tests := map[string]struct {
		flags          []string
		status         int
		answer         string
		code           int
		stdout, stderr string
	}{
		"made": {
			nil, http.StatusCreated, made, exitOK,
			"/backups/20261129T010203.000000Z is a backup that embedded.dir can name\n", "",
		},
		"as JSON": {[]string{"--json"}, http.StatusCreated, made, exitOK, made + "\n", ""},
		"none": {
			nil, http.StatusNotFound, `{"code":"NOT_FOUND","detail":"this process makes no backups"}`, exitFailed,
			"", "openhqm: data backup: 404 NOT_FOUND: this process makes no backups\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := scripted(t, exchange{"POST /api/v1/backup", tt.status, tt.answer})
			args := append([]string{"data", "backup", "--live", "--url", api}, tt.flags...)
			code, stdout, stderr := run(testProgram(), args...)
			require.Equal(t, tt.code, code)
			require.Equal(t, tt.stdout, stdout)
			require.Equal(t, tt.stderr, stderr)
		})
	}
}
