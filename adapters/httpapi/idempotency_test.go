package httpapi

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestIdempotencyKeyIsReadWithAndWithoutQuotes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give []string
		want string
	}{
		{nil, ""},
		{[]string{`"8e03978e-40d5"`}, "8e03978e-40d5"},
		{[]string{`8e03978e-40d5`}, "8e03978e-40d5"},
		{[]string{`"a\"b\\c"`}, `a"b\c`},
		{[]string{`"order 17"`}, "order 17"},
		{[]string{`"k";v=1`}, "k"},
		{[]string{`"k" ; v=1; *w; x=?0`}, "k"},
		{[]string{`a"b\c`}, `a"b\c`},
		{[]string{strings.Repeat("k", 255)}, strings.Repeat("k", 255)},
		{[]string{`"` + strings.Repeat("k", 255) + `"`}, strings.Repeat("k", 255)},
	} {
		key, err := idempotencyKey(tt.give)
		require.NoError(t, err, tt.give)
		require.Equal(t, tt.want, key)
	}
}

func TestMalformedIdempotencyKeyIsInvalid(t *testing.T) {
	t.Parallel()
	for _, give := range [][]string{
		{""},
		{`""`},
		{`"`},
		{`"open`},
		{`"a"b`},
		{`"a";P=1`},
		{`"a";`},
		{`"a" b`},
		{`"a\b"`},
		{`"a\`},
		{"a b"},
		{"ä"},
		{"a\tb"},
		{"a", "a"},
		{strings.Repeat("k", 256)},
		{`"` + strings.Repeat("k", 256) + `"`},
	} {
		_, err := idempotencyKey(give)
		var invalid *domain.Invalid
		require.ErrorAs(t, err, &invalid, "%q", give)
		require.Equal(t, "Idempotency-Key", invalid.Field)
	}
}
