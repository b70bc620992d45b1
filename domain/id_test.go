package domain_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestIDValid(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give domain.ID
		want bool
	}{
		{"a UUIDv7", "01890a5d-ac96-774b-bcce-b302099a8057", true},
		{"one character", "a", true},
		{"the first and last of each range", "AZaz09._-", true},
		{"three dots", "...", true},
		{"a dot", ".", false},
		{"two dots", "..", false},
		{"128 characters", domain.ID(strings.Repeat("a", 128)), true},
		{"129 characters", domain.ID(strings.Repeat("a", 129)), false},
		{"empty", "", false},
		{"a space", "a b", false},
		{"a slash", "a/b", false},
		{"a percent sign", "a%2fb", false},
		{"a colon", "topic:0:1", false},
		{"a line feed at the end", "a\n", false},
		{"NUL", "a\x00", false},
		{"a letter beyond ASCII", "ä", false},
		{"invalid UTF-8", "a\xff", false},
		{"the neighbours of the ranges", "@[`{", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.give.Valid())
		})
	}
}

// TestIDValidOfEveryByte sees to it that no byte is forgotten in the ranges.
func TestIDValidOfEveryByte(t *testing.T) {
	t.Parallel()
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	for b := range 256 {
		id := domain.ID([]byte{'x', byte(b)})
		require.Equal(t, strings.IndexByte(allowed, byte(b)) >= 0, id.Valid(), "byte %#x", b)
	}
}

func FuzzID(f *testing.F) {
	for _, seed := range []string{"", "a", "A.b_c-9", ".", "..", "a b", "a\n", "ä", "\x00", strings.Repeat("x", 129)} {
		f.Add(seed)
	}
	specified := regexp.MustCompile(`\A[A-Za-z0-9._-]{1,128}\z`)
	f.Fuzz(func(t *testing.T, id string) {
		require.Equal(t, specified.MatchString(id) && id != "." && id != "..", domain.ID(id).Valid())
	})
}
