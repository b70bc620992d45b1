package bootstrap

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatLibrariesLogIsCountedAndNotShown(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(0, 0)
	l := &libraryLog{logger: slog.New(slog.NewTextHandler(&out, nil)), now: func() time.Time { return now }}
	for range 3 {
		n, err := l.Write([]byte("Unsolicited response: secret\n"))
		require.NoError(t, err)
		require.Equal(t, 29, n)
	}
	require.Equal(t, 1, strings.Count(out.String(), "\n"), "the first one at once, the others later")
	now = now.Add(time.Minute)
	_, _ = l.Write([]byte("secret"))
	require.Contains(t, out.String(), "count=3")
	require.NotContains(t, out.String(), "secret")
}
