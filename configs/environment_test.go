package configs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReferencesAreExpanded(t *testing.T) {
	t.Parallel()
	env := environment{"A": "1", "EMPTY": "", "NESTED": "${A}"}
	for _, test := range []struct{ give, want string }{
		{give: "", want: ""},
		{give: "plain $A {A} $", want: "plain $A {A} $"},
		{give: "${A}", want: "1"},
		{give: "x${A}y${A}z", want: "x1y1z"},
		{give: "${EMPTY}", want: ""},
		{give: "${EMPTY:-2}", want: "2"},
		{give: "${MISSING:-2}", want: "2"},
		{give: "${MISSING:-}", want: ""},
		{give: "${A:-2}", want: "1"},
		{give: "${MISSING:-http://x:80/-}", want: "http://x:80/-"},
		{give: "${NESTED}", want: "${A}"},
		{give: "$${A}", want: "${A}"},
		{give: "a$${b${A}", want: "a${b1"},
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			got, err := env.expand(test.give)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestReferencesThatCannotBeExpanded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ give, want string }{
		{give: "${A}", want: "needs variables that are not set: A"},
		{give: "${A}${B:-b}${C}", want: "needs variables that are not set: A, C"},
		{give: "s3cret${A", want: errUnclosed.Error()},
		{give: "${}", want: errName.Error()},
		{give: "${s3cret!}", want: errName.Error()},
		{give: "${A:=b}", want: errName.Error()},
	} {
		t.Run(test.give, func(t *testing.T) {
			t.Parallel()
			_, err := environment(nil).expand(test.give)
			require.EqualError(t, err, test.want)
		})
	}
}

func TestEscapedTextIsExpandedToItself(t *testing.T) {
	t.Parallel()
	for _, give := range []string{"", "$", "${", "${A}", "$${A}", "$$${", "a${b}c$d"} {
		got, err := environment(nil).expand(escapeReferences(give))
		require.NoError(t, err)
		require.Equal(t, give, got)
	}
}

func TestEnvironIsParsed(t *testing.T) {
	t.Parallel()
	env := parseEnviron([]string{"A=1", "B=x=y", "C=", "A=2", "nonsense", "=D:=x"})
	require.Equal(t, environment{"A": "2", "B": "x=y", "C": ""}, env)
}
